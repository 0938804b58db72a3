package swingstore

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
	"vatworkerd/store"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

func TestReplayCurrentSpans(t *testing.T) {
	for _, name := range []string{"kept", "pruned"} {
		t.Run(name, func(t *testing.T) {
			s, image := storeOf(t, name), image(t)
			list, err := s.Vats()
			must(t, err)
			starts := map[string]int{}
			for _, v := range list.Vats {
				if v.Terminated || v.WorkerType != "xsnap" {
					continue
				}
				var seen []int64
				got, err := s.Replay(context.Background(), v.VatID, ReplayOptions{Image: image, Progress: func(p store.Progress) { seen = append(seen, p.Done) }})
				must(t, err)
				starts[got.Start]++
				mustRepeat(t, got)
				if got.From != v.StartPos || got.Until != v.EndPos || got.Deliveries == 0 || got.Incarnation != v.Incarnation {
					t.Errorf("got %+v of %+v", got, v)
				}
				if len(seen) != int(v.EndPos-v.StartPos)+1 || seen[len(seen)-1] != v.EndPos-v.StartPos {
					t.Errorf("progress was %v", seen)
				}
			}
			if starts[StartBundles] == 0 || starts[StartSnapshot] == 0 {
				t.Errorf("replays started from %v", starts)
			}
		})
	}
}

func mustRepeat(t *testing.T, got ReplayReport) {
	t.Helper()
	if !got.Identical {
		t.Fatalf("vat %s, %d to %d, diverged:\n%s", got.VatID, got.From, got.Until, got.Divergence.Report)
	}
}

// TestReplayHistory replays a vat's whole life: every old span, of the
// incarnation before the upgrade too, with the heap snapshot at its end.
func TestReplayHistory(t *testing.T) {
	s, image := storeOf(t, "kept"), image(t)
	account := saidOf(t, "kept").VatIDs["account"]
	spans, err := transcripts.Spans(s.db, account)
	must(t, err)
	var repeated, upgrades int
	for i, span := range spans {
		position := span.StartPos + (span.EndPos-span.StartPos)/2
		got, err := s.Replay(context.Background(), account, ReplayOptions{Image: image, Position: &position})
		must(t, err)
		mustRepeat(t, got)
		if got.From != span.StartPos || got.Until != span.EndPos || got.Incarnation != span.Incarnation {
			t.Errorf("got %+v of %+v", got, span)
		}
		if got.SnapshotRepeated {
			repeated++
		}
		if i > 0 && span.Incarnation > spans[i-1].Incarnation {
			upgrades++
		}
	}
	if repeated < 3 || upgrades != 1 {
		t.Errorf("%d snapshots were repeated, %d upgrades were seen", repeated, upgrades)
	}
}

// TestReplayOfATerminatedVat: what is left of it can be replayed too.
func TestReplayOfATerminatedVat(t *testing.T) {
	s := storeOf(t, "kept")
	doomed := saidOf(t, "kept").VatIDs["doomed"]
	_, err := s.Replay(context.Background(), doomed, ReplayOptions{Image: image(t)})
	wantError[*NotReplayableError](t, err)
	var position int64 = 5
	got, err := s.Replay(context.Background(), doomed, ReplayOptions{Image: image(t), Position: &position})
	must(t, err)
	mustRepeat(t, got)
}

// otherImage has worker bundles that no store names.
func otherImage(t *testing.T) xsnap.Image {
	t.Helper()
	paths := testrig.Engine(t)
	dir := t.TempDir()
	for _, name := range []string{"lockdown", "supervisor"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(`{"moduleFormat":"nestedEvaluate","source":"() => { throw Error('not this one'); }"}`), 0o600))
	}
	image, err := xsnap.LoadImage(paths.Engine, filepath.Join(dir, "lockdown"), filepath.Join(dir, "supervisor"))
	must(t, err)
	return image
}

// TestReplayEvaluatesTheStoresWorkerBundles: the transcript decides, not the caller.
func TestReplayEvaluatesTheStoresWorkerBundles(t *testing.T) {
	s, other := storeOf(t, "pruned"), otherImage(t)
	list, err := s.Vats()
	must(t, err)
	v := vatNamed(t, list, "vattp")
	got, err := s.Replay(context.Background(), v.VatID, ReplayOptions{Image: other})
	must(t, err)
	mustRepeat(t, got)
	if got.Start != StartBundles || !slices.Equal(got.WorkerBundleIDs, v.WorkerBundleIDs) || slices.Equal(got.WorkerBundleIDs, other.BundleIDs()) {
		t.Errorf("got %+v", got)
	}
}

// alteration is a change of one transcript item, and what the replay must show.
type alteration struct {
	name  string
	store string
	vat   string
	sql   string
	where string // {start}…: the position that the divergence must name
	show  []string
}

