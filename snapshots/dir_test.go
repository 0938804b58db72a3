package snapshots

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// content is n bytes that compress about as well as a heap does.
func content(n int, seed byte) []byte {
	out := make([]byte, 0, n+40)
	block := sha256.Sum256([]byte{seed})
	for i := 0; len(out) < n; i++ {
		if i%4 == 0 {
			block = sha256.Sum256(block[:])
		}
		out = append(out, block[:]...)
		out = append(out, "\x00\x00slot"...)
	}
	return out[:n]
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func openDir(t testing.TB, fsys FS) *Dir {
	t.Helper()
	return openDirAt(t, filepath.Join(t.TempDir(), "snapshots"), fsys)
}

func openDirAt(t testing.TB, path string, fsys FS) *Dir {
	t.Helper()
	d, err := OpenDirFS(path, fsys)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// openDirWithBase is openDir of a directory whose snapshots are deltas. The base
// shares much with some contents and little with others.
func openDirWithBase(t testing.TB, fsys FS) *Dir {
	t.Helper()
	path := filepath.Join(t.TempDir(), "snapshots")
	if _, err := openDirAt(t, path, OSFS{}).KeepBase(bytes.NewReader(content(100_000, 1))); err != nil {
		t.Fatal(err)
	}
	return openDirAt(t, path, fsys)
}

// inBothForms runs a test on plain snapshots and on deltas.
func inBothForms(t *testing.T, test func(t *testing.T, open func(testing.TB, FS) *Dir)) {
	t.Run("plain", func(t *testing.T) { test(t, openDir) })
	t.Run("delta", func(t *testing.T) { test(t, openDirWithBase) })
}

// create begins a snapshot in the form of its directory.
func create(d *Dir) (*Writer, error) {
	bases, err := filepath.Glob(filepath.Join(d.path, basePrefix+"*"))
	if err != nil || len(bases) == 0 {
		return d.Create("")
	}
	name := strings.TrimPrefix(filepath.Base(bases[0]), basePrefix)
	return d.Create(strings.TrimSuffix(name, plainSuffix))
}

func save(d *Dir, data []byte) (Info, error) {
	w, err := create(d)
	if err != nil {
		return Info{}, err
	}
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		w.Abort()
		return Info{}, err
	}
	return w.Commit()
}

func mustSave(t testing.TB, d *Dir, data []byte) Info {
	t.Helper()
	info, err := save(d, data)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func load(d *Dir, hash string) ([]byte, error) {
	r, err := d.Open(hash)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// files lists the directory, but for bases.
func files(t testing.TB, d *Dir) []string {
	t.Helper()
	names, err := OSFS{}.Names(d.path)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, basePrefix) })
}

func TestSaveAndLoad(t *testing.T) { inBothForms(t, testSaveAndLoad) }

func testSaveAndLoad(t *testing.T, open func(testing.TB, FS) *Dir) {
	d := open(t, OSFS{})
	for _, size := range []int{0, 1, 100, 128 << 10, 128<<10 + 1, 9 << 20} {
		data := content(size, 1)
		info := mustSave(t, d, data)
		stat, err := os.Stat(d.Path(info.Hash))
		if err != nil {
			t.Fatal(err)
		}
		want := Info{Hash: hashOf(data), UncompressedSize: int64(size), StoredSize: stat.Size()}
		if info != want {
			t.Errorf("size %d: Commit gives %+v, want %+v", size, info, want)
		}
		if stat.Mode().Perm() != 0o600 {
			t.Errorf("mode %v: a heap is its vat's secret", stat.Mode())
		}
		got, err := load(d, info.Hash)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("size %d: load: %v, same %v", size, err, bytes.Equal(got, data))
		}
		if checked, err := d.Verify(info.Hash); err != nil || checked != want {
			t.Errorf("size %d: Verify: %+v, %v", size, checked, err)
		}
	}
	for _, name := range files(t, d) {
		if strings.HasPrefix(name, tempPrefix) {
			t.Errorf("temporary file %s is left", name)
		}
	}
}

