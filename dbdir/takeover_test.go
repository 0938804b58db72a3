package dbdir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/config"
	"vatworkerd/store"
	"vatworkerd/swingexport"
	"vatworkerd/swingstore"
	"vatworkerd/xsnap"
)

// counters makes a database of two counters at rest.
func counters(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "db")
	k := openKernel(t, dir)
	id, data := bundleOf(t, "counter")
	cfg := config.Config{
		Bundles: map[string][]byte{id: data}, NamedBundles: map[string]string{"counter": id},
		SnapshotInitial: 3, SnapshotInterval: 6, DefaultReapInterval: config.ReapInterval{Deliveries: 4}, Digest: "dbdir",
	}
	for _, name := range []string{"a", "b"} {
		cfg.Vats = append(cfg.Vats, config.Vat{Name: name, BundleID: id, Parameters: json.RawMessage(`{}`)})
	}
	_, err := k.Initialize(context.Background(), cfg)
	must(t, err)
	work(t, k, 6, "a", "b")
	must(t, k.Close())
	return dir
}

func workerImage(t testing.TB) xsnap.Image {
	t.Helper()
	paths := testrig.Engine(t)
	image, err := xsnap.LoadImage(paths.Engine, paths.Lockdown, paths.Supervisor)
	must(t, err)
	return image
}

// asSwingStore makes of an export of ours what SwingSet would export of a kernel with
// these vats: the keys that it spells otherwise are its own.
func asSwingStore(t testing.TB, ours Exported) (export string) {
	t.Helper()
	from, err := swingexport.Open(ours.Dir)
	must(t, err)
	records := map[string]string{}
	must(t, from.Records(func(key string, value *string) error {
		if !strings.HasPrefix(key, "kv.vatworkerd.") && !strings.HasPrefix(key, "kv.pin.") {
			records[key] = *value
		}
		return nil
	}))
	maps.Copy(records, map[string]string{
		"kv.version": "3", "kv.vat.dynamicIDs": "[]", "kv.kernel.snapshotInitial": "3", "kv.kernel.snapshotInterval": "6",
		"kv.kernel.defaultReapDirtThreshold": `{"deliveries":4,"gcKrefs":"never"}`,
		"kv.acceptanceQueue":                 "[9,9]", "kv.runQueue": "[9,9]", "kv.gcActions": "[]", "kv.reapQueue": "[]",
	})
	bundles, err := json.Marshal(workerImage(t).BundleIDs())
	must(t, err)
	id, _ := bundleOf(t, "counter")
	for vatID, name := range map[string]string{"v1": "a", "v2": "b"} {
		records["kv."+vatID+".options"] = fmt.Sprintf(`{"name":%q,"workerOptions":{"type":"xsnap","bundleIDs":%s},"reapDirtThreshold":{}}`, name, bundles)
		records["kv."+vatID+".source"] = fmt.Sprintf(`{"bundleID":%q}`, id)
	}
	export = filepath.Join(t.TempDir(), "export")
	w, err := swingexport.Create(export)
	must(t, err)
	for _, key := range sortedKeys(records) {
		must(t, w.Record(key, records[key]))
	}
	for _, prefix := range []string{"transcript.*", "snapshot.*", "bundle.*"} {
		found, err := filepath.Glob(filepath.Join(from.Dir(), prefix))
		must(t, err)
		for _, path := range found {
			data, err := os.ReadFile(path)
			must(t, err)
			must(t, w.Artifact(filepath.Base(path), func(to io.Writer) error {
				_, err := to.Write(data)
				return err
			}))
		}
	}
	must(t, w.Finish(1, swingexport.Debug))
	return export
}

// swingStore gives a directory with the swing-store of a database's vats.
func swingStore(t testing.TB, dir string, mode swingexport.Mode) string {
	t.Helper()
	s, err := swingstore.OpenExport(context.Background(), asSwingStore(t, exported(t, dir, mode)), nil)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	to := filepath.Join(t.TempDir(), "swingset")
	must(t, os.CopyFS(to, os.DirFS(filepath.Dir(s.Path()))))
	return to
}

