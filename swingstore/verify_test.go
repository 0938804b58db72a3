package swingstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/store"
)

func TestVerifyClean(t *testing.T) {
	for _, name := range []string{"kept", "pruned"} {
		t.Run(name, func(t *testing.T) {
			var last store.Progress
			got, err := storeOf(t, name).Verify(context.Background(), "", func(p store.Progress) { last = p })
			must(t, err)
			noProblems(t, got.Problems)
			var spans, snapshots, bundles int64
			for key := range saidOf(t, name).ExportData {
				switch {
				case strings.HasPrefix(key, "transcript."):
					spans++
				case strings.HasPrefix(key, "snapshot.") && !strings.HasSuffix(key, ".current"):
					snapshots++
				case strings.HasPrefix(key, "bundle."):
					bundles++
				}
			}
			if got.Spans+got.PrunedSpans != spans || got.Snapshots+got.PrunedSnapshots != snapshots || got.Bundles != bundles || got.Items == 0 {
				t.Errorf("got %+v, want %d spans, %d snapshots, %d bundles", got, spans, snapshots, bundles)
			}
			if pruned := got.PrunedSpans > 0 && got.PrunedSnapshots > 0; pruned != (name == "pruned") {
				t.Errorf("got %+v", got)
			}
			if last.Total != spans+snapshots+bundles || last.Done != last.Total-1 {
				t.Errorf("the last progress is %+v", last)
			}
		})
	}
}

