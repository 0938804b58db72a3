package dbdir

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"vatworkerd/internal/staging"
	"vatworkerd/kernelhost"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/swingstore"
)

// TakeOverOptions say how TakeOver takes vats over.
type TakeOverOptions struct {
	// VatIDs are the vats that are wanted, all of which must be fit; nil = all that are.
	VatIDs []string
	// ImageID and WorkerBundleIDs are those of the worker image that the vats go on on.
	ImageID         string
	WorkerBundleIDs []string
	// Progress, if set, is called by the goroutine of TakeOver.
	Progress func(store.Progress)
}

// TakenOver is the result of TakeOver.
type TakenOver struct {
	From          string     `json:"swingstore"`
	DB            string     `json:"db"`
	Height        int64      `json:"height"`
	ActivityHash  string     `json:"activityHash"`
	StateHash     string     `json:"stateHash"`
	HostStateHash string     `json:"hostStateHash"`
	Vats          []TakenVat `json:"vats"`
	// Left are the vats that stayed behind, each with the reason.
	Left []LeftVat `json:"left"`
}

// TakenVat is a vat that goes on in the new database.
type TakenVat struct {
	VatID       string `json:"vatID"`
	Name        string `json:"name"`
	Incarnation int64  `json:"incarnation"`
	Spans       int64  `json:"spans"` // whose items came along
	Items       int64  `json:"items"`
	Snapshots   int64  `json:"snapshots"` // whose content came along
	Keys        int64  `json:"keys"`      // of its storage
}

// LeftVat is a vat that could not be taken over, or was not asked for.
type LeftVat struct {
	VatID  string `json:"vatID"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// TakeOver makes a database directory, to, in which vats of a swing-store go on:
// with their storage, transcripts, heap snapshots, bundles, options and c-lists, in
// the incarnation that they are in. to must be empty or not be there yet. Every hash
// is checked on the way, and the whole before it gets its place. Errors:
// *UnfitError, *DamagedError, *kernelhost.AdoptError, *swingstore.NoVatError,
// *UnsoundError, *staging.NotEmptyError, *swingstore.ChangedError, ctx's, those of the
// disk; then nothing is left in to.
func TakeOver(ctx context.Context, s *swingstore.Store, to string, opts TakeOverOptions) (result TakenOver, err error) {
	t := &takeover{s: s, ctx: ctx, opts: opts, result: TakenOver{From: s.Dir(), Vats: []TakenVat{}, Left: []LeftVat{}}}
	if err := t.choose(); err != nil {
		return result, err
	}
	if t.dir, err = staging.Begin(to); err != nil {
		return result, diskError(fmt.Errorf("cannot make a database: %w", err))
	}
	if err := t.run(); err != nil {
		t.dir.Discard()
		return result, diskError(damaged(err))
	}
	if err := t.dir.Publish(); err != nil {
		return result, diskError(err)
	}
	t.result.DB = t.dir.Target()
	return t.result, nil
}

// takeover is one TakeOver.
type takeover struct {
	s          *swingstore.Store
	ctx        context.Context
	opts       TakeOverOptions
	vats       []swingstore.Vat // that go on
	bundles    map[string]bool  // that came along
	done       int64
	dir        *staging.Dir
	hostDB, db *store.DB
	heaps      *snapshots.Dir
	result     TakenOver
}

// choose finds out which vats go on, and why the others do not.
func (t *takeover) choose() error {
	if _, ours, err := t.s.Get(originKey); err != nil {
		return err
	} else if ours {
		return &OursError{Dir: t.s.Dir()}
	}
	if err := kernelhost.CheckSwingset(t.s); err != nil {
		return err
	}
	list, err := t.s.Vats()
	if err != nil {
		return err
	}
	for _, id := range t.opts.VatIDs {
		if !slices.ContainsFunc(list.Vats, func(v swingstore.Vat) bool { return v.VatID == id }) {
			return &swingstore.NoVatError{VatID: id}
		}
	}
	for _, v := range list.Vats {
		why, err := t.whyNot(v)
		if err != nil {
			return err
		}
		asked := slices.Contains(t.opts.VatIDs, v.VatID)
		switch {
		case why != "" && asked:
			return &UnfitError{VatID: v.VatID, Name: v.Name, Why: why}
		case why != "":
			t.result.Left = append(t.result.Left, LeftVat{v.VatID, v.Name, why})
		case t.opts.VatIDs != nil && !asked:
			t.result.Left = append(t.result.Left, LeftVat{v.VatID, v.Name, "it was not asked for"})
		default:
			t.vats = append(t.vats, v)
		}
	}
	if len(t.vats) == 0 {
		return &UnfitError{Why: "the store has no vat that could go on here", Left: t.result.Left}
	}
	return nil
}

func (t *takeover) whyNot(v swingstore.Vat) (string, error) {
	why, err := t.s.WhyNotOn(v, t.opts.WorkerBundleIDs)
	if err != nil || why != "" {
		return why, err
	}
	return kernelhost.WhyNotAdopt(t.s, v.VatID)
}

func (t *takeover) path(name string) string { return filepath.Join(t.dir.Path(), name) }

func (t *takeover) run() error {
	err := t.fill()
	for _, db := range []*store.DB{t.hostDB, t.db} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if err == nil {
		err = t.s.Changed()
	}
	if err != nil {
		return err
	}
	found, err := Verify(t.ctx, t.dir.Path(), t.opts.Progress)
	if err != nil {
		return err
	}
	t.result.Height, t.result.ActivityHash = found.Height, found.ActivityHash
	t.result.StateHash, t.result.HostStateHash = found.StateHash, found.HostStateHash
	if !found.OK() {
		return &UnsoundError{Export: t.result.From, Problems: found.Problems}
	}
	return nil
}

func (t *takeover) fill() (err error) {
	if t.hostDB, err = store.Open(t.path(kernelhost.DatabaseFile), store.Options{}); err != nil {
		return err
	}
	if t.db, err = store.Open(t.path(supervisor.DatabaseFile), store.Options{Undo: true}); err != nil {
		return err
	}
	if t.heaps, err = snapshots.OpenDir(t.path(supervisor.SnapshotDir)); err != nil {
		return err
	}
	if err := t.takeBundles(); err != nil {
		return err
	}
	if err := t.records(); err != nil {
		return err
	}
	for _, v := range t.vats {
		if err := t.vat(v); err != nil {
			return err
		}
	}
	if err := t.db.Prepare(1); err != nil {
		return err
	}
	if err := t.hostDB.Commit(1); err != nil {
		return err
	}
	return t.db.Commit(1)
}

// step tells of the artifact that comes.
func (t *takeover) step(name string) error {
	t.done++
	if t.opts.Progress != nil {
		t.opts.Progress(store.Progress{What: name, Done: t.done, Total: max(t.done, int64(3*len(t.vats)))})
	}
	return t.ctx.Err()
}
