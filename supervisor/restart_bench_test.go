package supervisor

import (
	"fmt"
	"runtime"
	"testing"

	"vatworkerd/pipeproto"
)

// BenchmarkRestartAll measures restart-all and a status query on stores of many
// registered vats. It is named in the documentation; keep the name.
func BenchmarkRestartAll(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("vats=%d", n), func(b *testing.B) { benchmarkRestartAll(b, n) })
	}
}

func benchmarkRestartAll(b *testing.B, vats int) {
	opts := Options{Dir: b.TempDir(), Image: fakeImage("engine0"), MaxOnline: 10, CPU: -1, starter: &fakeStarter{}}
	s, err := Open(opts, quietHost{}, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := registerMany(s, vats); err != nil {
		b.Fatal(err)
	}
	height := s.db.Height()
	for i := 0; b.Loop(); i++ {
		if _, err := s.restartAll(pipeproto.RestartAll{Token: fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
		height++
		if err := s.db.Prepare(height); err != nil {
			b.Fatal(err)
		}
		if err := s.commitBlock(pipeproto.Height{Height: height}); err != nil {
			b.Fatal(err)
		}
		if _, err := s.status(pipeproto.StatusRequest{Limit: 100}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.HeapAlloc)/(1<<20), "MiB-heap")
}

// quietHost keeps nothing, so that only the supervisor's memory is measured.
type quietHost struct{}

func (quietHost) Call(string, any, any) error { return nil }
func (quietHost) Event(string, any) error     { return nil }

// registerMany creates vats in blocks of ten thousand.
func registerMany(s *Supervisor, vats int) error {
	if err := s.addBundle(pipeproto.AddBundle{ID: "b1-good", Data: []byte(`"good"`)}); err != nil {
		return err
	}
	for i := 1; i <= vats; i++ {
		err := s.runCrank(func(c *crank) error {
			isSuspended := true
			return c.register(&record{
				ID: fmt.Sprint("v", i), Name: fmt.Sprint("vat", i), BundleID: "b1-good", AdminKey: "0123456789abcdef0123456789abcdef",
				Suspended: &isSuspended, SuspendReason: pipeproto.ReasonCreated, Incarnation: noIncarnation,
			})
		})
		if err != nil {
			return err
		}
		if i%10_000 != 0 && i != vats {
			continue
		}
		if err := s.db.Prepare(s.db.Height() + 1); err != nil {
			return err
		}
		if err := s.commitBlock(pipeproto.Height{Height: s.db.Height() + 1}); err != nil {
			return err
		}
	}
	return nil
}
