package supervisor

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/xsnap"
)

// Names of what a supervisor keeps in its directory.
const (
	DatabaseFile = "vats.sqlite"
	SnapshotDir  = "snapshots"
	baseDir      = "base"
)

// lockWait is how long a supervisor waits for its database. Its host has taken a
// lock of its own before, so that who still holds this one is the daemon of a
// host that was killed, and is about to follow it.
const lockWait = 10 * time.Second

// Options configure a supervisor. Everything but Image is local: it may differ
// between supervisors that agree.
type Options struct {
	Dir       string      // database and snapshots
	Image     xsnap.Image // for incarnations that start from now on
	CacheDir  string      // base snapshots; empty = inside Dir
	MaxOnline int         // workers at a time
	// MaxMemoryBytes is what all workers together may have in memory; 0 is no limit.
	MaxMemoryBytes int64
	// KeepSnapshots is how many files of earlier heap snapshots of a vat are
	// kept, for the day that its newest one cannot be read.
	KeepSnapshots int
	Spares        int // workers kept warm for vats that start, of each meter limit
	Hulls         int // engines kept ready for vats that are paged in, of each meter limit
	// LookAhead is how many vats of waiting items are brought in at a time while
	// another one runs; 0 = none.
	LookAhead int
	// EarlyRuns is how many deliveries of waiting items may run, each on its vat's
	// own worker, before their cranks; 0 = none.
	EarlyRuns int
	// Preload is how many vats that were used last are brought in when the
	// supervisor opens, in the background: 0 = none, PreloadAll = whoever fits.
	Preload   int
	Pins      []string // names or IDs of vats that keep their workers, most important first
	CPU       int      // CPU that deliveries and workers share; -1 = free
	Limits    xsnap.Limits
	Sandbox   xsnap.Sandbox // how workers are contained
	HugePages bool          // let workers ask for huge pages
	Watch     xsnap.Watch   // what is done about silent workers; Tell is the supervisor's own
	// VatLogBytes and LogBytes bound the worker logs of a vat, and of all; 0 keeps
	// none. ReplayConsole also passes on what vats print when they are replayed.
	VatLogBytes, LogBytes int64
	ReplayConsole         bool
	// Slog is the path of the slog, of SlogBytes with the one before it; "" = none.
	Slog      string
	SlogBytes int64
	Logger    hclog.Logger
	// Control is the path of the control socket. Empty means vats.sock in Dir, and
	// that nothing but a warning comes of it if it cannot be made; ControlOff
	// means none.
	Control string
	// StoreFault is the store's fault hook, for tests.
	StoreFault func(op string) error
	// starter replaces the real engines, for tests; wrap only comes between
	// them and the supervisor, and clock replaces the watch's.
	starter starter
	wrap    func(starter) starter
	clock   <-chan time.Time
	// patience replaces controlPatience, for tests.
	patience time.Duration
}

func (s *Supervisor) newStarter(o Options) (starter, error) {
	if o.starter != nil {
		return o.starter, nil
	}
	cache := o.CacheDir
	if cache == "" {
		cache = filepath.Join(o.Dir, baseDir)
	}
	watch := o.Watch
	watch.Tell = s.alarm
	real, err := newRealStarter(cache, o.Sandbox, watch, o.clock)
	if err != nil || o.wrap == nil {
		return real, err
	}
	return o.wrap(real), nil
}

// Host is the kernel host a supervisor calls back and tells events.
type Host interface {
	Call(msgType string, req, reply any) error
	Event(msgType string, body any) error
}

// config is the consensus configuration, JSON under keyConfig.
type config struct {
	SnapshotInitial      int64 `json:"snapshotInitial"`
	SnapshotInterval     int64 `json:"snapshotInterval"`
	RelaxDurabilityRules bool  `json:"relaxDurabilityRules"`
}

// Supervisor owns a directory of vats. All methods belong to one goroutine,
// which should be locked to its OS thread.
type Supervisor struct {
	*kit
	table       [numEvents][numStates]cell
	baton       *baton
	pool        *pool
	pager       *pager
	foresight   foresight
	turn        *head // the item whose crank runs, if one does
	pins        pins
	early       *earlyRuns
	aheadAtOnce int                    // vats that may be on their way in for items that wait
	images      map[string]xsnap.Image // loaded and verified, by ID
	records     records
	config      config
	keep        int // files of earlier snapshots of a vat
	storeID     string

	warming sync.WaitGroup // of warmUp

	panicked      *PanicError
	spoiled       error    // a commit failed: only a rollback goes on from here
	dropped       []string // hashes of snapshots that this block may have no use for
	sweepDue      bool     // somebody held the snapshot files when some were to go
	ranComputrons int64    // of the current run
	goesOn        bool     // the current run may do another crank after this one
	ahead         *aheadTurn
}

