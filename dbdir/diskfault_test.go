package dbdir

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/internal/procs"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
	"vatworkerd/supervisor"
)

// faultRounds is how many blocks are worked while the disk fails.
const faultRounds = 4

// course is what happens on a disk without faults: hashes by height, from the
// state that `write` makes to the end, and how long that takes.
type course struct {
	first, end int64
	hashes     map[int64]string
	took       time.Duration
}

// theCourse is worked once for all tests.
var theCourse = sync.OnceValue(func() *course { return &course{hashes: map[int64]string{}} })

func courseOf(t testing.TB) *course {
	t.Helper()
	c := theCourse()
	if len(c.hashes) > 0 {
		return c
	}
	dir := copied(t)
	began := time.Now()
	k := openKernel(t, dir)
	c.first, c.end = k.Height(), k.Height()+faultRounds
	c.hashes[k.Height()] = hashesAt(t, k)
	for k.Height() < c.end {
		round(t, k)
		c.hashes[k.Height()] = hashesAt(t, k)
	}
	must(t, k.Close())
	c.took = time.Since(began)
	return c
}

// hashesAt is hashesOf of an open kernel, without the host's.
func hashesAt(t testing.TB, k *kernelhost.Kernel) string {
	t.Helper()
	const noVats = -1
	status, err := k.Status(context.Background(), "", noVats)
	must(t, err)
	return status.ActivityHash + " " + status.StateHash
}

// trial works on dir until the end of the course or an error. told is the last
// height that the host was told to be committed. before, if set, is called before
// each block, with how many went before it.
func (c *course) trial(t testing.TB, dir string, before func(block int64)) (told int64, err error) {
	t.Helper()
	k, err := kernelhost.Open(context.Background(), kernelOptions(t, dir))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	for told = k.Height(); told < c.end; told = k.Height() {
		if before != nil {
			before(told - c.first)
		}
		for _, vat := range []string{"a", "c", "a", "b"} {
			if _, err := k.QueueToVat(context.Background(), vat, "increment", noArguments()); err != nil {
				return told, err
			}
		}
		if _, err := k.Run(context.Background(), kernelhost.Budget{Cleanups: 1}); err != nil {
			return told, err
		}
	}
	return told, nil
}

// goOn wants a directory, on a disk that works again, to be sound, no lower than
// at the height told, as the course was there, and to end as the course does.
func (c *course) goOn(t testing.TB, dir string, told int64) {
	t.Helper()
	v := verify(t, dir)
	wantProblems(t, v)
	if got := v.ActivityHash + " " + v.StateHash; v.Height < told || got != c.hashes[v.Height] {
		t.Errorf("after the fault: height %d, told %d, hashes\n%s, want\n%s", v.Height, told, got, c.hashes[v.Height])
	}
	if _, err := c.trial(t, dir, nil); err != nil {
		t.Errorf("on a disk that works again: %v", err)
	}
	v, err := verifyTables(dir)
	must(t, err)
	wantProblems(t, v)
	if got := v.ActivityHash + " " + v.StateHash; got != c.hashes[c.end] {
		t.Errorf("at the end: %s\nwant %s", got, c.hashes[c.end])
	}
}

// wantCode wants an error that has one of the codes, and says where.
func wantCode(t testing.TB, err error, dir string, codes ...string) {
	t.Helper()
	t.Logf("%v", err)
	code := pipeproto.ErrorOf(err).Code
	if !slices.Contains(codes, code) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got code %s, want %v, of a file in %s: %v", code, codes, dir, err)
	}
}

// injected logs how many faults were met, and wants some.
func injected(t testing.TB, what string, tried, met int) {
	t.Helper()
	t.Logf("%s: %d, of which %d were met", what, tried, met)
	if met == 0 {
		t.Errorf("%s: no fault was met", what)
	}
}

// trials is how many faults of a kind are tried: VATWORKERD_DISK_FAULTS times as
// many, if that is set.
func trials(t testing.TB, n int) int {
	t.Helper()
	text := os.Getenv("VATWORKERD_DISK_FAULTS")
	if text == "" {
		return n
	}
	times, err := strconv.Atoi(text)
	must(t, err)
	return n * times
}

// The disk fills up, at many levels, so that it is another operation each time
// that finds it full.
func TestDiskFull(t *testing.T) {
	const most = 1_200_000 // bytes; a little more is enough for the whole course
	c, n, met := courseOf(t), trials(t, 4), 0
	for i := range n {
		d := newTmpfs(t, 64<<20)
		dir := filepath.Join(d.at, "db")
		must(t, os.CopyFS(dir, os.DirFS(written(t))))
		d.resize(d.used() + int64(i*most/n))
		told, err := c.trial(t, dir, nil)
		if err != nil {
			met++
			wantCode(t, err, dir, pipeproto.CodeNoSpace)
		}
		d.resize(64 << 20)
		c.goOn(t, dir, told)
		d.remove()
	}
	injected(t, "levels at which the disk is full", n, met)
}

