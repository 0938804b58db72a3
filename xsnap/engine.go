// Package xsnap runs one xsnap worker process: it starts it, speaks its
// dialect, loads and saves its heap, and tells how it ended.
package xsnap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Engine is one build of xsnap-worker, or of the native worker.
type Engine struct {
	Path    string // absolute
	SHA256  string // hex, of the binary
	Version string // the first line that `-v` prints, e.g. "xsnap 0.15.0 (XS 13.3.0)"
	Kind    EngineKind
	// HeapArea: a worker can find its heap in memory. The second line says so, which
	// native workers of earlier builds do not have.
	HeapArea bool

	stamp fileStamp // of the file that was hashed; zero if the Engine was written by hand
}

// EngineKind is which program an engine is, and so how it is talked to.
type EngineKind int

const (
	// EngineStock is the xsnap-worker of the npm package.
	EngineStock EngineKind = iota
	// EngineNative is the worker of this repository (xsnap/native).
	EngineNative
)

func (k EngineKind) String() string {
	if k == EngineNative {
		return "native"
	}
	return "stock"
}

// versionTimeout bounds `xsnap-worker -v`, which prints one line and ends.
const versionTimeout = 10 * time.Second

// IdentifyEngine hashes the binary at path and asks it for its version.
func IdentifyEngine(path string) (Engine, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Engine{}, fmt.Errorf("cannot identify engine %s: %w", path, err)
	}
	sum, stamp, err := hashFile(abs)
	if err != nil {
		return Engine{}, fmt.Errorf("cannot identify engine: %w", err)
	}
	eng := Engine{Path: abs, SHA256: sum, stamp: stamp}
	if err := eng.askVersion(); err != nil {
		return Engine{}, fmt.Errorf("cannot identify engine %s: %w", abs, err)
	}
	return eng, nil
}

func (e *Engine) askVersion() error {
	ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, e.Path, "-v")
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s -v: %w", e.Path, err)
	}
	version, abilities, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	switch {
	case strings.HasPrefix(version, "xsnap "):
		e.Kind = EngineStock
	case strings.HasPrefix(version, "xsnap-native "):
		e.Kind = EngineNative
		e.HeapArea = slices.Contains(strings.Fields(abilities), "heap-area")
	default:
		return fmt.Errorf("it is no xsnap-worker: -v printed %.80q", version)
	}
	e.Version = version
	return nil
}

// unchanged reports an engine whose file was replaced after it was hashed: its
// computrons and snapshots could differ under the old name.
func (e Engine) unchanged() error {
	if e.stamp == (fileStamp{}) {
		return nil
	}
	now, err := stampPath(e.Path)
	if err != nil {
		return err
	}
	if now != e.stamp {
		return fmt.Errorf("engine %s was replaced after it was identified as %s; restart vatworkerd to use the new one", e.Path, e.SHA256)
	}
	return nil
}

// fileStamp tells cheaply whether a file is still the one that was hashed.
type fileStamp struct {
	device, inode uint64
	size          int64
	modified      int64 // nanoseconds
}

// hashFile returns the hex sha256 of the file at path and its stamp.
func hashFile(path string) (string, fileStamp, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fileStamp{}, err
	}
	defer f.Close()
	return hashOpenFile(f)
}

// hashOpenFile hashes f from its current offset to its end.
func hashOpenFile(f *os.File) (string, fileStamp, error) {
	stamp, err := stampFile(f)
	if err != nil {
		return "", fileStamp{}, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fileStamp{}, fmt.Errorf("cannot hash %s: %w", f.Name(), err)
	}
	return hex.EncodeToString(h.Sum(nil)), stamp, nil
}
