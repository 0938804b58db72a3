package supervisor

import "vatworkerd/store"

// scratch is a copy on write of one vat's vatstore. Its reads of the store go
// through read, to the goroutine that owns it.
type scratch struct {
	prefix  string
	changed map[string]*string // nil = deleted
	read    func(func())
	db      *store.DB
	failed  error
}

func (v *scratch) get(key string) string {
	if value, ok := v.changed[key]; ok {
		if value == nil {
			return ""
		}
		return *value
	}
	var value string
	v.read(func() {
		text, _, err := v.db.Get(v.prefix + key)
		value = text
		v.keep(err)
	})
	return value
}

func (v *scratch) set(key, value string) { v.changed[key] = &value }
func (v *scratch) remove(key string)     { v.changed[key] = nil }

// nextKey merges the store's keys with the changed ones.
func (v *scratch) nextKey(prior string) (string, bool) {
	best, found := v.nextStored(prior)
	for key, value := range v.changed {
		if value != nil && key > prior && (!found || key < best) {
			best, found = key, true
		}
	}
	return best, found
}

func (v *scratch) nextStored(prior string) (key string, found bool) {
	v.read(func() {
		for at := v.prefix + prior; ; {
			next, ok, err := v.db.NextKey(at, v.prefix)
			v.keep(err)
			if err != nil || !ok {
				return
			}
			if value, changed := v.changed[next[len(v.prefix):]]; !changed || value != nil {
				key, found = next[len(v.prefix):], true
				return
			}
			at = next
		}
	})
	return key, found
}

func (v *scratch) keep(err error) {
	if v.failed == nil {
		v.failed = err
	}
}
