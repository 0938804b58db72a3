package snapshots

import (
	"slices"
	"sync"
)

// pending are the snapshots that were committed and may not be durable yet.
type pending struct {
	lock sync.Mutex // guards all
	all  []*saving
}

func (p *pending) add(s *saving) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.all = append(p.all, s)
}

func (p *pending) list() []*saving {
	p.lock.Lock()
	defer p.lock.Unlock()
	return slices.Clone(p.all)
}

func (p *pending) drop(s *saving) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.all = slices.DeleteFunc(p.all, func(other *saving) bool { return other == s })
}

// Settle waits until all that was given to CommitLater is durable, and gives the
// first error if something is not: *NoSpaceError, *IOError. Each error is given
// once.
func (d *Dir) Settle() error {
	var first error
	for _, s := range d.pending.list() {
		<-s.done
		if first == nil {
			first = s.err
		}
		d.pending.drop(s)
	}
	return first
}

// waitFor waits for a snapshot that may not be durable yet, and gives the error
// with which it failed.
func (d *Dir) waitFor(hash string) error {
	for _, s := range slices.Backward(d.pending.list()) {
		if s.promised.Hash == hash {
			<-s.done
			return s.err
		}
	}
	return nil
}
