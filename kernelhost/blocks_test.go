package kernelhost

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/internal/testrig"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/xsnap"
)

// content is what one of the two databases holds: names in the host's, bundles
// in the daemon's.
type content struct{ names, bundles string }

// blocks is the model: what the block at each height has left, and what the open
// block has added.
type blocks struct {
	t       *rapid.T
	e       *ends
	history []content // by height
	names   []string  // with the open block
	bundles []string
	hashes  map[int64]string // of both ends, as they were found first
	n       int              // names given out
	deaths  int
}

func (b *blocks) height() int64 { return int64(len(b.history)) - 1 }

// TestBothEndsKeepTheSameBlocks drives a kernel and a supervisor with random
// blocks, rollbacks, reopenings, and deaths of either at any operation of its
// database. Whatever happens they must stand at the same height, no lower than
// the last commit that was told, with the blocks that the model has.
func TestBothEndsKeepTheSameBlocks(t *testing.T) {
	paths := testrig.Engine(t)
	image, err := xsnap.LoadImage(paths.Engine, paths.Lockdown, paths.Supervisor)
	if err != nil {
		t.Fatal(err)
	}
	deaths := 0
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(fastest(t), "vatworkerd-blocks-*")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		b := &blocks{t: rt, e: newEnds(dir, image), history: []content{{}}, hashes: map[int64]string{}}
		b.must(b.e.open(context.Background()))
		rt.Repeat(map[string]func(*rapid.T){
			"both": b.both, "host": b.hostOnly, "daemon": b.daemonOnly, "commit": b.commit, "commit again": b.commit,
			"rollback": b.rollback, "reopen": b.reopen, "host dies": b.hostDies, "daemon dies": b.daemonDies, "": b.check,
		})
		b.must(b.e.close())
		deaths += b.deaths
	})
	t.Logf("%d deaths", deaths)
}

// fastest is a directory in memory where there is one: what a sync costs is not
// this test's subject.
func fastest(t *testing.T) string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return t.TempDir()
}

func (b *blocks) must(err error) {
	if err != nil {
		b.t.Fatal(err)
	}
}

// do runs one operation. If one of the ends dies in it, both are opened again;
// decides says that the operation was a commit, of which nobody knows then
// whether it was done.
func (b *blocks) do(decides bool, operation func(context.Context) error) (died bool) {
	err := operation(context.Background())
	if !b.e.host.died() && !b.e.daemon.died() {
		b.must(err)
		return false
	}
	b.deaths++
	next := content{sorted(b.names), sorted(b.bundles)}
	b.must(b.e.close())
	b.must(b.e.open(context.Background()))
	if b.e.k.Height() == b.height()+1 && decides {
		b.history = append(b.history, next)
	}
	b.forget()
	return true
}

// forget drops the open block of the model.
func (b *blocks) forget() {
	last := b.history[b.height()]
	b.names, b.bundles = strings.Fields(last.names), strings.Fields(last.bundles)
}

func sorted(words []string) string {
	return strings.Join(slices.Sorted(slices.Values(words)), " ")
}

func (b *blocks) fresh() string {
	b.n++
	return fmt.Sprint("n", b.n)
}

// both is a change on both sides.
func (b *blocks) both(*rapid.T) {
	name := b.fresh()
	if !b.do(false, func(ctx context.Context) error { return b.e.k.AddBundle(ctx, "b1-"+name, name, []byte(name)) }) {
		b.names, b.bundles = append(b.names, name), append(b.bundles, "b1-"+name)
	}
}

func (b *blocks) hostOnly(*rapid.T) {
	name := b.fresh()
	set := func(c *crank) error { c.kv.Set(bundleNameKey(name), "none"); return nil }
	if !b.do(false, func(ctx context.Context) error { return b.e.k.change(ctx, set) }) {
		b.names = append(b.names, name)
	}
}

