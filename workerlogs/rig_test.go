package workerlogs

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options() Options { return Options{VatBytes: MinVatBytes, TotalBytes: 64 << 20} }

// testWriter is a writer whose batches the test writes itself.
func testWriter(path string, o Options) *writer { return newWriter(path, o.orDefault()) }

func write(w *writer, all ...Entry) int64 { return w.write(batch{entries: all}) }

// said is the n-th thing a vat said, a millisecond after the one before.
func said(vatID string, n int) Entry {
	return Entry{
		Time:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Millisecond),
		VatID: vatID, Name: "name of " + vatID, Incarnation: 1, Position: int64(n), Source: SourceVat, Level: "log", Text: fmt.Sprintf("text %d", n),
	}
}

// long is said at length.
func long(vatID string, n, bytes int) Entry {
	e := said(vatID, n)
	e.Text += " " + strings.Repeat("x", bytes)
	return e
}

func segmentsIn(t testing.TB, path string) (names []string, bytes int64) {
	t.Helper()
	all, err := listDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		for _, s := range append(l.stray, l.kept...) {
			names = append(names, segmentName(l.stem, s.number))
			bytes += s.size
		}
	}
	return names, bytes
}

// drain gives what a reader has now.
func drain(t testing.TB, r *Reader) (all []Entry) {
	t.Helper()
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

func entriesIn(t testing.TB, path string, q Query) []Entry {
	t.Helper()
	r := NewReader(path, q)
	defer r.Close()
	return drain(t, r)
}

// brief gives vat and text of entries; long texts are cut.
func brief(all []Entry) []string {
	texts := []string{}
	for _, e := range all {
		head, _, _ := strings.Cut(e.Text, " x")
		texts = append(texts, e.VatID+" "+head)
	}
	return texts
}

func want(t testing.TB, got []Entry, texts ...string) {
	t.Helper()
	if b := brief(got); !slices.Equal(b, texts) {
		t.Errorf("got %q, want %q", b, texts)
	}
}

func logsDir(t testing.TB) string { return filepath.Join(t.TempDir(), "logs") }

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