func TestSavedTwice(t *testing.T) { inBothForms(t, testSavedTwice) }

// A file takes the place of one with the same content, which a reader reads on.
func testSavedTwice(t *testing.T, open func(testing.TB, FS) *Dir) {
	d := open(t, OSFS{})
	data := content(300_000, 2)
	first := mustSave(t, d, data)
	reading, err := d.Open(first.Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	if second := mustSave(t, d, data); first != second || len(files(t, d)) != 1 {
		t.Errorf("saved twice: %+v, %+v, %v", first, second, files(t, d))
	}
	if got, err := io.ReadAll(reading); err != nil || !bytes.Equal(got, data) {
		t.Errorf("who was reading meanwhile: %v", err)
	}
	if err := os.WriteFile(d.Path(first.Hash), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustSave(t, d, data)
	if _, err := d.Verify(first.Hash); err != nil {
		t.Errorf("a damaged file is not replaced: %v", err)
	}
}

func TestAbort(t *testing.T) { inBothForms(t, testAbort) }

func testAbort(t *testing.T, open func(testing.TB, FS) *Dir) {
	d := open(t, OSFS{})
	w, err := create(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content(500_000, 3)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if left := files(t, d); len(left) != 0 {
		t.Errorf("left after Abort: %v", left)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Abort succeeds")
	}
	if _, err := w.Commit(); err == nil {
		t.Error("Commit after Abort succeeds")
	}
}

func TestDamagedFiles(t *testing.T) { inBothForms(t, testDamagedFiles) }

func testDamagedFiles(t *testing.T, open func(testing.TB, FS) *Dir) {
	d := open(t, OSFS{})
	data := content(400_000, 4)
	info := mustSave(t, d, data)
	path := d.Path(info.Hash)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := mustSave(t, d, content(400_000, 5))
	wrong, err := os.ReadFile(d.Path(other.Hash))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(sound)
	flipped[len(flipped)/2] ^= 0x10
	for name, bad := range map[string][]byte{
		"empty":            {},
		"half":             sound[:len(sound)/2],
		"last byte gone":   sound[:len(sound)-1],
		"flipped":          flipped,
		"other content":    wrong,
		"rubbish":          []byte("this is no zstd file at all"),
		"something behind": append(bytes.Clone(sound), "behind"...),
		"twice":            append(bytes.Clone(sound), sound...),
		"huge window":      {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := d.Verify(info.Hash)
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Path != path || corrupt.Want != info.Hash || corrupt.ErrorHint() == "" {
				t.Fatalf("got %v, want *CorruptError of %s", err, path)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%q does not name the file", err)
			}
			if name == "other content" && corrupt.Got != other.Hash {
				t.Errorf("Got is %q, want %q", corrupt.Got, other.Hash)
			}
		})
	}
}

func TestMissingAndStrangeNames(t *testing.T) {
	d := openDir(t, OSFS{})
	hash := hashOf([]byte("nothing"))
	_, err := d.Open(hash)
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Hash != hash || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := d.Remove(hash); err != nil {
		t.Errorf("removing a missing file: %v", err)
	}
	for _, bad := range []string{"", "../../etc/passwd", hash + "0", strings.ToUpper(hash), strings.Repeat("g", 64)} {
		if _, err := d.Open(bad); err == nil || errors.As(err, &missing) {
			t.Errorf("Open(%q): %v", bad, err)
		}
		if err := d.Remove(bad); err == nil {
			t.Errorf("Remove(%q) succeeds", bad)
		}
	}
	if err := syscall.Mkfifo(d.Path(hash), 0o600); err != nil {
		t.Fatal(err)
	}
	var disk *IOError
	if _, err := d.Open(hash); !errors.As(err, &disk) {
		t.Errorf("a named pipe in a file's place: %v", err)
	}
}

func TestSweep(t *testing.T) {
	d := openDir(t, OSFS{})
	kept := mustSave(t, d, content(1000, 6))
	orphan := mustSave(t, d, content(1000, 7))
	for _, name := range []string{"tmp-left", "README", "abc.zst", orphan.Hash} {
		if err := os.WriteFile(filepath.Join(d.path, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := create(d)
	if err != nil {
		t.Fatal(err)
	}
	removed, err := d.Sweep(func(hash string) bool { return hash == kept.Hash })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(removed, " "), orphan.Hash+".zst tmp-left"; got != want {
		t.Errorf("removed %s, want %s", got, want)
	}
	if _, err := w.Commit(); err != nil {
		t.Errorf("Sweep disturbed an open Writer: %v", err)
	}
	if _, err := d.Verify(kept.Hash); err != nil {
		t.Error(err)
	}
}

func TestConcurrentUse(t *testing.T) { inBothForms(t, testConcurrentUse) }

func testConcurrentUse(t *testing.T, open func(testing.TB, FS) *Dir) {
	d := open(t, OSFS{})
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			for round := range 4 {
				data := content(200_000, byte((worker+round)%3)) // the same content meets itself
				info, err := save(d, data)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := load(d, info.Hash); err != nil || !bytes.Equal(got, data) {
					t.Errorf("load: %v", err)
				}
				if _, err := d.Sweep(func(string) bool { return true }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := len(files(t, d)); n != 3 {
		t.Errorf("%d files, want 3", n)
	}
}

func TestAnyContentAnyPieces(t *testing.T) { inBothForms(t, testAnyContentAnyPieces) }

func testAnyContentAnyPieces(t *testing.T, open func(testing.TB, FS) *Dir) {
	d := open(t, OSFS{})
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 0, 8).Draw(t, "pieces")
		repeat := rapid.IntRange(1, 3000).Draw(t, "repeat")
		w, err := create(d)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, piece := range pieces {
			piece = bytes.Repeat(piece, repeat)
			all = append(all, piece...)
			if _, err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		info, err := w.Commit()
		if err != nil || info.Hash != hashOf(all) {
			t.Fatalf("Commit: %+v, %v", info, err)
		}
		if got, err := load(d, info.Hash); err != nil || !bytes.Equal(got, all) {
			t.Fatalf("load: %v", err)
		}
	})
}

// A damaged file may still hold the right content (a spare bit of a header);
// what must never happen is a clean end after wrong content.
func TestFlipsNeverGoUnnoticed(t *testing.T) { inBothForms(t, testFlipsNeverGoUnnoticed) }

func testFlipsNeverGoUnnoticed(t *testing.T, open func(testing.TB, FS) *Dir) {
	d := open(t, OSFS{})
	data := content(60_000, 8)
	info := mustSave(t, d, data)
	sound, err := os.ReadFile(d.Path(info.Hash))
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	for i := 0; i < len(sound); i += 1 + i/200 {
		bad := bytes.Clone(sound)
		bad[i] ^= 1 << (i % 8)
		if checkDamaged(t, d, info.Hash, bad, data) {
			noticed++
		}
	}
	if noticed == 0 {
		t.Error("no flip was noticed")
	}
}

// checkDamaged loads a snapshot whose file is bad and tells whether that failed.
func checkDamaged(t testing.TB, d *Dir, hash string, bad, data []byte) bool {
	t.Helper()
	if err := os.WriteFile(d.Path(hash), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := load(d, hash)
	if err == nil && !bytes.Equal(got, data) {
		t.Fatalf("a clean end after %d wrong bytes", len(got))
	}
	var corrupt *CorruptError
	var base *BaseError // the header names another base
	if err != nil && !errors.As(err, &corrupt) && !errors.As(err, &base) {
		t.Fatalf("got %v, want *CorruptError", err)
	}
	return err != nil
}

func FuzzDamagedFile(f *testing.F) {
	d := openDir(f, OSFS{})
	data := content(5_000, 9)
	info := mustSave(f, d, data)
	sound, err := os.ReadFile(d.Path(info.Hash))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound)
	f.Add(sound[:len(sound)-3])
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, bad []byte) {
		checkDamaged(t, d, info.Hash, bad, data)
	})
}
