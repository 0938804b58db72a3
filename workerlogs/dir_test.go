package workerlogs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func openDir(t *testing.T, path string, o Options) *Dir {
	t.Helper()
	d, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestOnlySpeakersHaveFiles(t *testing.T) {
	path := logsDir(t)
	openDir(t, path, options()).Close()
	if _, err := os.Stat(path); err == nil {
		t.Fatal("a directory was made for nothing")
	}
	d := openDir(t, path, options())
	d.Add(said("v1", 1))
	d.Add(said("../v2", 2))
	d.Add(said(strings.Repeat("long", 100), 3))
	d.Close()
	d.Close()
	d.Add(said("v1", 4)) // is dropped
	names, _ := segmentsIn(t, path)
	if len(names) != 3 || names[1] != "%2e%2e%2fv2.1.log" || names[2] != "v1.1.log" || len(names[0]) != 65+len(".1.log") {
		t.Errorf("files %q", names)
	}
	info, err := os.Stat(filepath.Join(path, "v1.1.log"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	line, err := os.ReadFile(filepath.Join(path, "v1.1.log"))
	want := `{"time":"2026-01-02T03:04:05.001Z","vatID":"v1","name":"name of v1","incarnation":1,"position":1,"source":"vat","level":"log","text":"text 1"}` + "\n"
	if err != nil || string(line) != want {
		t.Errorf("got %s, want %s", line, want)
	}
}

func TestNilDirKeepsNothing(t *testing.T) {
	var d *Dir
	d.Add(said("v1", 1))
	d.Close()
	if n := d.Lost(); n != 0 {
		t.Errorf("%d lost", n)
	}
}

func TestBoundsAreChecked(t *testing.T) {
	for _, o := range []Options{{}, {VatBytes: MinVatBytes}, {VatBytes: MinVatBytes - 1, TotalBytes: 1 << 30}} {
		if _, err := Open(logsDir(t), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func TestManySpeakersAtOnce(t *testing.T) {
	path := logsDir(t)
	d := openDir(t, path, options())
	const vats, lines = 8, 500
	var speakers sync.WaitGroup
	for v := range vats {
		speakers.Go(func() {
			for n := range lines {
				d.Add(said(fmt.Sprintf("v%d", v), n))
			}
		})
	}
	speakers.Wait()
	d.Close()
	for v := range vats {
		got := entriesIn(t, path, Query{VatIDs: []string{fmt.Sprintf("v%d", v)}})
		if len(got) != lines {
			t.Fatalf("v%d has %d entries", v, len(got))
		}
		for n, e := range got {
			if e.Position != int64(n) {
				t.Fatalf("v%d: entry %d is %d", v, n, e.Position)
			}
		}
	}
}

// What comes while the disk does not take it is bounded, counted and told of.
func TestFasterThanTheDisk(t *testing.T) {
	path := logsDir(t)
	stuck, free := make(chan struct{}), make(chan struct{})
	o := options()
	var once sync.Once
	o.Fault = func(op string) error {
		once.Do(func() { close(stuck) })
		<-free
		return nil
	}
	d := openDir(t, path, o)
	d.Add(said("v1", 0))
	<-stuck
	const size, more = 8 << 10, 2000
	n := 1
	for ; d.Lost() == 0; n++ {
		d.Add(long("v1", n, size))
	}
	for range more {
		n++
		d.Add(long("v1", n, size))
	}
	d.Add(said("v2", n))
	if room := n * (size + entryBytes); room < maxPendingBytes || room > maxPendingBytes+(more+4)*(size+entryBytes) {
		t.Errorf("%d entries were taken before the first was dropped", n-more)
	}
	close(free)
	d.Close()
	got := entriesIn(t, path, Query{VatIDs: []string{"v1"}})
	last := got[len(got)-1]
	if last.Source != SourceOwn || last.Text != fmt.Sprintf("%d entries are missing here: they came faster than they could be written", more+1) {
		t.Errorf("%+v", last)
	}
	want(t, entriesIn(t, path, Query{VatIDs: []string{"v2"}}), "v2 1 entry is missing here: they came faster than they could be written")
	if d.Lost() != more+2 {
		t.Errorf("%d lost", d.Lost())
	}
}
