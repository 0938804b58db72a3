package snapshots

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func mustKeepBase(t testing.TB, d *Dir, data []byte) string {
	t.Helper()
	hash, err := d.KeepBase(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if hash != hashOf(data) {
		t.Fatalf("the base is called %s, want %s", hash, hashOf(data))
	}
	return hash
}

// again is the directory as another process finds it.
func again(t testing.TB, d *Dir) *Dir { return openDirAt(t, d.path, OSFS{}) }

func mustSaveAgainst(t testing.TB, d *Dir, base string, data []byte) Info {
	t.Helper()
	w, err := d.Create(base)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	info, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestDeltaAndItsBase(t *testing.T) {
	d := openDir(t, OSFS{})
	base := content(500_000, 1)
	data := append(bytes.Clone(base), content(1000, 2)...)
	info := mustSaveAgainst(t, d, mustKeepBase(t, d, base), data)
	if info.StoredSize > 5000 {
		t.Errorf("the delta has %d bytes", info.StoredSize)
	}
	got, err := again(t, d).Files(info.Hash)
	want := []string{filepath.Join(d.path, info.Hash+".delta.zst"), filepath.Join(d.path, "base-"+hashOf(base)+".zst")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("its files are %v, want %v (%v)", got, want, err)
	}
	for _, path := range want {
		if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, stat, err)
		}
	}
	if got, err := load(again(t, d), info.Hash); err != nil || !bytes.Equal(got, data) {
		t.Errorf("load: %v", err)
	}
}

// A lost base is no lost snapshot: whoever has it gives it again.
func TestLostBase(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"missing": os.Remove,
		"damaged": func(path string) error { return os.Truncate(path, 100) },
		"another": func(path string) error { return os.WriteFile(path, content(100, 3), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			d := openDir(t, OSFS{})
			base, data := content(50_000, 1), content(60_000, 1)
			info := mustSaveAgainst(t, d, mustKeepBase(t, d, base), data)
			if err := lose(d.basePath(hashOf(base))); err != nil {
				t.Fatal(err)
			}
			d = again(t, d)
			_, err := d.Open(info.Hash)
			var lost *BaseError
			if !errors.As(err, &lost) || lost.Hash != hashOf(base) || lost.Path != d.deltaPath(info.Hash) || lost.ErrorHint() == "" {
				t.Fatalf("got %v, want *BaseError", err)
			}
			if _, err := d.Create(hashOf(base)); !errors.As(err, &lost) {
				t.Errorf("a snapshot is begun against a lost base: %v", err)
			}
			mustKeepBase(t, d, base)
			if got, err := load(again(t, d), info.Hash); err != nil || !bytes.Equal(got, data) {
				t.Errorf("with the base again: %v", err)
			}
		})
	}
}

