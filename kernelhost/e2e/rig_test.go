// Package e2e tests the kernel host on the real daemon, the real engine and
// real liveslots vats.
package e2e

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
	"testing"

	_ "github.com/mattn/go-sqlite3" // the driver
	"go.uber.org/goleak"

	"vatworkerd/internal/testrig"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

// program is the path of vatworkerd, built once for all tests of this package.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kernelhost-e2e-")
	if err == nil {
		program = filepath.Join(dir, "vatworkerd")
		cmd := exec.Command("go", "build", "-o", program, "vatworkerd/cmd/vatworkerd")
		cmd.Stderr = os.Stderr
		err = cmd.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot build vatworkerd:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// rig is a kernel with real vats in a directory of its own.
type rig struct {
	t        testing.TB
	dir      string
	k        *kernelhost.Kernel
	bundleID string
	bundle   []byte
	seen     map[string]int64 // transcript position after what deliveries has shown, by vat
	out      strings.Builder
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, dir: t.TempDir(), bundle: testrig.ReadBundle(t, "gc"), seen: map[string]int64{}}
	var hash struct{ EndoZipBase64Sha512 string }
	r.must(json.Unmarshal(r.bundle, &hash))
	r.bundleID = "b1-" + hash.EndoZipBase64Sha512
	r.open()
	t.Cleanup(func() { r.must(r.k.Close()) })
	return r
}

func (r *rig) open() {
	var err error
	r.k, err = kernelhost.Open(context.Background(), kernelhost.Options{
		DBDir: r.dir, Daemon: []string{program, "serve"},
		EngineFlags: []string{"--engine", testrig.Engine(r.t).Engine}, Stderr: io.Discard,
	})
	r.must(err)
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// init makes the vats of lines "NAME reap=N gc=N"; reaping is off by default.
func (r *rig) init(text string) {
	r.t.Helper()
	cfg := config.Config{
		Bundles: map[string][]byte{r.bundleID: r.bundle}, NamedBundles: map[string]string{},
		SnapshotInitial: 1000, SnapshotInterval: 1000, // a snapshot brings a bringOutYourDead of its own
		DefaultReapInterval: config.ReapInterval{Never: true}, DefaultReapGCKrefs: config.ReapGCKrefs{Never: true}, Digest: text,
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		vat := config.Vat{Name: words[0], BundleID: r.bundleID, Parameters: json.RawMessage(`{}`), Options: config.Options{Metered: true}}
		for _, word := range words[1:] {
			name, value, _ := strings.Cut(word, "=")
			var n int64
			if _, err := fmt.Sscan(value, &n); err != nil {
				r.t.Fatalf("%s: %v", word, err)
			}
			switch name {
			case "reap":
				vat.Options.ReapInterval = &config.ReapInterval{Deliveries: n}
			case "gc":
				vat.Options.ReapGCKrefs = &config.ReapGCKrefs{Krefs: n}
			}
		}
		cfg.Vats = append(cfg.Vats, vat)
	}
	_, err := r.k.Initialize(context.Background(), cfg)
	r.must(err)
}

// root gives the kref of a vat's root object. The first message to the vat
// exports it.
func (r *rig) root(vat string) string {
	r.t.Helper()
	key := r.vatID(vat) + ".c.o+0"
	if r.tables()[key] == "" {
		r.call(vat, "use", `#["nothing"]`)
	}
	return r.tables()[key]
}

func (r *rig) vatID(name string) string { return r.tables()["vat.name."+name] }

// call sends a message, runs, lets go of the result and gives it.
func (r *rig) call(vat, method, body string, slots ...string) string {
	r.t.Helper()
	ctx := context.Background()
	args := capdata.CapData{Body: body, Slots: append([]string{}, slots...)}
	promise, err := r.k.QueueToVat(ctx, vat, method, args)
	r.must(err)
	r.run()
	state, data, err := r.k.PromiseResult(promise)
	r.must(err)
	r.must(r.k.Unpin(ctx, promise))
	r.run()
	return strings.TrimSpace(state + " " + data.Body + " " + strings.Join(data.Slots, ","))
}

func (r *rig) run() {
	r.t.Helper()
	_, err := r.k.Run(context.Background(), kernelhost.Budget{Cleanups: pipeproto.UnlimitedCleanup})
	r.must(err)
}

// rows reads a committed database beside the processes that use it.
func (r *rig) rows(file, query string, visit func(scan func(...any) error) error, args ...any) {
	r.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(r.dir, file)+"?mode=ro")
	r.must(err)
	defer func() { r.must(db.Close()) }()
	rows, err := db.Query(query, args...)
	r.must(err)
	defer func() { r.must(rows.Close()) }()
	for rows.Next() {
		r.must(visit(rows.Scan))
	}
	r.must(rows.Err())
}

// tables reads the kernel's tables.
func (r *rig) tables() map[string]string {
	r.t.Helper()
	kv := map[string]string{}
	r.rows("host.sqlite", `SELECT key, value FROM kv`, func(scan func(...any) error) error {
		var key, value string
		err := scan(&key, &value)
		kv[key] = value
		return err
	})
	return kv
}

// deliveries writes what a vat was delivered since it was last asked for, and
// the syscalls of garbage collection that the vat made.
func (r *rig) deliveries(vatID string) {
	r.t.Helper()
	query := `SELECT position, item FROM transcriptItems WHERE vatID = ? AND position >= ? ORDER BY position`
	r.rows("vats.sqlite", query, func(scan func(...any) error) error {
		var position int64
		var item string
		if err := scan(&position, &item); err != nil {
			return err
		}
		r.seen[vatID] = position + 1
		return r.showEntry(item)
	}, vatID, r.seen[vatID])
}

func (r *rig) showEntry(item string) error {
	var entry struct {
		D  []json.RawMessage
		SC []struct{ S []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(item), &entry); err != nil {
		return err
	}
	if !strings.Contains(string(entry.D[0]), "-") { // no pseudo-delivery
		fmt.Fprintf(&r.out, "<- %s\n", list(entry.D))
	}
	for _, syscall := range entry.SC {
		name := string(syscall.S[0])
		if strings.Contains(name, "port") {
			fmt.Fprintf(&r.out, "   -> %s\n", list(syscall.S))
		}
	}
	return nil
}

func list(parts []json.RawMessage) string {
	text, err := json.Marshal(parts)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