func (b *blocks) daemonOnly(*rapid.T) {
	name := b.fresh()
	if !b.do(false, func(ctx context.Context) error { return b.e.k.AddBundle(ctx, "b1-"+name, "", []byte(name)) }) {
		b.bundles = append(b.bundles, "b1-"+name)
	}
}

func (b *blocks) commit(*rapid.T) {
	if !b.do(true, func(ctx context.Context) error { return b.e.k.Commit(ctx) }) {
		b.history = append(b.history, content{sorted(b.names), sorted(b.bundles)})
	}
}

func (b *blocks) rollback(*rapid.T) {
	if !b.do(false, func(ctx context.Context) error { return b.e.k.Rollback(ctx) }) {
		b.forget()
	}
}

// reopen ends both in peace, looks at what is on the disk and opens them, with a
// death on the way sometimes.
func (b *blocks) reopen(t *rapid.T) {
	b.must(b.e.close())
	b.onDisk()
	b.plan(t, "host", b.e.host)
	b.plan(t, "daemon", b.e.daemon)
	if err := b.e.open(context.Background()); err != nil {
		b.deaths++
		b.onDisk()
		b.must(b.e.open(context.Background()))
	}
	b.forget()
}

// plan lets an end die while it is opened, or soon after, or not at all.
func (b *blocks) plan(t *rapid.T, who string, m *mortal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = rapid.IntRange(-30, 30).Draw(t, who+" dies")
}

func (b *blocks) hostDies(t *rapid.T)   { b.dies(t, b.e.host) }
func (b *blocks) daemonDies(t *rapid.T) { b.dies(t, b.e.daemon) }

// dies lets an end die at one of its next operations.
func (b *blocks) dies(t *rapid.T, m *mortal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = rapid.IntRange(0, 40).Draw(t, "operations")
}

// check compares where the open kernel stands with the model.
func (b *blocks) check(*rapid.T) {
	if got := b.e.k.Height(); got != b.height() {
		b.t.Fatalf("height %d, the model is at %d", got, b.height())
	}
}

// onDisk compares what lies on the disk with the model, while nobody has it
// open. The daemon may have prepared a block that the host has decided, or not.
func (b *blocks) onDisk() {
	host, err := store.OpenView(filepath.Join(b.e.dir, DatabaseFile))
	b.must(err)
	defer host.Close()
	daemon, err := store.OpenView(filepath.Join(b.e.dir, supervisor.DatabaseFile))
	b.must(err)
	defer daemon.Close()
	if prepared, ok := daemon.Prepared(); ok && prepared == host.Height()+1 {
		b.must(daemon.Rewind())
	} else if !ok && daemon.Height() != host.Height() {
		b.t.Fatalf("the host is at height %d, the daemon at %d", host.Height(), daemon.Height())
	}
	if host.Height() != b.height() {
		b.t.Fatalf("height %d, the model is at %d", host.Height(), b.height())
	}
	got := content{b.namesIn(host), b.bundlesIn(daemon)}
	if want := b.history[b.height()]; got != want {
		b.t.Fatalf("at height %d there are %+v, the model has %+v", b.height(), got, want)
	}
	hashes := host.ActivityHash() + " " + daemon.ActivityHash()
	if known, ok := b.hashes[b.height()]; ok && known != hashes {
		b.t.Fatalf("at height %d the hashes are %s, they were %s", b.height(), hashes, known)
	}
	b.hashes[b.height()] = hashes
}

func (b *blocks) namesIn(host *store.View) string {
	names := map[string]bool{}
	b.must(store.EachKey(host, bundleNameKey(""), func(key, _ string) error {
		names[strings.TrimPrefix(key, bundleNameKey(""))] = true
		return nil
	}))
	return sorted(slices.Collect(maps.Keys(names)))
}

func (b *blocks) bundlesIn(daemon *store.View) string {
	rows, err := daemon.Query("SELECT id FROM bundles")
	b.must(err)
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.Text(0))
	}
	return sorted(ids)
}
