package dbdir

import (
	"context"
	"errors"
	"slices"

	"vatworkerd/kernelhost"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/transcripts"
)

// Comparison is how two database directories, A and B, compare.
type Comparison struct {
	A Side `json:"a"`
	B Side `json:"b"`
	// Same tells that nothing that was compared differs.
	Same bool      `json:"same"`
	Vats []VatDiff `json:"vats"` // in the order of their IDs: all that were compared
	// Keys are the first keys of both databases that differ, if all vats were compared.
	Keys []KeyDiff `json:"keys"`
}

// Side is one of the two.
type Side struct {
	Dir           string `json:"db"`
	Height        int64  `json:"height"`
	ActivityHash  string `json:"activityHash"`
	StateHash     string `json:"stateHash"`
	HostStateHash string `json:"hostStateHash"`
}

// VatDiff is how a vat compares.
type VatDiff struct {
	VatID   string              `json:"vatID"`
	Name    string              `json:"name"`
	Same    bool                `json:"same"`
	A       *VatSide            `json:"a,omitempty"` // nil if it has no such vat
	B       *VatSide            `json:"b,omitempty"`
	Parting transcripts.Parting `json:"transcript"`
}

// VatSide is what one of the two says of a vat.
type VatSide struct {
	State       string `json:"state"`
	Incarnation int64  `json:"incarnation"` // of the last one started; -1 = none
	EndPos      int64  `json:"endPos"`      // of its transcript
}

// KeyDiff is a key whose values differ.
type KeyDiff struct {
	Place string  `json:"place"`       // the file and the key
	A     *string `json:"a,omitempty"` // nil if it has no such key
	B     *string `json:"b,omitempty"`
}

// keysShown is how many keys that differ are given, of each of the two databases.
const keysShown = 5

// Diff compares two database directories: their vats with the transcripts, and if
// vatIDs names none also their heights, hashes and keys. What is local to a node is
// not compared. It reads one state of each and changes nothing, whoever uses the
// directories meanwhile. progress may be nil; it is called by this goroutine.
// Errors: those of Open, *store.OutdatedError, *ChangedError, *store.HeightError, ctx's
// error, errors of the disk.
func Diff(ctx context.Context, dirA, dirB string, vatIDs []string, progress func(store.Progress)) (c Comparison, err error) {
	err = unchanged(func() error {
		d := &differ{ctx: ctx, named: vatIDs, progress: progress}
		err := d.run(dirA, dirB)
		c = d.Comparison
		return err
	})
	return c, err
}

type differ struct {
	ctx      context.Context
	named    []string
	progress func(store.Progress)
	a, b     *State
	Comparison
}

func (d *differ) run(dirA, dirB string) (err error) {
	if d.a, err = openSettled(dirA); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.a.Close()) }()
	if d.b, err = openSettled(dirB); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.b.Close()) }()
	err = d.compare()
	for _, s := range []*State{d.a, d.b} {
		if changed := s.changed(); changed != nil {
			err = changed
		}
	}
	return err
}

// openSettled opens a directory as the next opening will find it.
func openSettled(dir string) (*State, error) {
	s, err := Open(dir)
	if err != nil {
		return nil, err
	}
	switch {
	case s.host.Outdated() || s.vats.Outdated():
		err = &store.OutdatedError{Dir: s.dir}
	case s.mismatch != nil:
		err = s.mismatch
	case s.undone:
		err = s.vats.Rewind()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *State) side() Side {
	return Side{
		Dir: s.dir, Height: s.Height(), ActivityHash: s.vats.ActivityHash(), StateHash: s.vats.StateHash(), HostStateHash: s.host.StateHash(),
	}
}

func (d *differ) compare() error {
	d.A, d.B = d.a.side(), d.b.side()
	d.Vats, d.Keys = []VatDiff{}, []KeyDiff{}
	if err := d.vats(); err != nil {
		return err
	}
	d.Same = !slices.ContainsFunc(d.Vats, func(v VatDiff) bool { return !v.Same })
	if len(d.named) > 0 {
		return nil
	}
	one, other := d.A, d.B
	one.Dir, other.Dir = "", ""
	d.Same = d.Same && one == other
	for _, file := range []struct {
		name string
		a, b *store.View
	}{{supervisor.DatabaseFile, d.a.vats, d.b.vats}, {kernelhost.DatabaseFile, d.a.host, d.b.host}} {
		if file.a.StateHash() == file.b.StateHash() {
			continue
		}
		if err := d.keys(file.name, file.a, file.b); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) vats() error {
	one, err := supervisor.ReadFacts(d.a.vats)
	if err != nil {
		return err
	}
	other, err := supervisor.ReadFacts(d.b.vats)
	if err != nil {
		return err
	}
	pairs := d.pairs(one.Vats, other.Vats)
	for i, pair := range pairs {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		if d.progress != nil {
			d.progress(store.Progress{What: "diff", Done: int64(i), Total: int64(len(pairs))})
		}
		v, err := d.vat(pair)
		if err != nil {
			return err
		}
		d.Vats = append(d.Vats, v)
	}
	return nil
}

// vatPair is a vat in both.
type vatPair struct {
	vatID string
	a, b  *supervisor.VatFacts
}

// pairs gives the vats to compare, in the order of the lists.
func (d *differ) pairs(one, other []supervisor.VatFacts) (pairs []vatPair) {
	at := map[string]int{}
	pairOf := func(vatID string) *vatPair {
		i, ok := at[vatID]
		if !ok {
			i = len(pairs)
			at[vatID] = i
			pairs = append(pairs, vatPair{vatID: vatID})
		}
		return &pairs[i]
	}
	for i, f := range one {
		pairOf(f.VatID).a = &one[i]
	}
	for i, f := range other {
		pairOf(f.VatID).b = &other[i]
	}
	if len(d.named) == 0 {
		return pairs
	}
	return slices.DeleteFunc(pairs, func(p vatPair) bool { return !slices.Contains(d.named, p.vatID) })
}

func (d *differ) vat(pair vatPair) (v VatDiff, err error) {
	v.VatID = pair.vatID
	if v.A, err = vatSide(d.a, pair.a); err != nil {
		return v, err
	}
	if v.B, err = vatSide(d.b, pair.b); err != nil {
		return v, err
	}
	for _, f := range []*supervisor.VatFacts{pair.b, pair.a} {
		if f != nil {
			v.Name = f.Name
		}
	}
	if v.A == nil || v.B == nil {
		return v, nil
	}
	v.Parting, err = transcripts.Part(d.a.vats, d.b.vats, v.VatID)
	v.Same = v.Parting.Same() && *v.A == *v.B && pair.a.Name == pair.b.Name
	return v, err
}

func vatSide(s *State, f *supervisor.VatFacts) (*VatSide, error) {
	if f == nil {
		return nil, nil
	}
	spans, err := transcripts.Spans(s.vats, f.VatID)
	if err != nil {
		return nil, err
	}
	side := &VatSide{State: f.State, Incarnation: f.Incarnation}
	if len(spans) > 0 {
		side.EndPos = spans[len(spans)-1].EndPos
	}
	return side, nil
}
