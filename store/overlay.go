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
	order   []string         // the keys of changed, sorted
	base    map[string]entry // what the block holds under a key
}

func newOverlay() overlay {
	return overlay{changed: map[string]entry{}, base: map[string]entry{}}
}

func (o *overlay) set(key string, e entry) {
	if _, ok := o.changed[key]; !ok {
		i := sort.SearchStrings(o.order, key)
		o.order = slices.Insert(o.order, i, key)
	}
	o.changed[key] = e
}

// nextExisting gives the least key above prior with the prefix that the crank set.
func (o *overlay) nextExisting(prior, prefix string) (string, bool) {
	i := sort.SearchStrings(o.order, max(prior, prefix))
	for ; i < len(o.order); i++ {
		key := o.order[i]
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
	entry
}

// changes gives the changed keys, sorted, without those that came back to the
// value the block holds. load reads that value.
func (o *overlay) changes(load func(key string) (entry, error)) ([]change, error) {
	var out []change
	for _, key := range o.order {
		was, err := load(key)
		if err != nil {
			return nil, err
		}
		if now := o.changed[key]; now != was {
			out = append(out, change{key, now})
		}
	}
	return out, nil
}
