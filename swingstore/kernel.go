package swingstore

import (
	"encoding/json"
	"fmt"

	"vatworkerd/store"
)

// kernelRecords are the kernel's own lists of vats (kernelKeeper.js).
type kernelRecords struct {
	static     []namedVat // in the order of their names' bytes, as SwingSet starts them
	dynamic    []string   // in the order of their creation
	terminated []string   // not yet cleaned up, in the order of their termination
	problems   []store.Problem
}

type namedVat struct{ name, vatID string }

const staticPrefix = "vat.name."

func (s *Store) kernelRecords() (kernelRecords, error) {
	var k kernelRecords
	rows, err := s.db.Query("SELECT key, value FROM kvStore WHERE key >= 'vat.name.' AND key < 'vat.name/' ORDER BY key")
	if err != nil {
		return k, err
	}
	for _, row := range rows {
		k.static = append(k.static, namedVat{row.Text(0)[len(staticPrefix):], row.Text(1)})
	}
	if err := s.kvList(&k, "vat.dynamicIDs", &k.dynamic); err != nil {
		return k, err
	}
	return k, s.kvList(&k, "vats.terminated", &k.terminated)
}

// kvList reads a JSON list; an absent one is empty (old kernels have no
// vats.terminated, and a new store no kernel).
func (s *Store) kvList(k *kernelRecords, key string, list *[]string) error {
	text, ok, err := s.kvGet(key)
	if err != nil || !ok {
		return err
	}
	if err := json.Unmarshal([]byte(text), list); err != nil {
		k.problems = append(k.problems, store.Problem{Kind: KindKernel, Place: "kv." + key, What: fmt.Sprintf("it is no list of vat IDs: %v", err)})
	}
	return nil
}

func (s *Store) kvGet(key string) (value string, ok bool, err error) {
	row, ok, err := s.db.QueryRow("SELECT value FROM kvStore WHERE key = ?", key)
	if err != nil || !ok {
		return "", false, err
	}
	return row.Text(0), true, nil
}

// vatOptions are what the kernel records of a vat's options (vVAT.options).
type vatOptions struct {
	Name          string        `json:"name"`
	WorkerOptions workerOptions `json:"workerOptions"`
	MeterID       *string       `json:"meterID"`
	EnableDisavow bool          `json:"enableDisavow"`
	Critical      bool          `json:"critical"`
}

type workerOptions struct {
	Type      string   `json:"type"`
	BundleIDs []string `json:"bundleIDs"`
}

type vatSource struct {
	BundleID   string `json:"bundleID"`
	BundleName string `json:"bundleName"`
}

// vatRecords reads a vat's options and source. Records that are not there, as
// of a vat whose cleanup is under way, read as empty.
func (s *Store) vatRecords(vatID string) (options vatOptions, source vatSource, problems []store.Problem, err error) {
	for _, record := range []struct {
		key  string
		into any
	}{{vatID + ".options", &options}, {vatID + ".source", &source}} {
		text, ok, err := s.kvGet(record.key)
		if err != nil {
			return options, source, nil, err
		}
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(text), record.into); err != nil {
			problems = append(problems, store.Problem{Kind: KindKernel, VatID: vatID, Place: "kv." + record.key, What: fmt.Sprintf("it is no such record: %v", err)})
		}
	}
	return options, source, problems, nil
}
