package kernelhost

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
	"vatworkerd/supervisor"
	"vatworkerd/xsnap"
)

// The test binary is also the daemon of the tests on real workers.
const asDaemon = "KERNELHOST_TEST_AS_DAEMON"

func runAsDaemon() bool {
	build := os.Getenv(asDaemon)
	if build == "" {
		return false
	}
	engine := filepath.Join(build, "engine")
	image, err := xsnap.LoadImage(filepath.Join(engine, "xsnap-worker"), filepath.Join(engine, "lockdown.bundle"), filepath.Join(engine, "supervisor.bundle"))
	if err == nil {
		dir := os.Args[len(os.Args)-1]
		opts := supervisor.Options{Dir: dir, CacheDir: filepath.Join(build, "base"), Image: image, MaxOnline: 3, CPU: -1}
		err = supervisor.Serve(os.NewFile(3, "requests"), os.NewFile(4, "replies"), opts)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// realRig is a kernel with real workers.
type realRig struct {
	t    *testing.T
	ctx  context.Context
	opts Options
	k    *Kernel
	seen int // lines of testLog
}

func newRealRig(t *testing.T, devices ...Device) *realRig {
	t.Helper()
	testrig.Engine(t)
	r := &realRig{t: t, ctx: context.Background(), opts: realOptions(t, t.TempDir(), devices...)}
	r.open()
	t.Cleanup(func() {
		if err := r.k.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

func realOptions(tb testing.TB, dir string, devices ...Device) Options {
	build, err := filepath.Abs(testrig.BuildDir(tb))
	if err != nil {
		tb.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return Options{
		DBDir: dir, Daemon: []string{"env", asDaemon + "=" + build, exe}, Devices: devices,
		VatAdminBundle: filepath.Join(build, "bundles", "vat-admin.json"),
	}
}

func (r *realRig) open() {
	r.t.Helper()
	k, err := Open(r.ctx, r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.k = k
}

// init makes the vats of a config, runs bootstrap, and gives its promise.
func (r *realRig) init(text string) string {
	r.t.Helper()
	var names []string
	for _, d := range r.opts.Devices {
		names = append(names, d.Name)
	}
	cfg, err := parseConfig(r.t, text, names...)
	if err != nil {
		r.t.Fatal(err)
	}
	promise, err := r.k.Initialize(r.ctx, cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.run()
	return promise
}

// parseConfig reads a config in which "BUNDLES/" stands for the built bundles.
func parseConfig(tb testing.TB, text string, devices ...string) (config.Config, error) {
	file := filepath.Join(tb.TempDir(), "config.json")
	text = strings.ReplaceAll(text, "BUNDLES/", filepath.Dir(testrig.Bundle(tb, "echo"))+"/")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return config.Config{}, err
	}
	cfg, err := config.Parse(file, devices...)
	if err != nil {
		return cfg, err
	}
	return cfg, cfg.ResolveBundles(context.Background(), nil, nil)
}

func (r *realRig) run() RunResult {
	r.t.Helper()
	result, err := r.k.Run(r.ctx, Budget{})
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// call sends a message, runs, and gives the result.
func (r *realRig) call(vat, method string, args ...any) (any, error) {
	r.t.Helper()
	promise, err := r.k.Send(r.ctx, vat, method, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.k.Await(r.ctx, promise, Budget{})
}

// ask calls a method of the bootstrap vat.
func (r *realRig) ask(method string, args ...any) any {
	r.t.Helper()
	value, err := r.call("bootstrap", method, args...)
	if err != nil {
		r.t.Fatalf("%s%v: %v", method, args, err)
	}
	return value
}

// fails calls a method of the bootstrap vat that must be rejected.
func (r *realRig) fails(want, method string, args ...any) {
	r.t.Helper()
	value, err := r.call("bootstrap", method, args...)
	if err == nil || !strings.Contains(err.Error(), want) {
		r.t.Fatalf("%s%v: %v, %v; want an error with %q", method, args, value, err, want)
	}
}

func (r *realRig) equal(got, want any) {
	r.t.Helper()
	if !reflect.DeepEqual(got, want) {
		r.t.Fatalf("got %#v, want %#v", got, want)
	}
}

// logged demands the lines of testLog since the last call.
func (r *realRig) logged(want ...string) {
	r.t.Helper()
	all := r.k.TestLog()
	got := all[r.seen:]
	r.seen = len(all)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		r.t.Fatalf("testLog:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (r *realRig) state(vat string) string {
	r.t.Helper()
	st, err := r.k.Vat(r.ctx, vat)
	if err != nil {
		r.t.Fatal(err)
	}
	return st.State
}

// pattern calls a method of vat a and compares; undefined counts as nil.
func (r *realRig) pattern(method string, want any, problem string) {
	r.t.Helper()
	value, err := r.call("a", method)
	if problem != "" {
		if err == nil || !strings.Contains(err.Error(), problem) {
			r.t.Fatalf("%s: %v, %v; want an error with %q", method, value, err, problem)
		}
		return
	}
	if err != nil {
		r.t.Fatalf("%s: %v", method, err)
	}
	if list, ok := value.([]any); ok {
		for i, element := range list {
			if _, undefined := element.(capdata.UndefinedValue); undefined {
				list[i] = nil
			}
		}
	}
	r.equal(value, want)
}

// audit counts all references afresh; nothing may wait in a queue.
func (r *realRig) audit() {
	r.t.Helper()
	r.run()
	kv := map[string]string{}
	for key, ok, err := r.k.db.NextKey("", ""); ok || err != nil; key, ok, err = r.k.db.NextKey(key, "") {
		if err != nil {
			r.t.Fatal(err)
		}
		value, _, err := r.k.db.Get(key)
		if err != nil {
			r.t.Fatal(err)
		}
		kv[key] = value
	}
	if err := auditTables(kv, nil); err != nil {
		r.t.Fatal(err)
	}
}
