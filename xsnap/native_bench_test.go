package xsnap

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vatworkerd/internal/testrig"
)

// eachEngine runs a benchmark on both kinds of engine.
func eachEngine(b *testing.B, bench func(b *testing.B, r *rig)) {
	for name, rigOf := range map[string]func(testing.TB) *rig{"stock": newRig, "native": nativeRig} {
		b.Run(name, func(b *testing.B) { bench(b, rigOf(b).contained(SandboxRequire)) })
	}
}

// BenchmarkPageIn measures from Start to the first answer of a worker that loads
// the 13 MB heap of a contract-sized vat.
func BenchmarkPageIn(b *testing.B) {
	fullSandbox(b)
	eachEngine(b, func(b *testing.B, r *rig) {
		k := newFakeKernel()
		w := r.fromBase()
		startVat(b, w, k, testrig.ReadBundle(b, "demo-ledger"))
		heap := snapshotOf(b, w)
		path := filepath.Join(b.TempDir(), "heap")
		if err := os.WriteFile(path, heap, 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run("file", func(b *testing.B) {
			for b.Loop() {
				f, err := os.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				benchReady(b, r, StartOptions{From: f})
				f.Close()
			}
		})
		b.Run("pipe", func(b *testing.B) {
			for b.Loop() {
				benchReady(b, r, StartOptions{From: bytes.NewReader(heap)})
			}
		})
		b.Run("hull", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				from := bytes.NewReader(heap)
				shape, _ := ReadShape(from)
				w := r.start(StartOptions{Hull: &shape})
				time.Sleep(hullTime)
				b.StartTimer()
				if err := w.Fill(from); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	})
}

// hullTime is more than a hull takes to make its machine.
const hullTime = 100 * time.Millisecond

func benchReady(b *testing.B, r *rig, o StartOptions) {
	b.Helper()
	w := r.start(o)
	if err := w.Ready(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

// BenchmarkFork measures from a zygote's Start to the first answer.
func BenchmarkFork(b *testing.B) {
	fullSandbox(b)
	r := nativeRig(b).contained(SandboxRequire)
	r.forks = true
	r.fromBase() // starts the zygote
	for b.Loop() {
		w, err := r.zygote.Start(StartOptions{Name: "v1:bench", CPU: -1})
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Ready(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkSave measures how long a heap of 13 MB takes to be written.
func BenchmarkSave(b *testing.B) {
	eachEngine(b, func(b *testing.B, r *rig) {
		w := r.fromBase()
		startVat(b, w, newFakeKernel(), testrig.ReadBundle(b, "demo-ledger"))
		for b.Loop() {
			snapshotOf(b, w)
		}
	})
}
