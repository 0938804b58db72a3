package store

// Draft is what somebody has changed in kv for themselves, over the block as its
// last committed crank has left it. A Crank is one that can be committed; others
// are forgotten. It belongs to one goroutine, which need not be the one whose
// cranks go on meanwhile: what a draft has read once stays as it was. Its first
// error sticks: from then on its methods do nothing.
type Draft struct {
	db  *DB
	kv  overlay
	err error
}

// Draft begins one. Nothing ends it.
func (d *DB) Draft() *Draft { return &Draft{db: d, kv: newOverlay()} }

// Err gives the error that sticks.
func (d *Draft) Err() error { return d.err }

// load gives what the block holds under a key; db.mu is held.
func (d *Draft) load(key string) (entry, error) {
	if e, ok := d.kv.base[key]; ok {
		return e, nil
	}
	e, err := d.db.load(key)
	if err != nil {
		return entry{}, err
	}
	d.kv.base[key] = e
	return e, nil
}

// Get gives the value of a key, with the draft's changes.
func (d *Draft) Get(key string) (value string, ok bool) {
	if d.err != nil {
		return "", false
	}
	if e, ok := d.kv.changed[key]; ok {
		return e.value, e.exists
	}
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	if d.err = d.db.readable(); d.err != nil {
		return "", false
	}
	e, err := d.load(key)
	if err != nil {
		d.err = err
		return "", false
	}
	return e.value, e.exists
}

// Set sets a key. Setting the value it has already is no change.
func (d *Draft) Set(key, value string) {
	if d.err == nil {
		d.kv.set(key, entry{value, true})
	}
}

// Delete removes a key; it need not exist.
func (d *Draft) Delete(key string) {
	if d.err == nil {
		d.kv.set(key, entry{})
	}
}

// NextKey gives the least key above prior that starts with prefix, in bytewise
// order, with the draft's changes.
func (d *Draft) NextKey(prior, prefix string) (key string, ok bool) {
	if d.err != nil {
		return "", false
	}
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	if d.err = d.db.readable(); d.err != nil {
		return "", false
	}
	stored, found, err := d.db.nextKey(prior, prefix)
	for found && err == nil {
		if e, changed := d.kv.changed[stored]; !changed || e.exists {
			break
		}
		stored, found, err = d.db.nextKey(stored, prefix)
	}
	if err != nil {
		d.err = err
		return "", false
	}
	own, ok := d.kv.nextExisting(prior, prefix)
	if found && (!ok || stored < own) {
		return stored, true
	}
	return own, ok
}
