package kernelhost

import (
	"context"
	"maps"
	"slices"
	"strings"

	"vatworkerd/store"
)

// mapKeys are tables as a crank, or a test, has them in memory.
type mapKeys struct {
	kv     map[string]string
	sorted []string
}

func newMapKeys(kv map[string]string) mapKeys {
	return mapKeys{kv, slices.Sorted(maps.Keys(kv))}
}

func (m mapKeys) get(key string) (string, bool, error) {
	value, ok := m.kv[key]
	return value, ok, nil
}

func (m mapKeys) each(prefix string, visit func(key, value string) error) error {
	at, _ := slices.BinarySearch(m.sorted, prefix)
	for _, key := range m.sorted[at:] {
		if !strings.HasPrefix(key, prefix) {
			return nil
		}
		if err := visit(key, m.kv[key]); err != nil {
			return err
		}
	}
	return nil
}

// auditTables compares what the tables say with what they should.
func auditTables(kv map[string]string, items []fakeItem) error {
	a := store.NewAudit(context.Background(), nil)
	c := newAuditor(a, newMapKeys(kv), Daemon{EachItem: func(visit func(DaemonItem) error) error {
		for _, item := range items {
			if err := visit(DaemonItem{Item: item.Item}); err != nil {
				return err
			}
		}
		return nil
	}})
	for _, check := range []func() error{c.items, c.tables, c.counts, c.garbage, c.authority} {
		if err := check(); err != nil {
			return err
		}
	}
	return a.Err()
}

// tables reads all keys, the open block's included.
func (r *rig) tables() (map[string]string, error) {
	kv := map[string]string{}
	err := store.EachKey(r.k.db, "", func(key, value string) error {
		kv[key] = value
		return nil
	})
	return kv, err
}

// afterUnit audits the tables after every crank, whatever the test is about.
// The host waits for the daemon meanwhile.
func (r *rig) afterUnit(items []fakeItem) {
	if r.fault != nil {
		return
	}
	kv, err := r.tables()
	if err == nil {
		err = auditTables(kv, items)
	}
	if err != nil {
		r.t.Errorf("after a crank: %v", err)
		return
	}
	r.audits++
}
