package kernelhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// DatabaseFile is the host's own database in Options.DBDir.
const DatabaseFile = "host.sqlite"

// Options say how a kernel is opened.
type Options struct {
	// DBDir is the directory of the state; it is made if it is missing.
	DBDir string
	// Daemon is the command that serves the vats, such as ["vatworkerd",
	// "serve"]. It is started with "--db DBDir" and EngineFlags after it.
	Daemon []string
	// EngineFlags choose the engine and other local settings of the daemon.
	EngineFlags []string
	// Devices are what configs can ask for under "devices". A kernel must be
	// opened with the same devices every time.
	Devices []Device
	// VatAdminBundle is the file with the bundle of the vat-admin vat, which `make
	// bundles` puts at build/bundles/vat-admin.json. Initialize reads it if the
	// config needs it.
	VatAdminBundle string
	// Events is told what happens as it happens.
	Events EventSink
	// Logger takes the kernel's own log; nil = none.
	Logger hclog.Logger
	// Stderr takes what the daemon writes to its stderr; nil = os.Stderr.
	Stderr io.Writer

	// connect replaces the child process, for tests.
	connect func() (*link, error)
	// storeFault is the store's fault hook, for tests.
	storeFault func(op string) error
}

// Kernel is an open kernel with its daemon. Its methods may be called from
// several goroutines; each waits for the one before. Changes are part of an
// open block until Commit, or Run, makes the block durable. After a
// *DaemonExitError or *InterruptedError only Close is left.
type Kernel struct {
	opts  Options
	log   hclog.Logger
	hello pipeproto.HelloReply
	gone  <-chan struct{} // of the link

	mu        sync.Mutex // guards all below; held during a method
	db        *store.DB
	link      *link
	callbacks *callbacks
	cause     error // the host's own error that ended a request of the daemon
	dead      error // why only Close is left
	changed   bool  // the open block may hold something
	testLog   []string
	settled   int             // how much of testLog is committed
	resolved  map[string]bool // promises that the open block has resolved
}

