package supervisor

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
)

// BenchmarkHeap measures saving and loading of a contract-sized heap beside what
// the engine alone needs for it, in turn, and gives medians and ratios. With
// HEAP_SAMPLE it is another heap, that of the snapshot file named.
//
//	go test ./supervisor -run xxx -bench Heap -benchtime 15x
func BenchmarkHeap(b *testing.B) {
	m := newHeapBench(b)
	for b.Loop() {
		m.engineWrites()
		m.save()
		m.engineLoads()
		m.load()
	}
	m.report()
}

// hullTime is more than a hull takes to make its machine.
const hullTime = 100 * time.Millisecond

type heapBench struct {
	b     *testing.B
	s     *Supervisor
	rec   *record
	w     *worker
	plain string // a file with the uncompressed heap
	hash  string
	took  map[string][]time.Duration
}

func newHeapBench(b *testing.B) *heapBench {
	m := &heapBench{b: b, s: newBenchRig(b, func(o *Options) { o.Hulls, o.HugePages = 1, true }), took: map[string][]time.Duration{}, plain: filepath.Join(b.TempDir(), "heap.xss")}
	m.must(m.s.addBundle(pipeproto.AddBundle{ID: "b1-contract", Data: benchBundle(b, "demo-ledger")}))
	_, err := m.s.createVat(pipeproto.CreateVat{VatID: "v2", Name: "contract", BundleID: "b1-contract"})
	m.must(err)
	m.must(m.s.unsuspend("v2", ""))
	m.rec, err = m.s.recordOf("v2")
	m.must(err)
	m.w, err = m.s.online(m.s.db, m.rec)
	m.must(err)
	if sample := os.Getenv("HEAP_SAMPLE"); sample != "" {
		heap, err := os.Open(sample)
		m.must(err)
		defer heap.Close()
		m.w, err = m.s.launchFrom(m.rec, m.s.image, heap, berth{seat: m.s.census.take(), cpu: -1})
		m.must(err)
	}
	plain, err := os.Create(m.plain)
	m.must(err)
	defer plain.Close()
	_, err = m.w.process.Snapshot(plain)
	m.must(err)
	m.save() // the base is stored with the first
	clear(m.took)
	return m
}

func (m *heapBench) must(err error) {
	m.b.Helper()
	if err != nil {
		m.b.Fatal(err)
	}
}

func (m *heapBench) time(what string, f func()) {
	began := time.Now()
	f()
	m.took[what] = append(m.took[what], time.Since(began))
}

func (m *heapBench) engineWrites() {
	m.time("engine-write", func() {
		_, err := m.w.process.Snapshot(io.Discard)
		m.must(err)
	})
}

// save saves as a vat's crank does, up to its successor, and then up to the disk.
func (m *heapBench) save() {
	var next *arrival
	m.time("save", func() {
		m.time("crank", func() {
			file, err := m.s.heapFile(m.s.image, true)
			m.must(err)
			var info snapshots.Info
			info, next, err = m.s.saveHeap(m.rec, m.s.image, m.w, file, m.s.census.take())
			m.must(err)
			m.hash = info.Hash
		})
		m.must(m.s.snapshots.Settle())
	})
	m.s.reaper.abandon(next)
	m.s.reaper.wait()
	stored, err := m.s.snapshots.StoredSize(m.hash)
	m.must(err)
	m.b.ReportMetric(float64(stored), "stored-bytes")
	m.must(m.s.snapshots.Remove(m.hash))
}

func (m *heapBench) engineLoads() {
	m.time("engine-load", func() {
		heap, err := os.Open(m.plain)
		m.must(err)
		defer heap.Close()
		w, err := m.s.starter.fromHeap(m.s.image, m.s.startOptions(m.rec, berth{cpu: -1}), heap)
		m.must(err)
		defer w.Close()
	})
}

func (m *heapBench) load() {
	file, err := m.s.heapFile(m.s.image, true)
	m.must(err)
	heap, err := os.Open(m.plain)
	m.must(err)
	defer heap.Close()
	_, err = io.Copy(file, heap)
	m.must(err)
	_, err = file.CommitLater()
	m.must(err)
	m.must(m.s.snapshots.Settle())
	m.s.hulls.fill()
	time.Sleep(hullTime)
	m.time("load", func() {
		stored, err := m.s.bases.open(m.s.image, m.hash)
		m.must(err)
		defer stored.Close()
		m.launch(stored)
	})
	m.s.reaper.wait()
	m.must(m.s.snapshots.Remove(m.hash))
}

func (m *heapBench) launch(heap io.Reader) {
	w, err := m.s.launchFrom(m.rec, m.s.image, heap, berth{seat: m.s.census.take(), cpu: -1})
	m.must(err)
	m.s.reaper.end(w)
}

// report gives medians in milliseconds and how they compare.
func (m *heapBench) report() {
	median := func(what string) float64 {
		all := m.took[what]
		slices.Sort(all)
		return float64(all[len(all)/2]) / float64(time.Millisecond)
	}
	for what := range m.took {
		m.b.ReportMetric(median(what), what+"-ms")
	}
	m.b.ReportMetric(median("crank")/median("engine-write"), "crank/engine")
	m.b.ReportMetric(median("save")/median("engine-write"), "save/engine")
	m.b.ReportMetric(median("load")/median("engine-load"), "load/engine")
}
