package transcripts

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"vatworkerd/store"
)

func TestSpansAreExportedAndRestored(t *testing.T) {
	from, to := openTest(t), openTest(t)
	inCrank(t, from, func(c *store.Crank) { fill(t, c, "v1", 5, 70, 0) })
	spans, err := Spans(from, "v1")
	must(t, err)
	for _, span := range spans {
		var artifact strings.Builder
		must(t, span.WriteItems(from, &artifact))
		read, err := ParseExportRecord(span.ExportKey(), span.ExportRecord())
		must(t, err)
		inCrank(t, to, func(c *store.Crank) {
			must(t, Restore(c, read))
			must(t, RestoreItems(c, read, strings.NewReader(artifact.String())))
		})
	}
	restored, err := Spans(to, "v1")
	must(t, err)
	if !slices.Equal(restored, spans) {
		t.Errorf("restored %v, want %v", restored, spans)
	}
	want, err := Items(from, "v1", 0, 75)
	must(t, err)
	got, err := Items(to, "v1", 0, 75)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Error("the items are others")
	}
}

func TestRestoreItemsChecksThem(t *testing.T) {
	span := Span{VatID: "v1", StartPos: 3, EndPos: 5, Hash: NextSpanHash(NextSpanHash(EmptySpanHash(), item(3)), item(4))}
	sound := item(3) + "\n" + item(4) + "\n"
	for name, c := range map[string]struct {
		artifact string
		hash     bool // else the number
	}{
		"altered": {strings.Replace(sound, "ok", "no", 1), true},
		"swapped": {item(4) + "\n" + item(3) + "\n", true},
		"short":   {item(3) + "\n", false},
		"long":    {sound + item(5) + "\n", false},
		"empty":   {"", false},
	} {
		db := openTest(t)
		c1, err := db.BeginCrank()
		must(t, err)
		err = RestoreItems(c1, span, strings.NewReader(c.artifact))
		c1.Abort()
		var hash *HashError
		var number *ItemCountError
		if c.hash && !errors.As(err, &hash) || !c.hash && !errors.As(err, &number) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseExportRecordRefuses(t *testing.T) {
	sound := Span{VatID: "v1", StartPos: 3, EndPos: 5, Hash: EmptySpanHash(), IsCurrent: true}
	for _, c := range []struct{ key, record string }{
		{"transcript.v1.3", sound.ExportRecord()},
		{"transcript.v2.current", sound.ExportRecord()},
		{sound.ExportKey(), "{}"},
		{sound.ExportKey(), "null"},
		{sound.ExportKey(), "["},
		{sound.ExportKey(), strings.Replace(sound.ExportRecord(), `"startPos":3`, `"startPos":9`, 1)},
		{sound.ExportKey(), strings.Replace(sound.ExportRecord(), `"startPos":3`, `"startPos":-3`, 1)},
		{"transcript.v1.x.current", strings.Replace(sound.ExportRecord(), `"v1"`, `"v1.x"`, 1)},
	} {
		if s, err := ParseExportRecord(c.key, c.record); err == nil {
			t.Errorf("%s = %s was read as %v", c.key, c.record, s)
		}
	}
}