// Open opens or creates the supervisor's directory and aligns it with the
// host's height: a prepared block is finished or undone.
func Open(opts Options, host Host, hostHeight int64) (*Supervisor, error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot create %s: %w", opts.Dir, err)
	}
	s := &Supervisor{
		kit: newKit(opts, host), table: lifecycle(), keep: max(0, opts.KeepSnapshots), aheadAtOnce: max(0, opts.LookAhead),
		records: records{last: map[string]decoded{}}, images: map[string]xsnap.Image{opts.Image.ID(): opts.Image},
		baton: newBaton(),
	}
	s.live.note(func() {
		s.live.now.MaxOnline, s.live.now.MaxMemoryBytes = max(1, opts.MaxOnline), opts.MaxMemoryBytes
		s.live.now.ImageID, s.live.now.Engine, s.live.now.EngineSHA256 = s.image.ID(), s.image.Engine.Kind.String(), s.image.Engine.SHA256
	})
	s.pool = newPool(s.kit, s.pagedOut)
	if err := s.open(opts, hostHeight); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Supervisor) open(opts Options, hostHeight int64) (err error) {
	s.db, err = store.Open(filepath.Join(opts.Dir, DatabaseFile), store.Options{
		Undo: true, Fault: opts.StoreFault, LockWait: lockWait, Warn: func(err error) { s.warn("%v", err) },
	})
	if err != nil {
		return err
	}
	if err := s.db.Align(hostHeight); err != nil {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorAligned)
	if err := errors.Join(s.openLogs(opts), s.openSlog(opts)); err != nil {
		return err
	}
	if s.snapshots, err = snapshots.OpenDir(filepath.Join(opts.Dir, SnapshotDir)); err != nil {
		return err
	}
	inner, err := s.newStarter(opts)
	if err != nil {
		return err
	}
	s.starter = withSlog(inner, s.slog)
	s.bases = newHeapBases(s.snapshots, s.starter)
	s.others = otherCPUs(s.starter.cpus(), s.cpu)
	s.early = newEarlyRuns(max(0, opts.EarlyRuns), s.earlyCPUs())
	s.spares, s.hulls = newWarmSpares(s.kit, opts.Spares), newHulls(s.kit, opts.Hulls)
	s.pager = newPager(s.kit, max(1, opts.LookAhead))
	if s.storeID, err = s.nameStore(); err != nil {
		return err
	}
	if err := s.loadConfig(); err != nil {
		return err
	}
	if err := s.sweepOrphans(); err != nil {
		return err
	}
	if err := s.noteBlock(); err != nil {
		return err
	}
	if err := s.rememberImage(s.image); err != nil {
		return err
	}
	if err := s.loadPins(opts.Dir, opts.Pins); err != nil {
		return err
	}
	s.preload(opts.Preload)
	s.warmUp()
	crashpoint.Here(crashpoint.SupervisorOpened)
	return nil
}

// keyStoreID is where the store's name is kept, locally.
const keyStoreID = "store.id"

// nameStore gives the store's name, a random one if it has none yet.
func (s *Supervisor) nameStore() (string, error) {
	id, ok, err := s.db.LocalGet(keyStoreID)
	if err != nil || ok {
		return id, err
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("cannot name the store: %w", err)
	}
	id = hex.EncodeToString(random[:])
	return id, s.db.LocalSet(keyStoreID, id)
}

// Close ends every worker and drops an open block.
func (s *Supervisor) Close() error {
	s.pool.closeAll()
	if s.pager != nil {
		s.pager.close()
		s.warming.Wait()
		s.spares.close()
		s.hulls.close()
	}
	s.reaper.wait()
	if s.early != nil {
		s.early.close()
	}
	if s.snapshots != nil {
		_ = s.snapshots.Settle() // of a block that is dropped; the next opening sweeps
	}
	if s.starter != nil {
		s.starter.close()
	}
	s.speech.logs.Close()
	s.slog.close()
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

// noteBlock tells who looks on where the store stands between two blocks.
func (s *Supervisor) noteBlock() error {
	n, err := readCounts(s.db)
	if err != nil {
		return err
	}
	epoch, err := epochIn(s.db)
	if err != nil {
		return err
	}
	s.live.stands(s.db.Height(), s.db.ActivityHash(), epoch, n)
	return nil
}

func (s *Supervisor) loadConfig() error {
	s.config = config{SnapshotInitial: 3, SnapshotInterval: 200}
	return readJSON(s.db, keyConfig, &s.config)
}

func (s *Supervisor) configure(req pipeproto.Configure) error {
	if req.SnapshotInitial < 1 || req.SnapshotInterval < 1 {
		return badRequest("configure", "snapshotInitial and snapshotInterval must be at least 1")
	}
	next := config(req)
	err := s.runCrank(func(c *crank) error { return c.setJSON(keyConfig, next) })
	if err == nil {
		s.config = next
		s.pager.dropAll() // their plans have the former options
	}
	return err
}

// recordOf reads a vat's record outside of a crank.
func (s *Supervisor) recordOf(vatID string) (*record, error) {
	text, ok, err := s.db.Get(vatKey(vatID))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &UnknownVatError{VatID: vatID}
	}
	return s.records.decode(vatID, text)
}

// call asks the host.
func (s *Supervisor) call(msgType string, req, reply any) error {
	if err := s.host.Call(msgType, req, reply); err != nil {
		return fmt.Errorf("cannot get the host's %s: %w", msgType, err)
	}
	return nil
}

// emit tells the host an event. A host that is gone is noticed elsewhere.
func (s *Supervisor) emit(ev pipeproto.VatEvent) {
	s.log.Debug("vat", "what", ev.Kind, "vatID", ev.VatID, "detail", ev.Detail)
	s.live.happened(ev)
	s.slog.event(ev)
	_ = s.host.Event(pipeproto.EventVat, ev)
}

// emitAfter tells an event once the crank it belongs to is committed.
func (s *Supervisor) emitAfter(c *crank, ev pipeproto.VatEvent) {
	c.after(func() { s.emit(ev) })
}

func (s *Supervisor) warn(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	s.log.Warn(message)
	s.live.warned(message)
	if s.host != nil {
		_ = s.host.Event(pipeproto.EventWarning, pipeproto.WarningEvent{Message: message})
	}
}

// alarm tells of a worker that keeps its vat waiting. Unlike the others it is
// called from another goroutine, the watchdog's.
func (s *Supervisor) alarm(a xsnap.Alarm) {
	s.warn("%v", a)
	s.live.alarm(a)
}