func TestBaseTooLarge(t *testing.T) {
	d := openDir(t, OSFS{})
	if _, err := d.KeepBase(io.LimitReader(zeros{}, 65<<20)); err == nil {
		t.Error("a base of 65 MiB is kept")
	}
	if left := files(t, d); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A plain file that somebody puts beside comes first; an unsound one goes when
// the snapshot is written again.
func TestPlainCopyBesideADelta(t *testing.T) {
	d := openDir(t, OSFS{})
	base, data := mustKeepBase(t, d, content(50_000, 1)), content(60_000, 1)
	info := mustSaveAgainst(t, d, base, data)
	if err := os.Truncate(d.deltaPath(info.Hash), 50); err != nil {
		t.Fatal(err)
	}
	elsewhere := openDir(t, OSFS{})
	mustSave(t, elsewhere, data)
	if err := os.Rename(elsewhere.plainPath(info.Hash), d.plainPath(info.Hash)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Verify(info.Hash); err != nil {
		t.Errorf("with the copy: %v", err)
	}
	mustSaveAgainst(t, d, base, data) // a sound one stays
	if _, err := os.Stat(d.plainPath(info.Hash)); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(d.plainPath(info.Hash), 50); err != nil {
		t.Fatal(err)
	}
	mustSaveAgainst(t, d, base, data)
	if got := files(t, d); !slices.Equal(got, []string{info.Hash + ".delta.zst"}) {
		t.Errorf("files %v", got)
	}
	if _, err := d.Verify(info.Hash); err != nil {
		t.Error(err)
	}
	if err := d.Remove(info.Hash); err != nil || len(files(t, d)) != 0 {
		t.Errorf("removed: %v, left %v", err, files(t, d))
	}
}

func TestSweepOfBases(t *testing.T) {
	d := openDir(t, OSFS{})
	old, now := mustKeepBase(t, d, content(9000, 1)), mustKeepBase(t, d, content(9000, 2))
	oldHeap := mustSaveAgainst(t, d, old, content(10_000, 1))
	newHeap := mustSaveAgainst(t, d, now, content(10_000, 2))
	sweep := func(d *Dir, want string, keep ...Info) {
		t.Helper()
		removed, err := d.Sweep(func(hash string) bool {
			return slices.ContainsFunc(keep, func(i Info) bool { return i.Hash == hash })
		})
		if got := strings.Join(removed, " "); err != nil || got != want {
			t.Errorf("swept %q, want %q (%v)", got, want, err)
		}
	}
	sweep(again(t, d), "", oldHeap, newHeap)
	sweep(d, oldHeap.Hash+".delta.zst", newHeap)
	sweep(d, "", newHeap) // both bases are in use in this process
	sweep(again(t, d), "base-"+old+".zst", newHeap)
	sweep(again(t, d), newHeap.Hash+".delta.zst") // the only base stays
	mustKeepBase(t, d, content(9000, 1))
	newHeap = mustSaveAgainst(t, d, now, content(10_000, 2))
	if err := os.Truncate(d.deltaPath(newHeap.Hash), 20); err != nil {
		t.Fatal(err)
	}
	sweep(again(t, d), "", newHeap) // which is the damaged delta's base?
}

// docs/snapshots.md gives this recipe: it needs the page, a zstd decoder, and
// the base's plain bytes.
func TestDeltaByTheBook(t *testing.T) {
	d := openDir(t, OSFS{})
	base := heapOf(content(300_000, 1), 20_000)
	data := heapOf(append(content(700, 2), content(300_000, 1)[700:]...), 30_000)
	info := mustSaveAgainst(t, d, mustKeepBase(t, d, base), data)
	file, err := os.ReadFile(d.Path(info.Hash))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(file[8:300]); !strings.HasPrefix(text, `{"format":"vatworkerd heap delta","version":1,"hash":"`+info.Hash+`"`) {
		t.Errorf("the header is %q", text)
	}
	dec, err := zstd.NewReader(bytes.NewReader(file)) // it skips the header, as zstd -dc does
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	records, err := io.ReadAll(dec)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) > len(data)/3 {
		t.Errorf("there are %d bytes of records: hardly anything was copied", len(records))
	}
	if got := byTheBook(records, base); !bytes.Equal(got, data) {
		t.Errorf("the book gives %d bytes, want %d", len(got), len(data))
	}
}

// heapOf makes a heap snapshot of chunks and of so many slots in one list, whose
// end numbers itself.
func heapOf(chunks []byte, slots int) []byte {
	body := atomOf("BLOC", chunks)
	var all []byte
	for own := 1; own <= slots; own++ {
		all = binary.LittleEndian.AppendUint64(all, uint64(min(own+1, slots)))
		all = binary.LittleEndian.AppendUint64(all, uint64(own%7))
		all = append(all, make([]byte, 16)...)
	}
	return atomOf("XS_M", append(body, atomOf("HEAP", all)...))
}

func atomOf(tag string, body []byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(head, tag...), body...)
}

