package supervisor

import (
	"errors"
	"fmt"

	"vatworkerd/transcripts"
)

// Check verifies what must hold between the store's parts: the database's own
// integrity, spans and their hashes, queue lengths, and the kept counts. It
// reads everything and changes nothing.
func (s *Supervisor) Check() error {
	return errors.Join(s.db.Check(), transcripts.Check(s.db), s.checkVats())
}

func (s *Supervisor) checkVats() error {
	kept, err := readCounts(s.db)
	if err != nil {
		return err
	}
	var counted counts
	var problems []error
	key, ok, err := s.db.NextKey(prefixVat, prefixVat)
	for ; ok && err == nil; key, ok, err = s.db.NextKey(key, prefixVat) {
		rec, err := s.recordOf(vatIDOfKey(key, prefixVat))
		if err != nil {
			return err
		}
		now, err := s.settledState(rec)
		if err != nil {
			return err
		}
		counted.Vats++
		counted.add(now, +1)
		problems = append(problems, s.checkQueue(rec, now, &counted))
	}
	if err != nil {
		return err
	}
	if counted != kept {
		problems = append(problems, fmt.Errorf("cannot trust the kept counts: kept %+v, counted %+v", kept, counted))
	}
	return errors.Join(problems...)
}

func (s *Supervisor) checkQueue(rec *record, now state, counted *counts) error {
	var n, runnable int64
	prefix := queuePrefix(rec.ID)
	key, ok, err := s.db.NextKey(prefix, prefix)
	for ; ok && err == nil; key, ok, err = s.db.NextKey(key, prefix) {
		n++
		vatID, has, err := s.db.Get(runKey(orderOfQueueKey(key, prefix)))
		if err != nil {
			return err
		}
		if has && vatID == rec.ID {
			runnable++
		}
	}
	if err != nil {
		return err
	}
	kept, err := readQueueLen(s.db, rec.ID)
	if err != nil {
		return err
	}
	want := n
	if now.holds() {
		want = 0
	}
	counted.Queued += runnable
	counted.Held += n - runnable
	if now == suspended {
		want = runnable // garbage collection may be set aside until it starts
	}
	if kept != n || runnable != want {
		return fmt.Errorf("cannot trust the queue of %s (%s): length kept %d, found %d, runnable %d", rec.ID, now, kept, n, runnable)
	}
	return nil
}
