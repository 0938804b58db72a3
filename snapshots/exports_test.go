package snapshots

import (
	"strings"
	"testing"
)

func TestExportRecords(t *testing.T) {
	for _, row := range []Row{
		{VatID: "v1", SnapPos: 31, Hash: strings.Repeat("ab", 32), InUse: true},
		{VatID: "v12", SnapPos: 0, Hash: strings.Repeat("0", 64)},
	} {
		got, err := ParseExportRecord(row.Place(), row.ExportRecord())
		if err != nil || got != row {
			t.Errorf("%s = %s was read as %v (%v)", row.Place(), row.ExportRecord(), got, err)
		}
	}
	sound := Row{VatID: "v1", SnapPos: 31, Hash: strings.Repeat("ab", 32), InUse: true}
	for _, c := range []struct{ key, record string }{
		{"snapshot.v1.32", sound.ExportRecord()},
		{sound.CurrentKey(), sound.ExportRecord()},
		{sound.Place(), "{}"},
		{sound.Place(), "[]"},
		{sound.Place(), strings.Replace(sound.ExportRecord(), "abab", "ABAB", 1)},
		{sound.Place(), strings.Replace(sound.ExportRecord(), "abab", "../../", 1)},
	} {
		if row, err := ParseExportRecord(c.key, c.record); err == nil {
			t.Errorf("%s = %s was read as %v", c.key, c.record, row)
		}
	}
}