func TestVerifyOneVat(t *testing.T) {
	s := storeOf(t, "pruned")
	list, err := s.Vats()
	must(t, err)
	for _, v := range list.Vats {
		got, err := s.Verify(context.Background(), v.VatID, nil)
		must(t, err)
		noProblems(t, got.Problems)
		if got.Vats != 1 || got.Spans+got.PrunedSpans != v.Spans {
			t.Errorf("%s: got %+v", v.VatID, got)
		}
	}
	_, err = s.Verify(context.Background(), "v999", nil)
	wantError[*NoVatError](t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = s.Verify(ctx, "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// damage is one thing done to a copy of a store, and the problems it must give.
type damage struct {
	name  string
	store string
	vat   string // verified alone; empty: the whole store
	sql   []string
	want  []string // begin of each problem's text, in order
}

// damages are of the vat account ({vat}) of a store; its current span is
// {start} to {end}.
func damages() []damage {
	return []damage{
		{"altered item", "pruned", "account",
			[]string{`UPDATE transcriptItems SET item = replace(item, '"computrons":', '"computrons":1') WHERE vatID = '{vat}' AND position = {end} - 1`},
			[]string{"span transcript.{vat}.{start}.{end}: its recorded hash is not that of its items"}},
		{"altered item spelled otherwise", "pruned", "account",
			[]string{`UPDATE transcriptItems SET item = replace(item, ',"r":', ', "r":') WHERE vatID = '{vat}' AND position = {start} + 1`},
			[]string{"item transcript.{vat}.{start}.{end} item {next}: it is not spelled", "span transcript.{vat}.{start}.{end}: its recorded hash"}},
		{"an item that is none", "pruned", "account",
			[]string{`UPDATE transcriptItems SET item = '{"d":' WHERE vatID = '{vat}' AND position = {start} + 1`},
			[]string{"item transcript.{vat}.{start}.{end} item {next}: cannot decode", "span transcript.{vat}.{start}.{end}: its recorded hash"}},
		{"altered span hash", "pruned", "account",
			[]string{`UPDATE transcriptSpans SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE vatID = '{vat}' AND isCurrent = 1`},
			[]string{"span transcript.{vat}.{start}.{end}: its recorded hash is not that of its items"}},
		{"altered hash of an old span", "kept", "account",
			[]string{`UPDATE transcriptSpans SET hash = 'x' WHERE vatID = '{vat}' AND startPos = 0`},
			[]string{"span transcript.{vat}.0.5: its recorded hash is not that of its items"}},
		{"missing item", "pruned", "account",
			[]string{`DELETE FROM transcriptItems WHERE vatID = '{vat}' AND position = {start} + 1`},
			[]string{"item transcript.{vat}.{start}.{end} item {next}: it is missing"}},
		{"missing items of an old span", "kept", "account",
			[]string{`DELETE FROM transcriptItems WHERE vatID = '{vat}' AND position IN (1, 2, 4)`},
			[]string{"item transcript.{vat}.0.5 item 1: it and all up to item 2 are missing", "item transcript.{vat}.0.5 item 4: it is missing"}},
		{"all items of the current span missing", "pruned", "account",
			[]string{`DELETE FROM transcriptItems WHERE vatID = '{vat}'`},
			[]string{"item transcript.{vat}.{start}.{end} item {start}: it and all up to item"}},
		{"an item beyond the spans", "pruned", "account",
			[]string{`INSERT INTO transcriptItems SELECT vatID, position + 100, item, incarnation FROM transcriptItems WHERE vatID = '{vat}' AND position = {start}`},
			[]string{"item transcript.{vat}: 1 items"}},
		{"an item of another incarnation", "pruned", "account",
			[]string{`UPDATE transcriptItems SET incarnation = 7 WHERE vatID = '{vat}' AND position = {start} + 1`},
			[]string{"item transcript.{vat}.{start}.{end} item {next}: its incarnation: expected 1, got 7"}},
		{"no current span", "pruned", "account",
			[]string{`UPDATE transcriptSpans SET isCurrent = NULL WHERE vatID = '{vat}' AND isCurrent = 1`},
			[]string{"span transcript.{vat}.{start}.{end}: the number of the vat's current spans: expected 1, got 0"}},
		{"a lost span", "pruned", "account",
			[]string{`DELETE FROM transcriptSpans WHERE vatID = '{vat}' AND startPos = 5`},
			[]string{"span transcript.{vat}.14.23: where it starts: expected 5, got 14"}},
		{"an incarnation skipped", "pruned", "account",
			[]string{`UPDATE transcriptSpans SET incarnation = 3 WHERE vatID = '{vat}' AND incarnation = 1 AND isCurrent IS NULL`},
			[]string{"span transcript.{vat}.27.{start}: its incarnation does not follow 0", "span transcript.{vat}.{start}.{end}: its incarnation does not follow 3"}},
		{"a terminated vat with a current span", "pruned", "doomed",
			[]string{`UPDATE transcriptSpans SET isCurrent = 1 WHERE vatID = '{vat}' AND startPos = 0`},
			[]string{"span transcript.{vat}.23.25: a terminated vat has a current span", "item transcript.{vat}.0.5 item 0: it and all up to item 4 are missing"}},
		{"truncated snapshot", "pruned", "account",
			[]string{`UPDATE snapshots SET compressedSnapshot = substr(compressedSnapshot, 1, compressedSize / 2) WHERE vatID = '{vat}' AND inUse = 1`},
			[]string{"snapshot snapshot.{vat}.{snap}: its compressed size: expected"}},
		{"truncated snapshot of matching size", "pruned", "account",
			[]string{`UPDATE snapshots SET compressedSnapshot = substr(compressedSnapshot, 1, compressedSize / 2), compressedSize = compressedSize / 2 WHERE vatID = '{vat}' AND inUse = 1`},
			[]string{"snapshot snapshot.{vat}.{snap}: its content cannot be inflated: unexpected EOF"}},
		{"a snapshot's wrong hash", "pruned", "account",
			[]string{`UPDATE snapshots SET hash = 'x' WHERE vatID = '{vat}' AND inUse = 1`},
			[]string{"snapshot snapshot.{vat}.{snap}: its sha256: expected x, got", "snapshot snapshot.{vat}.current: the hash of the snapshot in use"}},
		{"a snapshot's wrong size", "pruned", "account",
			[]string{`UPDATE snapshots SET uncompressedSize = 1 WHERE vatID = '{vat}' AND inUse = 1`},
			[]string{"snapshot snapshot.{vat}.{snap}: its uncompressed size: expected 1, got"}},
		{"a snapshot dropped", "pruned", "account",
			[]string{`UPDATE snapshots SET compressedSnapshot = NULL WHERE vatID = '{vat}' AND inUse = 1`},
			[]string{"snapshot snapshot.{vat}.{snap}: it is in use and the store does not hold its content"}},
		{"a snapshot out of use", "pruned", "account",
			[]string{`UPDATE snapshots SET inUse = NULL WHERE vatID = '{vat}' AND inUse = 1`},
			[]string{"snapshot snapshot.{vat}.current: the snapshot in use is not the one the current span starts from: expected snapshot.{vat}.{snap}, got none"}},
		{"an old snapshot's record altered", "kept", "account",
			[]string{`UPDATE snapshots SET hash = 'x' WHERE vatID = '{vat}' AND snapPos = 4`},
			[]string{"snapshot snapshot.{vat}.4: its sha256: expected x", "snapshot snapshot.{vat}.4: its recorded hash is not that of the transcript"}},
		{"a wrong bundle", "pruned", "account",
			[]string{`UPDATE bundles SET bundle = (SELECT bundle FROM bundles WHERE bundleID = (SELECT value ->> 'bundleID' FROM kvStore WHERE key = 'v1.source')) WHERE bundleID = (SELECT value ->> 'bundleID' FROM kvStore WHERE key = '{vat}.source')`},
			[]string{"bundle bundle.b1-"}},
		{"a wrong worker bundle", "pruned", "account",
			[]string{`UPDATE bundles SET bundle = bundle || ' ' WHERE bundleID IN (SELECT bundleID FROM bundles WHERE bundleID LIKE 'b0-%' LIMIT 1)`},
			[]string{"bundle bundle.b0-"}},
		{"a missing bundle", "pruned", "account",
			[]string{`DELETE FROM bundles WHERE bundleID = (SELECT value ->> 'bundleID' FROM kvStore WHERE key = '{vat}.source')`},
			[]string{"bundle bundle.b1-"}},
		{"an export record that lies", "pruned", "account",
			[]string{`INSERT INTO pendingExports VALUES
				('transcript.{vat}.current', '{}'), ('transcript.{vat}.0', NULL), ('transcript.{vat}.1', NULL), ('snapshot.{vat}.current', 'snapshot.{vat}.{snap}'),
				('snapshot.{vat}.4', 'x'), ('kv.{vat}.options', 'x'), ('kv.v1.options', 'x'), ('transcript.{vat}.x', 'x')`},
			[]string{"export pendingExports.kv.{vat}.options: it is not what the store says", "export pendingExports.snapshot.{vat}.4: it is not what",
				"export pendingExports.transcript.{vat}.0: it deletes a record that the store has",
				"export pendingExports.transcript.{vat}.current: it is not what", "export pendingExports.transcript.{vat}.x: it is of no known kind"}},
		{"several at once", "pruned", "",
			[]string{
				`UPDATE transcriptSpans SET hash = 'x' WHERE vatID = 'v1' AND isCurrent = 1`,
				`UPDATE snapshots SET uncompressedSize = 1 WHERE vatID = '{vat}' AND inUse = 1`,
				`UPDATE bundles SET bundle = NULL WHERE bundleID LIKE 'b0-40%'`,
				`UPDATE kvStore SET value = '[]' WHERE key = 'vats.terminated'`},
			[]string{"span transcript.v1", "snapshot snapshot.{vat}.{snap}: its uncompressed size", "kernel kv.vat.dynamicIDs: the store has transcript", "span transcript.v9", "kernel", "span transcript.v10", "bundle bundle.b0-40"}},
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			dir := copyOf(t, d.store)
			list, err := storeOf(t, d.store).Vats()
			must(t, err)
			v := vatNamed(t, list, "account")
			if d.vat != "" {
				v = vatNamed(t, list, d.vat)
			}
			fill := filler(v)
			for _, statement := range d.sql {
				alter(t, dir, fill(statement))
			}
			vatID := v.VatID
			if d.vat == "" {
				vatID = ""
			}
			got, err := open(t, dir).Verify(context.Background(), vatID, nil)
			must(t, err)
			compareProblems(t, got.Problems, d.want, fill)
		})
	}
}

// filler puts a vat's figures into a text.
func filler(v Vat) func(string) string {
	snapshot := int64(-1)
	if v.SnapshotPosition != nil {
		snapshot = *v.SnapshotPosition
	}
	return strings.NewReplacer("{vat}", v.VatID, "{start}", fmt.Sprint(v.StartPos), "{end}", fmt.Sprint(v.EndPos),
		"{next}", fmt.Sprint(v.StartPos+1), "{snap}", fmt.Sprint(snapshot)).Replace
}

func compareProblems(t *testing.T, got []store.Problem, want []string, fill func(string) string) {
	t.Helper()
	var lines []string
	for _, p := range got {
		lines = append(lines, fmt.Sprintf("%s %s", p.Kind, p))
	}
	same := len(lines) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = strings.HasPrefix(lines[i], fill(want[i]))
	}
	if !same {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), fill(strings.Join(want, "\n")))
	}
}

// TestVerifyGoesOnOverDamagedPages: SQLite's own damage is a problem too.
func TestVerifyGoesOnOverDamagedPages(t *testing.T) {
	dir := copyOf(t, "pruned")
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	for at := int64(64 << 10); at < info.Size(); at += 256 << 10 {
		_, err := f.WriteAt(make([]byte, 4096), at)
		must(t, err)
	}
	must(t, f.Close())
	got, err := open(t, dir).Verify(context.Background(), "", nil)
	must(t, err)
	var pages, others int
	for _, p := range got.Problems {
		if p.Kind == store.KindDatabase {
			pages++
		} else {
			others++
		}
	}
	if pages == 0 || others == 0 {
		t.Errorf("got %d problems of pages and %d others", pages, others)
	}
}
