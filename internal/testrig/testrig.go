// Package testrig finds the real engine, worker bundles and vat bundles that
// tests run on. It only knows paths, so that every package may use it.
package testrig

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// EnginePaths are the arguments of xsnap.LoadImage.
type EnginePaths struct {
	Engine     string
	Lockdown   string
	Supervisor string
}

// BuildDir is where `make engine bundles` puts its results: the environment's
// VATWORKERD_BUILD, or build/ at the top of this repository.
func BuildDir(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("VATWORKERD_BUILD"); dir != "" {
		return dir
	}
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("cannot find this repository: the test binary has no source paths; set VATWORKERD_BUILD")
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "build")
}

// Engine returns the stock engine and its bundles, or fails the test.
func Engine(tb testing.TB) EnginePaths {
	tb.Helper()
	dir := filepath.Join(BuildDir(tb), "engine")
	return EnginePaths{
		Engine:     need(tb, dir, "xsnap-worker", "make engine"),
		Lockdown:   need(tb, dir, "lockdown.bundle", "make engine"),
		Supervisor: need(tb, dir, "supervisor.bundle", "make engine"),
	}
}

// NativeEngine returns the native worker and its bundles, or fails the test.
func NativeEngine(tb testing.TB) EnginePaths {
	tb.Helper()
	return nativePaths(tb, "native")
}

// SanitizedEngine is NativeEngine built with ASan and UBSan.
func SanitizedEngine(tb testing.TB) EnginePaths {
	tb.Helper()
	return nativePaths(tb, "native-sanitized")
}

func nativePaths(tb testing.TB, target string) EnginePaths {
	tb.Helper()
	dir := filepath.Join(BuildDir(tb), target)
	return EnginePaths{
		Engine:     need(tb, dir, "xsnap-native-worker", "make "+target),
		Lockdown:   need(tb, dir, "lockdown.bundle", "make "+target),
		Supervisor: need(tb, dir, "supervisor.bundle", "make "+target),
	}
}

// FrameReader returns the path of the program that is the native worker's frame
// reader alone (xsnap/native/check/reader.c), or fails the test.
func FrameReader(tb testing.TB) string {
	tb.Helper()
	return need(tb, filepath.Join(BuildDir(tb), "native-sanitized"), "frame-reader", "make native-sanitized")
}

// Bundle returns the path of the bundle made from testdata/bundles/<name>.js,
// or fails the test.
func Bundle(tb testing.TB, name string) string {
	tb.Helper()
	return need(tb, filepath.Join(BuildDir(tb), "bundles"), name+".json", "make bundles")
}

// ReadBundle returns the content of Bundle.
func ReadBundle(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(Bundle(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func need(tb testing.TB, dir, name, command string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		tb.Fatalf("a test needs %s: %v\nrun: %s", path, err, command)
	}
	return path
}
