package dbdir

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/mattn/go-sqlite3" // the driver
	"go.uber.org/goleak"

	"vatworkerd/internal/testrig"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
)

// shared is made once for all tests of this package.
var shared struct {
	dir     string
	program func() string // the path of vatworkerd
	written func() string // a database directory, see write; not to be changed
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "dbdir-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared.dir = dir
	shared.program = sync.OnceValue(func() string {
		path := filepath.Join(dir, "vatworkerd")
		cmd := exec.Command("go", "build", "-o", path, "vatworkerd/cmd/vatworkerd")
		if out, err := cmd.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("cannot build vatworkerd: %v\n%s", err, out))
		}
		return path
	})
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// openKernel opens a directory with real vats.
func openKernel(t testing.TB, dir string) *kernelhost.Kernel {
	t.Helper()
	k, err := kernelhost.Open(context.Background(), kernelOptions(t, dir))
	must(t, err)
	return k
}

func kernelOptions(t testing.TB, dir string) kernelhost.Options {
	t.Helper()
	return kernelhost.Options{
		DBDir: dir, Daemon: []string{shared.program(), "serve"}, Stderr: io.Discard,
		EngineFlags: []string{"--engine", testrig.Engine(t).Engine, "--cache", filepath.Join(testrig.BuildDir(t), "base"), "--max-online", "4"},
	}
}

// bundleOf gives a test bundle with its ID.
func bundleOf(t testing.TB, name string) (id string, data []byte) {
	t.Helper()
	data = testrig.ReadBundle(t, name)
	var hash struct{ EndoZipBase64Sha512 string }
	must(t, json.Unmarshal(data, &hash))
	return "b1-" + hash.EndoZipBase64Sha512, data
}

// write makes a database of five counters in different states: a runs, b is
// paused with a message held, c suspended, d terminated and its deletion begun, e
// deliberately suspended. All have heap snapshots, or had.
func write(t testing.TB, dir string) {
	t.Helper()
	ctx := context.Background()
	k := openKernel(t, dir)
	defer func() { must(t, k.Close()) }()
	id, data := bundleOf(t, "counter")
	cfg := config.Config{
		Bundles: map[string][]byte{id: data}, NamedBundles: map[string]string{"counter": id},
		SnapshotInitial: 3, SnapshotInterval: 6, DefaultReapInterval: config.ReapInterval{Deliveries: 4}, Digest: "dbdir",
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		vat := config.Vat{Name: name, BundleID: id, Parameters: json.RawMessage(`{}`), Options: config.Options{Metered: true}}
		cfg.Vats = append(cfg.Vats, vat)
	}
	_, err := k.Initialize(ctx, cfg)
	must(t, err)
	work(t, k, 6, "a", "b", "c", "d", "e")
	_, err = k.Pause(ctx, "b", "test")
	must(t, err)
	_, err = k.Suspend(ctx, "c", "test")
	must(t, err)
	_, err = k.Terminate(ctx, "d", "test")
	must(t, err)
	_, err = k.SuspendDeliberately(ctx, "e", "test")
	must(t, err)
	work(t, k, 2, "a", "b")
	_, err = k.Run(ctx, kernelhost.Budget{Cleanups: 3})
	must(t, err)
}

// work sends messages to vats and runs, a block each.
func work(t testing.TB, k *kernelhost.Kernel, rounds int, vats ...string) {
	t.Helper()
	ctx := context.Background()
	for range rounds {
		for _, vat := range vats {
			queueIncrement(t, k, vat)
		}
		_, err := k.Run(ctx, kernelhost.Budget{BlockCranks: 3})
		must(t, err)
	}
}

func queueIncrement(t testing.TB, k *kernelhost.Kernel, vat string) {
	t.Helper()
	_, err := k.QueueToVat(context.Background(), vat, "increment", noArguments())
	must(t, err)
}

func noArguments() capdata.CapData { return capdata.CapData{Body: "#[]", Slots: []string{}} }

// copied gives a directory of its own with what write makes.
func copied(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "db")
	must(t, os.CopyFS(dir, os.DirFS(written(t))))
	return dir
}

func written(t testing.TB) string {
	t.Helper()
	if shared.written == nil {
		dir := filepath.Join(shared.dir, "db")
		write(t, dir)
		shared.written = func() string { return dir }
	}
	return shared.written()
}

// alter runs statements on one of the databases of a directory that nobody uses;
// each must change something.
func alter(t testing.TB, dir, file string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, file))
	must(t, err)
	db.SetMaxOpenConns(1)
	for _, statement := range statements {
		result, err := db.Exec(statement)
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 && !strings.Contains("CREATE DROP PRAGMA", strings.Fields(statement)[0]) {
			t.Fatalf("%s changed %d rows (%v)", statement, n, err)
		}
	}
	must(t, db.Close())
}

// verify gives a verification without an error.
func verify(t testing.TB, dir string) Verification {
	t.Helper()
	v, err := Verify(context.Background(), dir, nil)
	must(t, err)
	return v
}

// wantProblems wants each problem to begin as wanted, in order.
func wantProblems(t testing.TB, v Verification, want ...string) {
	t.Helper()
	var got []string
	for _, p := range v.Problems {
		got = append(got, string(p.Kind)+" "+p.String())
	}
	same := len(got) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = strings.HasPrefix(got[i], want[i])
	}
	if !same {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
