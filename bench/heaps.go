package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// heapVat is a vat whose heap has a known size.
type heapVat struct {
	size   string // of the heap in MB, as the measures are named
	vat    string
	bundle string
	grow   int  // messages grow(growStep) that make the heap so large
	whole  bool // only in the whole form
}

// growStep objects take about 3 MB of heap.
const growStep = 10_000

func (b *bench) heapVats() []heapVat {
	all := []heapVat{
		{size: "8", vat: "x-heap-008", bundle: "tiny"},
		{size: "13", vat: "x-heap-013", bundle: "contract"},
		{size: "50", vat: "x-heap-050", bundle: "heap", grow: 8},
		{size: "150", vat: "x-heap-150", bundle: "heap", grow: 28, whole: true},
	}
	if !b.quick {
		return all
	}
	return all[:3]
}

// warmVat is paged in before the others, so that what is measured is a system
// that has been at work; settleTime is the pause after it, as between two blocks.
const (
	warmVat    = "x-warm"
	settleTime = 500 * time.Millisecond
)

// replayVat is like the vat of 13 MB, with deliveries since its snapshot.
const (
	replayVat   = "x-replay"
	replayCount = 150
)

// pageInScenario measures how an offline vat comes back. Every turn works on a
// copy of the stores that prepare has made, so that all turns find the same.
func (b *bench) pageInScenario() scenario {
	var p *pair
	return scenario{
		name: "page-in", rounds: 5, quick: 2, columns: everyColumn(),
		prepare: func() (err error) {
			p, err = b.prepareHeaps()
			return err
		},
		turn: func(column string) error {
			if column == limitColumn {
				return b.pageInLimit()
			}
			return b.pageIn(p, column)
		},
		finish: func() error { return p.end() },
	}
}

// prepareHeaps makes the stores of both systems, compares them, writes the
// plain heaps to files, and closes the stores.
func (b *bench) prepareHeaps() (*pair, error) {
	vats := map[string]string{replayVat: "contract", warmVat: "tiny"}
	names := []string{replayVat, warmVat}
	for _, h := range b.heapVats() {
		vats[h.vat] = h.bundle
		names = append(names, h.vat)
	}
	p, err := b.newPair("page-in", vatConfig{vats: vats, snapshotInterval: never})
	if err != nil {
		return nil, err
	}
	err = p.openAll(50, func(column string) error {
		if _, err := p.run(column, tell(warmVat, "idle")); err != nil {
			return err
		}
		if err := b.grow(p, column); err != nil {
			return err
		}
		if _, err := p.systems[column].snapshot(names...); err != nil {
			return err
		}
		_, err := p.run(column, repeat(replayCount, tell(replayVat, "touch", 4))...)
		return err
	})
	if err == nil {
		err = p.same("page-in", names...)
	}
	if err == nil {
		err = b.keepHeaps(p, names)
	}
	for _, column := range systemColumns() {
		err = errors.Join(err, p.systems[column].close())
	}
	return p, err
}