// slotsByTheBook changes between the two forms of slots.
func slotsByTheBook(slots []byte, first int, change func(word, own uint64) uint64) {
	for own := uint64(first); len(slots) > 0; own, slots = own+1, slots[32:] {
		binary.LittleEndian.PutUint64(slots, change(binary.LittleEndian.Uint64(slots), own))
	}
}

// byTheBook decodes records.
func byTheBook(records, base []byte) (heap []byte) {
	base = bytes.Clone(base)
	slots := base[bytes.Index(base, []byte("HEAP"))+4:]
	slotsByTheBook(slots, 1, func(next, own uint64) uint64 {
		switch next {
		case 0:
			return 0
		case own:
			return -own
		}
		return next - own
	})
	number := func() int { v, n := binary.Uvarint(records); records = records[n:]; return int(v) }
	signed := func() int { v, n := binary.Varint(records); records = records[n:]; return int(v) }
	at := 0
	for size := number(); size > 0; size = number() {
		first, begin := number(), len(heap)
		type command struct{ literals, size, from int }
		var commands []command
		for made := 0; made < size; {
			c := command{literals: number(), size: number()}
			at += c.literals
			if c.size > 0 {
				c.from = at + signed()
				at = c.from + c.size
			}
			made += c.literals + c.size
			commands = append(commands, c)
		}
		for _, c := range commands {
			heap = append(append(heap, records[:c.literals]...), base[c.from:c.from+c.size]...)
			records = records[c.literals:]
		}
		if first == 0 {
			continue
		}
		slotsByTheBook(heap[begin:], first, func(distance, own uint64) uint64 {
			switch distance {
			case 0:
				return 0
			case -own:
				return own
			}
			return distance + own
		})
	}
	return heap
}

func TestBadHeaders(t *testing.T) {
	d := openDir(t, OSFS{})
	info := mustSaveAgainst(t, d, mustKeepBase(t, d, content(5000, 1)), content(6000, 1))
	sound, err := os.ReadFile(d.Path(info.Hash))
	if err != nil {
		t.Fatal(err)
	}
	swap := func(old, with string) []byte {
		return append([]byte(nil), bytes.Replace(sound, []byte(old), []byte(with), 1)...)
	}
	for name, bad := range map[string][]byte{
		"nothing":         {},
		"half":            sound[:100],
		"no header":       sound[headerBytes:],
		"another version": swap(`"version":1`, `"version":2`),
		"another format":  swap("heap delta", "heap dalta"),
		"no JSON":         swap(`{"format`, `["format`),
		"no size":         swap(`"size":6000`, `"size":-600`),
		"a lesser size":   swap(`"size":6000`, `"size":5000`),
		"a huge size":     swap(`"size":6000`, `"size":9e18`),
		"a huge header":   append([]byte{0x56, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff}, sound[8:]...),
		"another's hash":  swap(info.Hash, hashOf([]byte("other"))),
		"a base outside":  swap(`"base":"`+hashOf(content(5000, 1)), `"base":"../`+hashOf(content(5000, 1))[3:]),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(d.Path(info.Hash), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := d.Verify(info.Hash)
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Path != d.deltaPath(info.Hash) {
				t.Errorf("got %v, want *CorruptError", err)
			}
		})
	}
}

// Whatever is in the file of a delta: the right content or an error.
func FuzzDeltaFile(f *testing.F) {
	d := openDir(f, OSFS{})
	data := content(6000, 1)
	info := mustSaveAgainst(f, d, mustKeepBase(f, d, content(5000, 1)), data)
	sound, err := os.ReadFile(d.Path(info.Hash))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound)
	f.Add(sound[:headerBytes])
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := os.WriteFile(d.deltaPath(info.Hash), file, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := load(d, info.Hash); err == nil && !bytes.Equal(got, data) {
			t.Errorf("a clean end after %d wrong bytes", len(got))
		}
	})
}
