package store

import (
	"slices"
	"sort"
)

// entry is the value of a key, or its absence.
type entry struct {
	value  string
	exists bool
}

// overlay holds what a crank changed in kv and what it read there.
type overlay struct {
	changed map[string]entry
	order   []string // the keys of changed, the first inOrder of them sorted
	inOrder int
	base    map[string]entry // what the block holds under a key
}

func newOverlay() overlay {
	return overlay{changed: map[string]entry{}, base: map[string]entry{}}
}

func (o *overlay) set(key string, e entry) {
	if _, ok := o.changed[key]; !ok {
		n := len(o.order)
		if o.inOrder == n && (n == 0 || o.order[n-1] < key) {
			o.inOrder++ // a walk that changes keys as it goes
		}
		o.order = append(o.order, key)
	}
	o.changed[key] = e
}

// sorted gives the changed keys in order. They are sorted when somebody asks,
// not as they come: a large crank sets many and asks seldom.
func (o *overlay) sorted() []string {
	if o.inOrder < len(o.order) {
		slices.Sort(o.order)
		o.inOrder = len(o.order)
	}
	return o.order
}

// nextExisting gives the least key above prior with the prefix that the crank set.
func (o *overlay) nextExisting(prior, prefix string) (string, bool) {
	keys := o.sorted()
	for i := sort.SearchStrings(keys, max(prior, prefix)); i < len(keys); i++ {
		key := keys[i]
		if len(key) < len(prefix) || key[:len(prefix)] != prefix {
			return "", false
		}
		if key > prior && o.changed[key].exists {
			return key, true
		}
	}
	return "", false
}

// change is one key that a crank leaves different from how it found it.
type change struct {
	key string
	was entry
	entry
}

// changes gives the changed keys, sorted, without those that came back to the
// value the block holds. load reads that value.
func (o *overlay) changes(load func(key string) (entry, error)) ([]change, error) {
	var out []change
	for _, key := range o.sorted() {
		was, err := load(key)
		if err != nil {
			return nil, err
		}
		if now := o.changed[key]; now != was {
			out = append(out, change{key, was, now})
		}
	}
	return out, nil
}