func alterations() []alteration {
	return []alteration{
		{"computrons", "pruned", "account", `UPDATE transcriptItems SET item = json_set(item, '$.r.metering.computrons', 12345) WHERE vatID = '{vat}' AND position = {next}`,
			"{next}", []string{"computrons: WRONG", "expected: 12345", "got     : "}},
		{"status", "pruned", "account", `UPDATE transcriptItems SET item = json_set(item, '$.r.status', 'error') WHERE vatID = '{vat}' AND position = {next}`,
			"{next}", []string{"status: WRONG", "expected: error", "got     : ok"}},
		{"a syscall", "pruned", "account", `UPDATE transcriptItems SET item = json_set(item, '$.sc[0].s[1]', 'altered') WHERE vatID = '{vat}' AND position = {next}`,
			"{next}", []string{"sc0: WRONG", `expected: ["vatstoreGet","altered"`, `got     : ["vatstoreGet",`}},
		{"a syscall too many", "pruned", "account", `UPDATE transcriptItems SET item = json_insert(item, '$.sc[#]', json('{"s":["exit",false,{}],"r":["ok",null]}')) WHERE vatID = '{vat}' AND position = {next}`,
			"{next}", []string{"sc0: ok", `: MISSING: ["exit"`}},
		{"a syscall removed", "pruned", "account", `UPDATE transcriptItems SET item = json_remove(item, '$.sc[#-1]') WHERE vatID = '{vat}' AND position = {next}`,
			"{next}", []string{"sc0: ok", ": EXTRA: "}},
		{"the delivery", "pruned", "account", `UPDATE transcriptItems SET item = replace(item, 'withdraw', 'depositX') WHERE vatID = '{vat}' AND position = {next}`,
			"{next}", []string{"WRONG"}},
		{"the snapshot that was saved", "kept", "account", `UPDATE transcriptItems SET item = json_set(item, '$.r.snapshotID', 'altered') WHERE vatID = '{vat}' AND position = 4`,
			"4", []string{"save-snapshot", "snapshot: WRONG", "expected: altered"}},
	}
}

func TestReplayShowsAnAlteredItem(t *testing.T) {
	for _, a := range alterations() {
		t.Run(a.name, func(t *testing.T) {
			dir := copyOf(t, a.store)
			list, err := storeOf(t, a.store).Vats()
			must(t, err)
			v := vatNamed(t, list, a.vat)
			fill := filler(v)
			alter(t, dir, fill(a.sql))
			var position int64
			must(t, json.Unmarshal([]byte(fill(a.where)), &position))
			got, err := open(t, dir).Replay(context.Background(), v.VatID, ReplayOptions{Image: image(t), Position: &position})
			must(t, err)
			if got.Identical || got.Divergence == nil || got.Divergence.Position != position {
				t.Fatalf("got %+v", got)
			}
			for _, text := range a.show {
				if !strings.Contains(got.Divergence.Report, text) {
					t.Errorf("the report does not show %q:\n%s", text, got.Divergence.Report)
				}
			}
			if got.Divergence.What == "" || got.Divergence.Err == nil {
				t.Errorf("got %+v", got.Divergence)
			}
		})
	}
}

func TestReplayRefusals(t *testing.T) {
	js := saidOf(t, "pruned")
	account := js.VatIDs["account"]
	zero, far := int64(0), int64(99999)
	options := ReplayOptions{Image: image(t)}
	replay := func(dir, vatID string, position *int64) error {
		o := options
		o.Position = position
		_, err := open(t, dir).Replay(context.Background(), vatID, o)
		return err
	}
	whole := filepath.Join(stores(t), "pruned")
	wantError[*NoVatError](t, replay(whole, "v999", nil))
	wantError[*transcripts.MissingItemsError](t, replay(whole, account, &zero))
	for _, c := range []struct {
		vat, why string
		position *int64
	}{
		{"v3", `of type "local"`, nil},
		{account, "no span holds position 99999", &far},
	} {
		if e := wantError[*NotReplayableError](t, replay(whole, c.vat, c.position)); !strings.Contains(e.Why, c.why) {
			t.Errorf("%s: got %v", c.vat, e)
		}
	}
	t.Run("a snapshot dropped", func(t *testing.T) {
		dir := copyOf(t, "pruned")
		alter(t, dir, "UPDATE snapshots SET compressedSnapshot = NULL WHERE inUse = 1")
		wantError[*NotReplayableError](t, replay(dir, account, nil))
	})
	t.Run("a snapshot truncated", func(t *testing.T) {
		dir := copyOf(t, "pruned")
		alter(t, dir, "UPDATE snapshots SET compressedSnapshot = substr(compressedSnapshot, 1, compressedSize / 2), compressedSize = compressedSize / 2 WHERE inUse = 1")
		wantError[*SnapshotError](t, replay(dir, account, nil))
	})
	t.Run("a wrong heap", func(t *testing.T) {
		dir := copyOf(t, "pruned")
		alter(t, dir, "UPDATE snapshots SET compressedSnapshot = (SELECT compressedSnapshot FROM snapshots WHERE vatID = 'v1' AND inUse = 1), compressedSize = NULL, uncompressedSize = NULL WHERE inUse = 1 AND vatID = '"+account+"'")
		wantError[*SnapshotError](t, replay(dir, account, nil))
	})
	t.Run("a wrong bundle", func(t *testing.T) {
		dir := copyOf(t, "pruned")
		alter(t, dir, "UPDATE bundles SET bundle = x'00'")
		wantError[*BundleError](t, replay(dir, "v4", nil))
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		o := options
		o.Progress = func(p store.Progress) {
			if p.Done == 1 {
				cancel()
			}
		}
		if _, err := open(t, whole).Replay(ctx, account, o); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
