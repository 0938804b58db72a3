package workerlogs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestLongTextsAreCut(t *testing.T) {
	e := said("v1", 1)
	e.Text = strings.Repeat("é", maxTextBytes)
	e.Name = strings.Repeat("n", 2*maxNameBytes)
	e.bound()
	if len(e.Text) != maxTextBytes || e.Bytes != 2*maxTextBytes || !utf8.ValidString(e.Text) || len(e.Name) != maxNameBytes {
		t.Errorf("%d bytes of %d, name %d", len(e.Text), e.Bytes, len(e.Name))
	}
	e.Text = strings.Repeat("\x01", maxTextBytes)
	line, err := appendLine(nil, e)
	if err != nil || len(line) > MinVatBytes/2 || len(line) > longestLineBytes {
		t.Errorf("the longest line has %d bytes: %v", len(line), err)
	}
}

func TestRank(t *testing.T) {
	for _, c := range []struct {
		level string
		want  int
	}{{"debug", 0}, {"log", 1}, {"info", 2}, {"warn", 3}, {"error", 4}, {"shout", 1}} {
		if got := Rank(c.level); got != c.want {
			t.Errorf("%s ranks %d", c.level, got)
		}
	}
}

// wantHarmless: an entry is one line that shows on a terminal as what it is, and
// reads back as it was.
func wantHarmless(t failer, e Entry) {
	t.Helper()
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	line, err := appendLine(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	body, ended := strings.CutSuffix(string(line), "\n")
	for _, r := range body {
		if !ended || r != utf8.RuneError && !unicode.IsPrint(r) {
			t.Fatalf("%q has %q", line, r)
		}
	}
	got, ok := parseLine([]byte(body))
	e.Text = strings.ToValidUTF8(e.Text, "\ufffd")
	if !ok || got != e {
		t.Fatalf("%+v comes back as %+v", e, got)
	}
	if at, ok := timeOf([]byte(body)); !ok || !at.Equal(e.Time) {
		t.Fatalf("the time of %s is read as %v", body, at)
	}
}

func TestLinesAreHarmless(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := said("v1", rapid.Int().Draw(rt, "n")%1e9)
		e.Text = rapid.String().Draw(rt, "text") + "\x1b[2J\u009b\u202e\r\n\x00\u2028\U000e0041\\\"<&>"
		e.Replay = rapid.Bool().Draw(rt, "replay")
		wantHarmless(rt, e)
	})
}

func FuzzText(f *testing.F) {
	for _, text := range []string{"", "hello", "\x1b]0;title\x07", "a\nb\r", "\u009b1m", "\u202edlrow", "\ufeff\u200b", "\U000e0041", "\ue000", `"}` + "\n" + `{"time"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // engines' texts are made valid before
		}
		e := said("v1", 1)
		e.Text = text
		wantHarmless(t, e)
	})
}

// Whatever is in a file, a reader ends, and what it gives are entries.
func FuzzFile(f *testing.F) {
	line, err := appendLine(nil, said("v1", 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(append(line[:40:40], line...))
	f.Add([]byte("{}\n{\"time\":\"x\"}\n\x00\x00\n"))
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","vatID":"v1","text":7}` + "\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := t.TempDir()
		if err := os.WriteFile(filepath.Join(path, "v1.1.log"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, e := range entriesIn(t, path, Query{}) {
			if e.VatID == "" || e.Time.IsZero() {
				t.Fatalf("%+v is no entry", e)
			}
		}
		w := testWriter(path, options())
		write(w, said("v1", 2))
		w.closeAll()
		got := entriesIn(t, path, Query{})
		if len(got) == 0 || got[len(got)-1].Text != "text 2" {
			t.Fatalf("an entry behind it is not found: %q", brief(got))
		}
	})
}
