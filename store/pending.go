package store

import (
	"errors"
	"strings"

	"github.com/tidwall/btree"
)

// pending is what committed cranks of the open block have changed in kv and SQLite
// has not been told yet: most keys that cranks set are changed again, or deleted,
// by later ones of the same block. It goes into the block's transaction when the
// block is sealed, or before a crank when there is much of it; in between the kv
// table stays as it is, so that what was found in it can be kept.
type pending struct {
	keys  btree.Map[string, pendingEntry]
	bytes int
	due   bool // a walk met so many deleted keys that the table should be rid of them

	first map[string][]Row     // what the table has first of a prefix, at most firstRows
	next  map[[2]string]string // the key that the table has after a prior one of a prefix, "" = none
}

// pendingEntry is what the table will have under a key.
type pendingEntry struct {
	entry
	stored bool // the table has the key, with some value
}

const (
	// pendingBytes bounds what waits, keys and values together.
	pendingBytes = 8 << 20
	// longWalk is how many keys that are only in the table any more a walk may meet.
	longWalk = 64
	// firstRows is how many rows of a prefix are read at once.
	firstRows = 64
	// mostNext bounds what is kept of the table's order.
	mostNext = 4096
)

// put takes what a crank has changed. Of a key that came and went nothing stays:
// no walk has to pass it.
func (p *pending) put(changes []change) {
	for _, ch := range changes {
		stored := ch.was.exists
		if old, had := p.keys.Get(ch.key); had {
			p.bytes -= len(ch.key) + len(old.value)
			stored = old.stored
		}
		if !ch.exists && !stored {
			p.keys.Delete(ch.key)
			continue
		}
		p.keys.Set(ch.key, pendingEntry{ch.entry, stored})
		p.bytes += len(ch.key) + len(ch.value)
	}
}

// forget must be called whenever the table changes: what was pending is in it, or
// has gone with the block.
func (p *pending) forget() { *p = pending{} }

// flush writes what is pending into the block's transaction; d.mu is held and no
// crank is open. An error costs the block.
func (d *DB) flush() (err error) {
	if d.pending.keys.Len() > 0 && !d.conn.inTransaction() {
		return errNoTransaction
	}
	d.pending.keys.Scan(func(key string, e pendingEntry) bool {
		if e.exists {
			err = d.exec("exec", "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, e.value)
		} else {
			err = d.exec("exec", "DELETE FROM kv WHERE key = ?", key)
		}
		return err == nil
	})
	if err == nil {
		d.pending.forget()
	}
	return err
}

// errNoTransaction says that SQLite has ended the block's transaction by itself,
// after an error of the disk that a reader met.
var errNoTransaction = errors.New("the block's transaction has ended")

// flushIfDue is flush where it is better not to wait for the end of the block.
func (d *DB) flushIfDue() error {
	if !d.pending.due && d.pending.bytes <= pendingBytes {
		return nil
	}
	if err := d.flush(); err != nil {
		return &BlockLostError{d.loseBlock(err)}
	}
	return nil
}

// nextKey gives the least key above prior that starts with prefix, of the block;
// d.mu is held.
func (d *DB) nextKey(prior, prefix string) (string, bool, error) {
	stored, found, err := d.storedNext(prior, prefix)
	for walked := 0; found && err == nil; walked++ {
		if e, changed := d.pending.keys.Get(stored); !changed || e.exists {
			break
		}
		d.pending.due = d.pending.due || walked == longWalk
		stored, found, err = d.storedNext(stored, prefix)
	}
	if err != nil {
		return "", false, err
	}
	own, ok := d.pending.after(prior, prefix)
	if found && (!ok || stored < own) {
		return stored, true, nil
	}
	return own, ok, nil
}

// storedNext is kvNext of the table.
func (d *DB) storedNext(prior, prefix string) (string, bool, error) {
	at := [2]string{prior, prefix}
	if key, ok := d.pending.next[at]; ok {
		return key, key != "", nil
	}
	key, ok, err := kvNext(d, prior, prefix)
	if err != nil || !d.inBlock {
		return key, ok, err
	}
	if d.pending.next == nil || len(d.pending.next) >= mostNext {
		d.pending.next = map[[2]string]string{}
	}
	d.pending.next[at] = key
	return key, ok, nil
}

// after gives the least pending key above prior that starts with prefix and exists.
func (p *pending) after(prior, prefix string) (found string, ok bool) {
	p.keys.Ascend(max(prior, prefix), func(key string, e pendingEntry) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		if e.exists && key > prior {
			found, ok = key, true
		}
		return !ok
	})
	return found, ok
}

// page gives up to most pairs of the block, in order, whose keys start with prefix
// and are at least from; d.mu is held.
func (d *DB) page(from, prefix string, most int) ([]Row, error) {
	var out []Row
	for len(out) < most {
		stored, err := d.storedFirst(from, prefix)
		if err != nil {
			return nil, err
		}
		last, more := "", len(stored) == firstRows
		if more {
			last = stored[len(stored)-1].Text(0)
		}
		out = d.pending.merge(out, stored, from, prefix, last, most)
		if !more {
			break
		}
		from = last + "\x00" // the least key above
	}
	return out[:min(len(out), most)], nil
}

// storedFirst gives the first rows of the table from a key of a prefix on.
func (d *DB) storedFirst(from, prefix string) ([]Row, error) {
	if rows, ok := d.pending.first[prefix]; ok && from == prefix {
		return rows, nil
	}
	query, args := firstKeys(prefix, firstRows)
	args[0] = from
	rows, err := d.rows("query", -1, query, args...)
	if err != nil || from != prefix || !d.inBlock {
		return rows, err
	}
	if d.pending.first == nil || len(d.pending.first) >= mostNext/firstRows {
		d.pending.first = map[string][]Row{}
	}
	d.pending.first[prefix] = rows
	return rows, nil
}

// merge appends rows of the table, and what is pending between from and last ("" =
// the end), in order. Once there are most rows it stops: what is behind them means
// nothing.
func (p *pending) merge(out, stored []Row, from, prefix, last string, most int) []Row {
	gone := 0
	keep := func(row Row) {
		if _, changed := p.keys.Get(row.Text(0)); changed {
			gone++
			return
		}
		out = append(out, row)
	}
	p.keys.Ascend(max(from, prefix), func(key string, e pendingEntry) bool {
		if len(out) >= most || !strings.HasPrefix(key, prefix) || last != "" && key > last {
			return false
		}
		for len(stored) > 0 && stored[0].Text(0) < key {
			keep(stored[0])
			stored = stored[1:]
		}
		if e.exists {
			out = append(out, Row{key, e.value})
		}
		return true
	})
	for _, row := range stored {
		keep(row)
	}
	p.due = p.due || gone >= firstRows/2
	return out
}
