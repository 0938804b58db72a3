package xsnap

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"vatworkerd/internal/crashpoint"
)

// BaseCache keeps base snapshots: the heap after an image's lockdown and
// supervisor were evaluated. A worker that starts from one ends in the same
// heaps, syscalls and computrons as one that evaluated both, much sooner.
//
// It is a local cache: a file in it may be deleted at any time and is built
// again. Files are named base-<image ID>-<sha256 of the content>.xss. Safe for
// concurrent use; several processes may share the directory.
type BaseCache struct {
	// Sandbox contains the workers that build base snapshots. It is set before
	// the first Open; the heaps are the same under every policy. Watch is for
	// the same workers, and set at the same time.
	Sandbox Sandbox
	Watch   Watch

	spawner *Spawner
	dir     string

	mu       sync.Mutex // guards verified, and makes builds one at a time
	verified map[string]fileStamp
}

// NewBaseCache uses dir, which is created if need be. What a process that was
// killed has left there half written is removed.
func NewBaseCache(spawner *Spawner, dir string) (*BaseCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open base snapshot cache: %w", err)
	}
	c := &BaseCache{spawner: spawner, dir: dir, verified: map[string]fileStamp{}}
	if err := c.sweepTemps(); err != nil {
		return nil, fmt.Errorf("cannot tidy the base snapshot cache: %w", err)
	}
	return c, nil
}

// Open returns the image's base snapshot as a file for StartOptions.From, with
// an offset of its own; the caller closes it. It is built if the cache has
// none, or one whose content is not what its name says. A file's content is
// hashed once, and again only if the file changed.
func (c *BaseCache) Open(image Image) (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := c.find(image.ID())
	if err == nil && f == nil {
		f, err = c.build(image)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open base snapshot: %w", err)
	}
	return f, nil
}

// find returns nil if there is no good file; it removes bad ones.
func (c *BaseCache) find(imageID string) (*os.File, error) {
	names, err := filepath.Glob(filepath.Join(globLiteral(c.dir), "base-"+imageID+"-*.xss"))
	if err != nil {
		return nil, err
	}
	for _, path := range names {
		f, err := c.verify(path)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return f, nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return nil, nil
}

// verify opens path and returns nil if its content has another hash.
func (c *BaseCache) verify(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ok, err := c.check(f)
	if err != nil || !ok {
		f.Close()
		return nil, err
	}
	return f, nil
}

// check leaves f at its begin.
func (c *BaseCache) check(f *os.File) (bool, error) {
	stamp, err := stampFile(f)
	if err != nil {
		return false, err
	}
	if known, ok := c.verified[f.Name()]; ok && known == stamp {
		return true, nil
	}
	hash, stamp, err := hashOpenFile(f)
	if err != nil {
		return false, err
	}
	if !strings.HasSuffix(f.Name(), "-"+hash+".xss") {
		return false, nil
	}
	c.verified[f.Name()] = stamp
	_, err = f.Seek(0, io.SeekStart)
	return true, err
}

// build writes the file beside, syncs and renames it: a name never shows half
// a snapshot.
func (c *BaseCache) build(image Image) (f *os.File, err error) {
	tmp, err := c.createTemp()
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	hash, err := c.write(image, tmp)
	if err != nil {
		return nil, err
	}
	if err := tmp.Sync(); err != nil {
		return nil, err
	}
	crashpoint.Here(crashpoint.BaseWritten)
	path := filepath.Join(c.dir, "base-"+image.ID()+"-"+hash+".xss")
	if err := os.Rename(tmp.Name(), path); err != nil {
		return nil, err
	}
	crashpoint.Here(crashpoint.BaseNamed)
	if f, err = c.verify(path); err == nil && f == nil {
		err = fmt.Errorf("%s does not hold what was written to it", path)
	}
	return f, err
}

func (c *BaseCache) write(image Image, dst io.Writer) (hash string, err error) {
	return c.spawner.writeBase(image, StartOptions{Name: "base-snapshot", CPU: -1, Sandbox: c.Sandbox, Watch: c.Watch}, dst)
}

// writeBase makes the heap with a worker that is metered as vats' workers are.
func (s *Spawner) writeBase(image Image, o StartOptions, dst io.Writer) (hash string, err error) {
	o.MeterLimit, o.From = DefaultMeterLimit, nil
	w, err := s.Start(image.Engine, o)
	if err != nil {
		return "", err
	}
	defer w.Close()
	if err := w.EvaluateImage(image, nil); err != nil {
		return "", err
	}
	h := sha256.New()
	buffered := bufio.NewWriterSize(dst, snapshotChunkBytes)
	if _, err := w.Snapshot(io.MultiWriter(h, buffered)); err != nil {
		return "", err
	}
	if err := buffered.Flush(); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// globLiteral keeps a directory's own special characters out of a pattern.
func globLiteral(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
