package snapshots

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ExportRecord gives the row as the JavaScript store exports it, under Place.
func (r Row) ExportRecord() string {
	inUse := 0
	if r.InUse {
		inUse = 1
	}
	return fmt.Sprintf(`{"vatID":"%s","snapPos":%d,"hash":"%s","inUse":%d}`, r.VatID, r.SnapPos, r.Hash, inUse)
}

// CurrentKey is where the JavaScript store exports the Place of the row in use.
func (r Row) CurrentKey() string { return "snapshot." + r.VatID + currentSuffix }

const currentSuffix = ".current"

// IsCurrentKey tells keys of CurrentKey.
func IsCurrentKey(key string) bool { return strings.HasSuffix(key, currentSuffix) }

// ParseExportRecord is the inverse of Place and ExportRecord. The record says
// neither incarnation nor size.
func ParseExportRecord(key, record string) (Row, error) {
	var j struct {
		VatID   *string `json:"vatID"`
		SnapPos *int64  `json:"snapPos"`
		Hash    *string `json:"hash"`
		InUse   *int    `json:"inUse"`
	}
	if err := json.Unmarshal([]byte(record), &j); err != nil {
		return Row{}, fmt.Errorf("it is no record of a snapshot: %w", err)
	}
	if j.VatID == nil || j.SnapPos == nil || j.Hash == nil || j.InUse == nil {
		return Row{}, errors.New("it is no record of a snapshot: something is missing")
	}
	r := Row{VatID: *j.VatID, SnapPos: *j.SnapPos, Hash: *j.Hash, InUse: *j.InUse == 1}
	if err := checkHash(r.Hash); err != nil {
		return r, err
	}
	if r.VatID == "" || r.SnapPos < 0 || key != r.Place() {
		return r, fmt.Errorf("it says that its key is %s", r.Place())
	}
	return r, nil
}

// Restore writes a row of another store.
func Restore(c Crank, r Row) error {
	var inUse any
	if r.InUse {
		inUse = 1
	}
	err := c.Exec("INSERT INTO snapshots ("+columns+") VALUES (?, ?, ?, ?, ?, ?)",
		r.VatID, r.SnapPos, r.Incarnation, r.Hash, r.UncompressedSize, inUse)
	if err != nil {
		return fmt.Errorf("cannot restore the record of %s: %w", r.Place(), err)
	}
	note(c, r)
	return nil
}
