package supervisor

import (
	"fmt"
	"os"
	"testing"

	"vatworkerd/internal/testrig"
	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// BenchmarkDeliver measures a whole crank of a small real vat: the item, the
// worker, the transcript, the commit into the open block.
func BenchmarkDeliver(b *testing.B) { benchDeliver(b, nil) }

// BenchmarkDeliverSlog is BenchmarkDeliver with a slog.
func BenchmarkDeliverSlog(b *testing.B) { benchDeliver(b, withSlogFile) }

func benchDeliver(b *testing.B, adjust func(*Options)) {
	r := newBenchRig(b, adjust)
	for i := 0; b.Loop(); i++ {
		vpid := fmt.Sprintf("p-%d", 1000+i)
		delivery := fmt.Appendf(nil, `["message","o+0",{"methargs":{"body":"#[\"increment\",[]]","slots":[]},"result":%q}]`, vpid)
		item := pipeproto.Item{VatID: "v1", Priority: pipeproto.PriorityMessage, Payload: delivery}
		if err := r.enqueue(pipeproto.Enqueue{Items: []pipeproto.Item{item}}); err != nil {
			b.Fatal(err)
		}
		if _, err := r.run(pipeproto.Run{}); err != nil {
			b.Fatal(err)
		}
	}
}

func newBenchRig(b *testing.B, adjust func(*Options)) *Supervisor {
	host := &testHost{results: map[string]string{}, parameters: map[string]string{}}
	opts := Options{Dir: b.TempDir(), Image: benchImage(b), MaxOnline: 10, CPU: -1}
	if adjust != nil {
		adjust(&opts)
	}
	s, err := Open(opts, host, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if err := s.configure(pipeproto.Configure{SnapshotInitial: 1 << 30, SnapshotInterval: 1 << 30}); err != nil {
		b.Fatal(err)
	}
	if err := s.addBundle(pipeproto.AddBundle{ID: "b1-counter", Data: benchBundle(b, "counter")}); err != nil {
		b.Fatal(err)
	}
	if _, err := s.createVat(pipeproto.CreateVat{VatID: "v1", Name: "counter", BundleID: "b1-counter"}); err != nil {
		b.Fatal(err)
	}
	return s
}

// benchImage is of the stock engine, or of the native one with BENCH_ENGINE=native.
func benchImage(b *testing.B) xsnap.Image {
	paths := testrig.Engine(b)
	if os.Getenv("BENCH_ENGINE") == "native" {
		paths = testrig.NativeEngine(b)
	}
	image, err := xsnap.LoadImage(paths.Engine, paths.Lockdown, paths.Supervisor)
	if err != nil {
		b.Fatal(err)
	}
	return image
}

func benchBundle(b *testing.B, name string) []byte { return testrig.ReadBundle(b, name) }
