package store

// recentBytes bounds what recent holds, keys and values together.
const recentBytes = 8 << 20

// recent remembers what kv holds under keys that were read or written lately,
// as of the last committed crank. A crank reads the same records, counters and
// c-list entries as the ones before it.
type recent struct {
	entries map[string]entry
	bytes   int
}

func (r *recent) get(key string) (entry, bool) {
	e, ok := r.entries[key]
	return e, ok
}

// put remembers a key. When there is no room all is forgotten: what is needed
// comes back with the next reads.
func (r *recent) put(key string, e entry) {
	if old, ok := r.entries[key]; ok {
		r.bytes -= len(key) + len(old.value)
	}
	size := len(key) + len(e.value)
	if r.bytes+size > recentBytes {
		r.forget()
	}
	if r.entries == nil {
		r.entries = map[string]entry{}
	}
	r.entries[key] = e
	r.bytes += size
}

// forget must be called whenever kv goes back to an earlier state.
func (r *recent) forget() { r.entries, r.bytes = nil, 0 }

// load gives what the open block holds under a key; d.mu is held.
func (d *DB) load(key string) (entry, error) {
	if e, ok := d.recent.get(key); ok {
		return e, nil
	}
	if e, ok := d.pending.keys.Get(key); ok {
		return e.entry, nil
	}
	value, exists, err := kvGet(d, key)
	if err != nil {
		return entry{}, err
	}
	e := entry{value, exists}
	d.recent.put(key, e)
	return e, nil
}
