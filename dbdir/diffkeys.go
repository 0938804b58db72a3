package dbdir

import (
	"errors"
	"iter"

	"vatworkerd/store"
)

// keys finds the first keys of a file that differ.
func (d *differ) keys(file string, a, b *store.View) error {
	one, other := walkKeys(a), walkKeys(b)
	defer one.stop()
	defer other.stop()
	for shown := 0; (one.ok || other.ok) && shown < keysShown; {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		diff := KeyDiff{}
		isOne, isOther := one.ok && (!other.ok || one.key <= other.key), other.ok && (!one.ok || other.key <= one.key)
		if isOther {
			diff.Place = file + " kv." + other.key
			diff.B = other.take()
		}
		if isOne {
			diff.Place = file + " kv." + one.key
			diff.A = one.take()
		}
		if !isOne || !isOther || *diff.A != *diff.B {
			d.Keys = append(d.Keys, diff)
			shown++
		}
	}
	return errors.Join(one.failed, other.failed)
}

// keyWalk stands at a key of a database, if ok.
type keyWalk struct {
	key, value string
	ok         bool
	next       func() (key, value string, ok bool)
	stop       func()
	failed     error
}

// errEnough ends a walk that nobody wants to see the end of.
var errEnough = errors.New("enough")

// walkKeys stands at the first key. The walk must be stopped.
func walkKeys(v *store.View) *keyWalk {
	w := &keyWalk{}
	w.next, w.stop = iter.Pull2(func(yield func(key, value string) bool) {
		err := store.EachKey(v, "", func(key, value string) error {
			if !yield(key, value) {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			w.failed = err
		}
	})
	w.key, w.value, w.ok = w.next()
	return w
}

// take gives the value and goes on to the next key.
func (w *keyWalk) take() *string {
	value := w.value
	w.key, w.value, w.ok = w.next()
	return &value
}