// takeOver makes a database of a swing-store.
func takeOver(ctx context.Context, t testing.TB, from, to string, progress func(store.Progress), vatIDs ...string) (TakenOver, error) {
	t.Helper()
	s, err := swingstore.Open(from)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	image := workerImage(t)
	return TakeOver(ctx, s, to, TakeOverOptions{VatIDs: vatIDs, ImageID: image.ID(), WorkerBundleIDs: image.BundleIDs(), Progress: progress})
}

// Vats that were taken over go on as they would have gone on where they were: the
// same deliveries, syscalls, computrons, snapshots and turns of garbage collection.
func TestTakenOverVatsGoOn(t *testing.T) {
	dir, to := counters(t), filepath.Join(t.TempDir(), "taken")
	taken, err := takeOver(context.Background(), t, swingStore(t, dir, swingexport.Debug), to, nil)
	must(t, err)
	if len(taken.Vats) != 2 || len(taken.Left) != 0 || taken.DB != to {
		t.Fatalf("taken over: %+v", taken)
	}
	for _, db := range []string{dir, to} {
		k := openKernel(t, db)
		work(t, k, 8, "a", "b")
		must(t, k.Close())
		wantProblems(t, verify(t, db))
	}
	withoutBundles := func(rows string) string { return rows[:strings.Index(rows, "b1-")] } // their text is spelled otherwise
	if got, want := withoutBundles(spanRows(t, to)), withoutBundles(spanRows(t, dir)); got != want {
		t.Errorf("spans and snapshots\n%s\nwant\n%s", got, want)
	}
	k := openKernel(t, to)
	_, err = k.Suspend(context.Background(), "a", "test")
	must(t, err)
	work(t, k, 1, "a")
	_, err = k.Run(context.Background(), kernelhost.Budget{})
	must(t, err)
	must(t, k.Close())
	wantProblems(t, verify(t, to))
}

// What cannot be taken over is said in one line, and nothing is made.
func TestTakeOverRefuses(t *testing.T) {
	sound := swingStore(t, counters(t), swingexport.Operational)
	for name, c := range map[string]struct {
		change map[string]string
		vatIDs []string
		says   string
	}{
		"a queue that is not empty": {map[string]string{"runQueue": "[9,10]"}, nil, "kv.runQueue: something waits there"},
		"another worker":            {map[string]string{"v1.options": `{"workerOptions":{"type":"local"}}`}, []string{"v1"}, "cannot import v1 a: it has a local worker"},
		"other worker bundles":      {map[string]string{"v1.options": `{"workerOptions":{"type":"xsnap","bundleIDs":["b0-x"]}}`}, []string{"v1"}, "worker bundles [b0-x]"},
		"a device":                  {map[string]string{"v2.c.kd30": "R d-70"}, []string{"v1", "v2"}, "cannot import v2 b: it holds device nodes (kd30)"},
		"a vat that is not there":   {nil, []string{"v7"}, "no vat v7"},
		"no snapshot schedule":      {map[string]string{"kernel.snapshotInterval": "0"}, nil, "kv.kernel.snapshotInterval"},
		"half a c-list":             {map[string]string{"v1.c.kp99": "R p-99"}, nil, "kv.kp99.state: it is missing"},
		"one of ours":               {map[string]string{"vatworkerd.export": "{}"}, nil, "is of a database of vatworkerd"},
		"an owner of nothing":       {map[string]string{"ko.nextID": "1"}, nil, "its records do not agree"},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "taken")
			must(t, os.CopyFS(from, os.DirFS(sound)))
			for key, value := range c.change {
				alter(t, from, swingstore.FileName, fmt.Sprintf("INSERT INTO kvStore VALUES ('%s', '%s') ON CONFLICT DO UPDATE SET value = excluded.value", key, value))
			}
			_, err := takeOver(context.Background(), t, from, to, nil, c.vatIDs...)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.says)
			}
			wantNothingMade(t, to)
		})
	}
}

func TestTakeOverInterrupted(t *testing.T) {
	from, to := swingStore(t, counters(t), swingexport.Operational), filepath.Join(t.TempDir(), "taken")
	for _, at := range []int64{0, 2, 5} {
		ctx, stop := context.WithCancel(context.Background())
		_, err := takeOver(ctx, t, from, to, func(p store.Progress) {
			if p.Done > at {
				stop()
			}
		})
		stop()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("at step %d: %v", at, err)
		}
		wantNothingMade(t, to)
	}
}
