package swingstore

import (
	"fmt"
	"strconv"
	"strings"

	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// exports checks the export records that wait in pendingExports for the next
// commit of the host (swingStore.js): each must say what the store says now.
// Hosts that take no export data, and all stores between commits, have none.
func (v *verifier) exports(vatID string) error {
	_, ok, err := v.s.db.QueryRow("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'pendingExports'")
	if err != nil || !ok {
		return v.Survive("", "pendingExports", err)
	}
	rows, err := v.s.db.Query("SELECT key, value FROM pendingExports ORDER BY key")
	if err != nil {
		return v.Survive("", "pendingExports", err)
	}
	for _, row := range rows {
		key := row.Text(0)
		if vatID != "" && !ofVat(key, vatID) {
			continue
		}
		v.Count(countExportRecords, 1)
		if err := v.Survive("", key, v.export(key, row)); err != nil {
			return err
		}
	}
	return nil
}

func ofVat(key, vatID string) bool {
	for _, prefix := range []string{"transcript.", "snapshot.", "kv."} {
		if strings.HasPrefix(key, prefix+vatID+".") {
			return true
		}
	}
	return false
}

func (v *verifier) export(key string, row store.Row) error {
	want, there, known, err := v.s.exportRecord(key)
	if err != nil {
		return err
	}
	wrong := store.Problem{Kind: KindExport, Place: "pendingExports." + key}
	got := row.Text(1)
	switch {
	case !known:
		wrong.What = "it is of no known kind"
	case there && row.IsNull(1):
		wrong.What, wrong.Expected, wrong.Got = "it deletes a record that the store has", want, "nothing"
	case !there && !row.IsNull(1):
		wrong.What, wrong.Expected, wrong.Got = "it is a record that the store does not have", "nothing", got
	case there && got != want:
		wrong.What, wrong.Expected, wrong.Got = "it is not what the store says", want, got
	default:
		return nil
	}
	v.Add(wrong)
	return nil
}

// exportRecord gives the record that the store would export under a key. known
// is false for a key of no known form.
func (s *Store) exportRecord(key string) (value string, there, known bool, err error) {
	kind, rest, _ := strings.Cut(key, ".")
	switch kind {
	case "kv":
		value, there, err = s.kvGet(rest)
		return value, there, true, err
	case "bundle":
		_, there, err = s.bundle(rest)
		return rest, there, true, err
	}
	vatID, position, ok := strings.Cut(rest, ".")
	at, atErr := strconv.ParseInt(position, 10, 64)
	if !ok || atErr != nil && position != "current" {
		return "", false, false, nil
	}
	switch {
	case kind == "transcript":
		value, there, err = s.spanRecord(key, vatID)
		return value, there, true, err
	case kind == "snapshot" && position == "current":
		row, ok, err := s.snapshotInUse(vatID)
		if err != nil || !ok {
			return "", false, true, err
		}
		return fmt.Sprintf("snapshot.%s.%d", vatID, row.Int64(0)), true, true, nil
	case kind == "snapshot":
		value, there, err = s.snapshotRecord(vatID, at)
		return value, there, true, err
	}
	return "", false, false, nil
}

func (s *Store) spanRecord(key, vatID string) (string, bool, error) {
	spans, err := transcripts.Spans(s.db, vatID)
	for _, span := range spans {
		if span.ExportKey() == key {
			return span.ExportRecord(), true, nil
		}
	}
	return "", false, err
}

func (s *Store) snapshotRecord(vatID string, snapPos int64) (string, bool, error) {
	row, ok, err := s.db.QueryRow("SELECT hash, inUse FROM snapshots WHERE vatID = ? AND snapPos = ?", vatID, snapPos)
	if err != nil || !ok {
		return "", false, err
	}
	return fmt.Sprintf(`{"vatID":"%s","snapPos":%d,"hash":"%s","inUse":%d}`, vatID, snapPos, row.Text(0), row.Int64(1)), true, nil
}