// Open opens or creates the kernel's state in opts.DBDir, starts the daemon
// and brings the two databases to the same block. ctx bounds the opening only.
// Errors: *store.LockedError when another process has the directory,
// *DaemonExitError, *pipeproto.Error from the daemon, other errors of the store.
func Open(ctx context.Context, opts Options) (*Kernel, error) {
	if err := checkRegistered(opts.Devices); err != nil {
		return nil, err
	}
	k := &Kernel{opts: opts, log: opts.Logger, resolved: map[string]bool{}}
	if k.log == nil {
		k.log = hclog.NewNullLogger()
	}
	if k.opts.Stderr == nil {
		k.opts.Stderr = os.Stderr
	}
	if k.opts.connect == nil {
		argv := slices.Concat(opts.Daemon, []string{"--db", opts.DBDir}, opts.EngineFlags)
		k.opts.connect = func() (*link, error) { return spawn(argv, k.opts.Stderr) }
	}
	k.callbacks = newCallbacks(k)
	if err := k.open(ctx); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

func (k *Kernel) open(ctx context.Context) error {
	if err := os.MkdirAll(k.opts.DBDir, 0o700); err != nil {
		return fmt.Errorf("cannot create %s: %w", k.opts.DBDir, err)
	}
	db, err := store.Open(filepath.Join(k.opts.DBDir, DatabaseFile), store.Options{
		Fault: k.opts.storeFault,
		Warn:  func(err error) { k.log.Warn("host database", "error", err) },
	})
	if err != nil {
		return err
	}
	k.db = db
	crashpoint.Here(crashpoint.HostOpened)
	if k.link, err = k.opts.connect(); err != nil {
		return err
	}
	k.gone = k.link.gone
	crashpoint.Here(crashpoint.HostSpawned)
	stop := context.AfterFunc(ctx, k.link.kill)
	defer stop()
	hello := pipeproto.Hello{Peer: fmt.Sprintf("kernel host (pid %d)", os.Getpid()), Height: db.Height()}
	k.hello, err = pipeproto.DialHello(k.link.conn, hello, k.callbacks)
	if err != nil && answered(err) && ctx.Err() == nil {
		return err // the daemon says why it does not serve
	}
	if err != nil {
		return k.explain(ctx, pipeproto.ReqHello, err)
	}
	crashpoint.Here(crashpoint.HostGreeted)
	if err := k.knowStore(k.hello.StoreID); err != nil {
		return err
	}
	return k.release()
}

// storeIDKey is where the name of the daemon's store is kept, locally.
const storeIDKey = "daemon.storeID"

// knowStore refuses a store of the daemon's that is not the one this kernel has
// worked with, which equal heights would not show.
func (k *Kernel) knowStore(id string) error {
	known, ok, err := k.db.LocalGet(storeIDKey)
	if err != nil || (ok && known == id) {
		return err
	}
	if !ok {
		return k.db.LocalSet(storeIDKey, id)
	}
	return &pipeproto.Error{
		Code: pipeproto.CodeCorrupt, Place: k.opts.DBDir,
		Message: "the two databases in it do not belong together: this host has worked with another store of vats",
		Hint:    "restore both from one backup",
	}
}

// Close ends the daemon and closes the state. An open block is lost.
func (k *Kernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.callbacks.forget()
	var errs []error
	if k.link != nil {
		errs = append(errs, k.link.close())
		k.link = nil
	}
	if k.db != nil {
		crashpoint.Here(crashpoint.HostClosing)
		errs = append(errs, k.db.Close())
		k.db = nil
	}
	k.dead = ErrClosed
	return errors.Join(errs...)
}

// enter begins a method: it takes the lock and tells whether the kernel is
// still good. The caller must call leave, also after an error.
func (k *Kernel) enter() error {
	k.mu.Lock()
	return k.dead
}

func (k *Kernel) leave() { k.mu.Unlock() }

// remember keeps the host's own error that a request of the daemon fails with,
// so that the caller gets it and not what the daemon makes of it.
func (k *Kernel) remember(err error) {
	if k.cause == nil {
		k.cause = err
	}
}

// call asks the daemon. When ctx ends, the daemon is killed. An error that
// leaves the open block in doubt costs it, on both sides.
func (k *Kernel) call(ctx context.Context, msgType string, req, reply any) error {
	if err := ctx.Err(); err != nil {
		k.link.kill()
		return k.explain(ctx, msgType, err)
	}
	k.cause = nil
	stop := context.AfterFunc(ctx, k.link.kill)
	err := k.link.conn.Call(msgType, req, reply, k.callbacks)
	stop()
	k.changed = k.changed || changes(msgType)
	if err == nil {
		return nil
	}
	if answered(err) {
		return k.refused(ctx, err)
	}
	return k.explain(ctx, msgType, err)
}

// changes tells whether a request may change the state. Run does too, but says
// whether it has.
func changes(msgType string) bool {
	switch msgType {
	case pipeproto.ReqRun, pipeproto.ReqStatus, pipeproto.ReqVat, pipeproto.ReqSnapshotList, pipeproto.ReqSnapshotVerify,
		pipeproto.ReqSpans, pipeproto.ReqReplay, pipeproto.ReqRehearse, pipeproto.ReqPrepare, pipeproto.ReqCommit:
		return false
	}
	return true
}

// answered tells whether the daemon is still there after an error of Call.
func answered(err error) bool {
	var wire *pipeproto.Error
	var frame *pipeproto.FrameError
	return errors.As(err, &wire) && !errors.As(err, &frame)
}

// refused decides what an error frame costs. Refusals that the daemon gives
// before it changes anything cost nothing; everything else costs the block.
func (k *Kernel) refused(ctx context.Context, err error) error {
	var wire *pipeproto.Error
	if k.cause == nil && errors.As(err, &wire) && harmless(wire.Code) {
		k.callbacks.forget()
		return err
	}
	if k.cause != nil {
		err = k.cause
	}
	return also(err, k.rollback(ctx))
}

// harmless lists the codes of errors after which an open block is whole.
func harmless(code string) bool {
	switch code {
	case pipeproto.CodeBadRequest, pipeproto.CodeUnknownType, pipeproto.CodeNotFound, pipeproto.CodeExists,
		pipeproto.CodeRefused, pipeproto.CodeVatFault, pipeproto.CodeHeld, pipeproto.CodeDiverged:
		return true
	}
	return false
}

// explain makes an error of the connection one about the process behind it.
// Nothing but Close is left then.
func (k *Kernel) explain(ctx context.Context, msgType string, err error) error {
	k.callbacks.forget()
	status, stderr := k.link.exited()
	exit := &DaemonExitError{During: msgType, Status: status, Stderr: stderr, Err: err}
	k.dead = exit
	if ctx.Err() != nil {
		k.dead = &InterruptedError{Err: ctx.Err()}
	}
	return also(k.dead, k.dropOwnBlock())
}

// Rollback drops the open block on both sides.
func (k *Kernel) Rollback(ctx context.Context) error {
	defer k.leave()
	if err := k.enter(); err != nil {
		return err
	}
	return k.rollback(ctx)
}

func (k *Kernel) rollback(ctx context.Context) error {
	if err := k.dropOwnBlock(); err != nil {
		return err
	}
	crashpoint.Here(crashpoint.HostRollback)
	// The block must go also when ctx has just ended.
	err := k.link.conn.Call(pipeproto.ReqRollback, pipeproto.Empty{}, nil, k.callbacks)
	if err != nil && !answered(err) {
		return k.explain(ctx, pipeproto.ReqRollback, err)
	}
	return err
}

func (k *Kernel) dropOwnBlock() error {
	k.callbacks.forget()
	k.testLog = k.testLog[:k.settled]
	clear(k.resolved)
	k.changed = false
	return k.db.Rollback()
}