func (b *bench) grow(p *pair, column string) error {
	if _, err := p.run(column, tell(replayVat, "touch", 16)); err != nil {
		return err
	}
	for _, h := range b.heapVats() {
		messages := append([]message{tell(h.vat, "idle")}, repeat(h.grow, tell(h.vat, "grow", growStep))...)
		if _, err := p.run(column, messages...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) heapPath(vat string) string { return filepath.Join(b.work, vat+".heap") }
func (b *bench) itemsPath() string          { return filepath.Join(b.work, "replay.items") }

// keepHeaps writes the heaps to files, and checks that they are what our
// snapshots hold too.
func (b *bench) keepHeaps(p *pair, names []string) error {
	for _, name := range names {
		if err := p.peer().heap(name, b.heapPath(name)); err != nil {
			return err
		}
		at, err := p.systems[oursColumn].progress(name) // that of all columns, by same
		if err != nil {
			return err
		}
		hash, err := fileHash(b.heapPath(name))
		if err != nil {
			return err
		}
		if hash != at.SnapshotHash {
			return fmt.Errorf("the heap of %s is %s, but the snapshot's hash is %s", name, hash, at.SnapshotHash)
		}
	}
	items, err := p.peer().transcript(replayVat)
	if err != nil {
		return err
	}
	s := new(script)
	s.ready()
	s.mark()
	if err := s.items(items); err != nil {
		return err
	}
	s.mark()
	return os.WriteFile(b.itemsPath(), s.text, 0o600)
}

func fileHash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return hex.EncodeToString(hash.Sum(nil)), err
}

// pageIn opens a copy of the store anew for each vat, so that it is offline and
// nothing must be evicted for it: the peer preloads bootstrap and vatAdmin.
func (b *bench) pageIn(p *pair, column string) error {
	took := map[string]float64{}
	vats := []string{replayVat}
	for _, h := range b.heapVats() {
		vats = append(vats, h.vat)
	}
	copied := filepath.Join(b.work, "copy")
	if err := os.CopyFS(copied, os.DirFS(p.store(column))); err != nil {
		return err
	}
	s := p.systems[column]
	if o, ok := s.(*ours); ok {
		defer func(flags []string) { o.flags = flags }(o.flags)
		o.flags = append(slices.Clip(o.flags), b.withoutPreload()...)
	}
	for _, vat := range vats {
		if err := s.open(copied, p.config, 4); err != nil {
			return err
		}
		if _, err := s.run([]message{tell(warmVat, "idle")}); err != nil {
			return err
		}
		time.Sleep(settleTime)
		if err := mustBeOffline(s, vat); err != nil {
			return err
		}
		cold, err := s.run([]message{tell(vat, "idle")})
		if err != nil {
			return err
		}
		warm, err := s.run([]message{tell(vat, "idle")})
		if err != nil {
			return err
		}
		took[vat] = inMilliseconds(cold.Took - warm.Took)
		if err := s.close(); err != nil {
			return err
		}
	}
	for _, h := range b.heapVats() {
		b.sample("pagein-"+h.size, column, took[h.vat])
	}
	b.sample("replay", column, (took[replayVat]-took["x-heap-013"])/replayCount)
	return os.RemoveAll(copied)
}

// withoutPreload are the flags that let serve bring no vat online by itself.
func (b *bench) withoutPreload() []string {
	if help, err := exec.Command(b.place.vatworkerd, "serve", "--help").Output(); err != nil || !bytes.Contains(help, []byte("--preload")) {
		return nil // built before it could
	}
	return []string{"--preload", "off"}
}

// mustBeOffline keeps a vat that is online from being measured as paged in.
func mustBeOffline(s system, vat string) error {
	o, ok := s.(*ours)
	if !ok {
		return nil
	}
	status, err := o.kernel.Vat(context.Background(), vat)
	if err == nil && status.Online {
		err = fmt.Errorf("%s is online before it is needed", vat)
	}
	return err
}

func (b *bench) pageInLimit() error {
	for _, h := range b.heapVats() {
		took, err := b.loadTime(b.heapPath(h.vat))
		if err != nil {
			return err
		}
		b.sample("pagein-"+h.size, limitColumn, inMilliseconds(took))
	}
	text, err := os.ReadFile(b.itemsPath())
	if err != nil {
		return err
	}
	laps, err := b.play(&script{text: text, marks: 2}, b.heapPath(replayVat), "")
	if err != nil {
		return err
	}
	b.sample("replay", limitColumn, inMilliseconds(laps[1].cpu)/replayCount)
	return nil
}

// saveScenario measures snapshots, and what is kept of them.
func (b *bench) saveScenario() scenario {
	var p *pair
	return scenario{
		name: "snapshot", rounds: 5, quick: 2, columns: everyColumn(),
		prepare: func() (err error) {
			p, err = b.prepareSaves()
			return err
		},
		turn: func(column string) error {
			for _, h := range b.heapVats() {
				if err := b.save(p, column, h); err != nil {
					return err
				}
			}
			return nil
		},
		finish: func() error {
			var names []string
			for _, h := range b.heapVats() {
				names = append(names, h.vat)
			}
			if err := p.same("snapshot", names...); err != nil {
				return err
			}
			return p.end()
		},
	}
}

func (b *bench) prepareSaves() (*pair, error) {
	vats := map[string]string{replayVat: "contract"}
	names := []string{}
	for _, h := range b.heapVats() {
		vats[h.vat] = h.bundle
		names = append(names, h.vat)
	}
	p, err := b.newPair("snapshot", vatConfig{vats: vats, snapshotInterval: never})
	if err != nil {
		return nil, err
	}
	err = p.openAll(50, func(column string) error {
		if err := b.grow(p, column); err != nil {
			return err
		}
		_, err := p.systems[column].snapshot(append(names, replayVat)...)
		return err
	})
	for _, name := range names {
		if err == nil {
			err = p.peer().heap(name, b.heapPath(name))
		}
	}
	return p, err
}

// save measures one snapshot. Only this vat has had a delivery since its last.
func (b *bench) save(p *pair, column string, h heapVat) error {
	measured := h.size == "13" || h.size == "50"
	if column == limitColumn {
		if !measured {
			return nil
		}
		return b.saveLimit(h)
	}
	if _, err := p.run(column, tell(h.vat, "idle")); err != nil {
		return err
	}
	took, err := p.systems[column].snapshot(h.vat)
	if err != nil {
		return err
	}
	if measured {
		b.sample("save-"+h.size, column, inMilliseconds(took))
	}
	stored, err := p.systems[column].stored(h.vat)
	b.sample("stored-"+h.size, column, float64(stored.Stored))
	b.results.note("stored-"+h.size, fmt.Sprintf("a heap of %d bytes", stored.Size))
	return err
}

func (b *bench) saveLimit(h heapVat) error {
	var s script
	s.ready()
	s.mark()
	s.save()
	s.mark()
	out := filepath.Join(b.work, "saved.heap")
	laps, err := b.play(&s, b.heapPath(h.vat), out)
	if err != nil {
		return err
	}
	b.sample("save-"+h.size, limitColumn, inMilliseconds(laps[1].wall))
	return os.Remove(out)
}
