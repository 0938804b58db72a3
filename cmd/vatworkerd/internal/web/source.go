package web

import (
	"context"
	"sync"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// How old what is shown may be, and how much is remembered.
const (
	lookAge       = 500 * time.Millisecond
	listAge       = 2 * time.Second
	lookTime      = 3 * time.Second
	recordEvery   = 5 * time.Second
	historyPoints = 720 // an hour
	maxVats       = 1000
	maxDetails    = 4 // vats looked at in detail at a time
)

// source looks at the daemon for everybody who asks, so that many cost it no more
// than one.
type source struct {
	daemon  watch.Daemon
	details chan struct{}

	mu     sync.Mutex // guards look, and is held while looking, which never takes long
	look   watch.Look
	err    error
	looked time.Time

	listMu sync.Mutex // guards the lists, and is held while listing
	vats   watch.Vats
	before watch.Vats
	listed time.Time
	busy   error // why the list is not of now

	historyMu sync.Mutex // guards history
	history   *watch.History
}

func newSource(d watch.Daemon) *source {
	return &source{daemon: d, details: make(chan struct{}, maxDetails), history: watch.NewHistory(historyPoints)}
}

// now gives a look that is hardly old.
func (s *source) now(ctx context.Context) (watch.Look, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.looked) < lookAge {
		return s.look, s.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
	defer cancel()
	s.look, s.err = s.daemon.Look(ctx)
	s.looked = time.Now()
	return s.look, s.err
}

// rows gives the vats, with their workers of now. busy is why the list is older
// than that, if it is.
func (s *source) rows(ctx context.Context, now watch.Look) (rows []watch.Row, vats watch.Vats, busy error) {
	s.listMu.Lock()
	defer s.listMu.Unlock()
	if time.Since(s.listed) >= listAge {
		vats, err := s.daemon.Vats(ctx, maxVats)
		if s.busy = err; err == nil {
			s.before, s.vats = s.vats, vats
		}
		s.listed = time.Now()
	}
	return watch.Rows(now, s.vats, s.before), s.vats, s.busy
}

// detail gives all about one vat.
func (s *source) detail(ctx context.Context, vatID string) (watch.Detail, error) {
	select {
	case s.details <- struct{}{}:
		defer func() { <-s.details }()
	case <-ctx.Done():
		return watch.Detail{}, ctx.Err()
	}
	return s.daemon.Detail(ctx, vatID)
}

// record keeps the history until ctx ends.
func (s *source) record(ctx context.Context) {
	ticker := time.NewTicker(recordEvery)
	defer ticker.Stop()
	for {
		if look, err := s.now(ctx); err == nil {
			s.add(watch.PointOf(look))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *source) add(p watch.Point) {
	s.historyMu.Lock()
	defer s.historyMu.Unlock()
	s.history.Add(p)
}

// points gives the history, oldest first.
func (s *source) points() []watch.Point {
	s.historyMu.Lock()
	defer s.historyMu.Unlock()
	return append([]watch.Point(nil), s.history.Points()...)
}