// A backup whose disk fills up leaves nothing that could be taken for one.
func TestBackupDiskFull(t *testing.T) {
	dir, d := copied(t), newTmpfs(t, 64<<20)
	before := contentsOf(t, dir)
	size := backup(t, dir, BackupOptions{}).Bytes()
	n := trials(t, 12)
	for i := range n {
		d.resize(8192 + int64(i)*size/int64(n)) // 0 would be no limit
		to := filepath.Join(d.at, "copy")
		_, err := MakeBackup(context.Background(), dir, to, BackupOptions{})
		if err == nil {
			t.Fatalf("%d bytes are enough for a backup of %d", i*int(size)/n, size)
		}
		wantCode(t, err, d.at, pipeproto.CodeNoSpace)
		wantNothing(t, to)
	}
	d.resize(64 << 20)
	b, err := MakeBackup(context.Background(), dir, filepath.Join(d.at, "copy"), BackupOptions{})
	must(t, err)
	wantSound(t, b)
	if after := contentsOf(t, dir); !maps.Equal(before, after) {
		t.Error("the database was changed")
	}
	injected(t, "levels at which the disk of a backup is full", n, n)
}

// The file system becomes read-only, or the power fails, at any instant. The
// delay only spreads the faults over the course; no outcome depends on it.
func TestDiskGone(t *testing.T) {
	c, dice := courseOf(t), seeded(t)
	for _, fault := range []struct {
		name   string
		strike func(*disk) error
	}{{"read-only", (*disk).goReadOnly}, {"power", (*disk).losePower}} {
		t.Run(fault.name, func(t *testing.T) {
			n, met := trials(t, 3), 0
			for i := range n {
				delay := time.Duration(dice.Int63n(int64(c.took)))
				if i == 0 {
					delay = 0 // is met for sure
				}
				if c.goneAfter(t, delay, fault.strike) {
					met++
				}
			}
			injected(t, "instants", n, met)
		})
	}
}

// goneAfter is one trial on a disk that is struck after a delay; without one,
// before the second block.
func (c *course) goneAfter(t *testing.T, delay time.Duration, strike func(*disk) error) (met bool) {
	t.Helper()
	d := newExt4(t)
	defer d.remove()
	dir := filepath.Join(d.at, "db")
	must(t, os.CopyFS(dir, os.DirFS(written(t))))
	d.again() // so that all of it is on the disk
	struck := make(chan error, 1)
	told, err := c.trial(t, dir, func(block int64) {
		switch {
		case delay == 0 && block == 1:
			struck <- strike(d)
		case delay != 0 && block == 0:
			time.AfterFunc(delay, func() { struck <- strike(d) })
		}
	})
	must(t, <-struck)
	if err != nil {
		// SQLite takes a read that fails for damage.
		wantCode(t, err, dir, pipeproto.CodeIO, pipeproto.CodeCorrupt)
	}
	d.again()
	c.goOn(t, dir, told)
	return err != nil
}

// The daemon may not write beyond some byte of any file: of its logs that grow, of
// its database, of a new snapshot.
func TestFileSizeLimit(t *testing.T) {
	c, met := courseOf(t), 0
	limits := []struct {
		block int64
		limit func(log uint64) uint64 // by the size of the write-ahead log
	}{
		{0, func(uint64) uint64 { return 100_000 }},                 // the first snapshot
		{1, func(log uint64) uint64 { return log }},                 // the next block, at its first byte
		{1, func(log uint64) uint64 { return log + 3*4120 + 2000 }}, // within a page
		{faultRounds - 1, func(uint64) uint64 { return 1 << 20 }},   // moving the log into the file, at the end
	}
	for _, l := range limits {
		dir := copied(t)
		told, err := c.trial(t, dir, func(block int64) {
			if block == l.block {
				limitDaemon(t, l.limit(sizeOf(t, filepath.Join(dir, supervisor.DatabaseFile+"-wal"))))
			}
		})
		t.Logf("limited before block %d: height %d", l.block, told)
		if err != nil {
			met++
			wantCode(t, err, dir, pipeproto.CodeIO)
		}
		c.goOn(t, dir, told)
	}
	injected(t, "limits of the size of files", len(limits), met)
}

func sizeOf(t testing.TB, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return uint64(info.Size())
}

// limitDaemon makes writes of our daemon beyond so many bytes of a file fail.
func limitDaemon(t testing.TB, bytes uint64) {
	t.Helper()
	daemon, ok := procs.Youngest(os.Getpid())
	if !ok {
		t.Fatal("there is no daemon")
	}
	must(t, unix.Prlimit(daemon, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: bytes}, nil))
}
