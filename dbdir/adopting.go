package dbdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"vatworkerd/internal/staging"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/swingstore"
	"vatworkerd/transcripts"
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
	for _, v := range t.vats {
		if err := t.vat(v); err != nil {
			return err
		}
	}
	if err := t.records(); err != nil {
		return err
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

// takeBundles takes those of the vats, and those that have names.
func (t *takeover) takeBundles() error {
	wanted := map[string]bool{}
	for _, v := range t.vats {
		wanted[v.BundleID] = true
	}
	err := t.s.EachKey("namedBundleID.", func(_, id string) error {
		wanted[id] = wanted[id] || bundleHash.MatchString(id)
		return nil
	})
	if err != nil {
		return err
	}
	t.bundles = map[string]bool{}
	return inCrank(t.db, func(c *store.Crank) error {
		for _, id := range sortedKeys(wanted) {
			if !wanted[id] {
				continue
			}
			if err := t.step(bundleKey + id); err != nil {
				return err
			}
			data, err := t.s.BundleText(id)
			if err != nil {
				return err
			}
			if err := c.PutBundle(id, data); err != nil {
				return err
			}
			t.bundles[id] = true
		}
		return nil
	})
}

// vat takes a vat's storage, transcript and heaps.
func (t *takeover) vat(v swingstore.Vat) (err error) {
	taken := TakenVat{VatID: v.VatID, Name: v.Name, Incarnation: v.Incarnation}
	if taken.Keys, err = t.storage(v.VatID); err != nil {
		return err
	}
	if err := t.transcript(v.VatID, &taken); err != nil {
		return err
	}
	heaps, err := t.s.Heaps(v.VatID)
	if err != nil {
		return err
	}
	for _, heap := range heaps {
		// Files of other incarnations would be the first to go.
		if heap.HasContent && heap.Incarnation == v.Incarnation {
			if heap.UncompressedSize, err = t.heap(heap); err != nil {
				return err
			}
			taken.Snapshots++
		}
		if heap.UncompressedSize == 0 {
			continue // nobody knows it any more
		}
		if err := inCrank(t.db, func(c *store.Crank) error { return snapshots.Restore(c, heap.Row) }); err != nil {
			return err
		}
	}
	t.result.Vats = append(t.result.Vats, taken)
	return nil
}

func (t *takeover) storage(vatID string) (keys int64, err error) {
	w, prefix := &keyWriter{db: t.db}, vatID+".vs."
	err = t.s.EachKey(prefix, func(key, value string) error {
		if keys++; t.ctx.Err() != nil {
			return t.ctx.Err()
		}
		return w.put(supervisor.VatstoreKey(vatID, key[len(prefix):]), &value)
	})
	if err != nil {
		return keys, err
	}
	return keys, w.flush()
}

// transcript takes the records of all spans, and the items of those that are there
// whole.
func (t *takeover) transcript(vatID string, taken *TakenVat) error {
	spans, err := transcripts.Spans(t.s.Transcripts(), vatID)
	if err != nil {
		return err
	}
	for _, span := range spans {
		if err := t.step(span.Place()); err != nil {
			return err
		}
		err := inCrank(t.db, func(c *store.Crank) error { return t.span(c, span, taken) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *takeover) span(c *store.Crank, span transcripts.Span, taken *TakenVat) error {
	if err := transcripts.Restore(c, span); err != nil {
		return err
	}
	row, _, err := t.s.Transcripts().QueryRow("SELECT count(*) FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?", span.VatID, span.StartPos, span.EndPos)
	if err != nil {
		return err
	}
	if row.Int64(0) != span.EndPos-span.StartPos && !span.IsCurrent {
		return nil // it was pruned
	}
	taken.Spans++
	taken.Items += span.EndPos - span.StartPos
	return transcripts.CopyItems(c, span, t.s.Transcripts())
}

// heap takes the content of a heap and gives its size.
func (t *takeover) heap(heap swingstore.Heap) (size int64, err error) {
	if err := t.step(heap.Place()); err != nil {
		return 0, err
	}
	content, err := heap.Open()
	if err != nil {
		return 0, err
	}
	w, err := t.heaps.Create("")
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	if size, err = io.Copy(w, &measuredReader{Reader: content, ctx: t.ctx}); err != nil {
		return 0, err
	}
	_, err = w.Commit()
	return size, err
}

// records writes what both sides keep of the vats.
func (t *takeover) records() error {
	origin, _, err := t.s.Get("activityhash")
	if err != nil {
		return err
	}
	cfg, err := t.schedule()
	if err != nil {
		return err
	}
	var admins []pipeproto.AdminNode
	err = inCrank(t.db, func(c *store.Crank) error {
		admins, err = supervisor.Adopt(c, origin, cfg, t.adopted())
		return err
	})
	if err != nil {
		return err
	}
	names := ownNames(t.vats)
	vats := make([]kernelhost.AdoptedVat, len(t.vats))
	for i, admin := range admins {
		vats[i] = kernelhost.AdoptedVat{VatID: admin.VatID, Name: names[admin.VatID], AdminKey: admin.Key}
	}
	return inCrank(t.hostDB, func(c *store.Crank) error {
		return kernelhost.Adopt(c, t.s, vats, func(id string) bool { return t.bundles[id] })
	})
}
