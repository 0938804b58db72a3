package supervisor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"vatworkerd/frames"
	"vatworkerd/xsnap"
)

// process is a worker process as the supervisor uses it: *xsnap.Worker.
type process interface {
	SetBundle(vatID string, bundle []byte, liveSlotsOptions json.RawMessage, h xsnap.Handler) (xsnap.Meter, error)
	Deliver(delivery json.RawMessage, h xsnap.Handler) (xsnap.DeliveryResult, error)
	Snapshot(dst io.Writer) (size int64, err error)
	// Fill gives a hull the heap of which ReadShape has been read off.
	Fill(rest io.Reader) error
	// PinTo, KeepOff and Unpin set the CPUs the process may run on.
	PinTo(cpu int) error
	KeepOff(cpu int) error
	Unpin() error
	// MemoryBytes is what the process has in memory now.
	MemoryBytes() (int64, error)
	PID() int
	Rename(name string)
	// Exited is closed once the process is gone.
	Exited() <-chan struct{}
	// Tape has its last frames; nil keeps none.
	Tape() *frames.Tape
	// Ending says how it ended, once it has.
	Ending() string
	Close() error
	Kill()
}

// starter starts worker processes and waits until they are ready. It is used
// by several goroutines at once.
type starter interface {
	// fresh starts from the image's base snapshot.
	fresh(image xsnap.Image, o xsnap.StartOptions) (process, error)
	// fromHeap starts from a heap snapshot's uncompressed bytes.
	fromHeap(image xsnap.Image, o xsnap.StartOptions, heap io.Reader) (process, error)
	// hull starts a process that waits for a heap of the shape; it is the only one
	// that is not ready.
	hull(image xsnap.Image, o xsnap.StartOptions, shape xsnap.Shape) (process, error)
	// base gives the image's base snapshot, uncompressed.
	base(image xsnap.Image) (io.ReadCloser, error)
	// cpus lists the CPUs that workers may run on.
	cpus() []int
	close()
}

// realStarter starts real engines.
type realStarter struct {
	spawner *xsnap.Spawner
	bases   *xsnap.BaseCache
	zygotes *zygotes
	watch   xsnap.Watch
}

// newRealStarter watches by clock, or by the machine's if that is nil.
func newRealStarter(cacheDir string, policy xsnap.Sandbox, watch xsnap.Watch, clock <-chan time.Time) (starter, error) {
	spawner, err := newSpawner(clock)
	if err != nil {
		return nil, err
	}
	bases, err := xsnap.NewBaseCache(spawner, cacheDir)
	if err != nil {
		spawner.Close()
		return nil, err
	}
	bases.Sandbox, bases.Watch = policy, watch
	return &realStarter{spawner: spawner, bases: bases, zygotes: newZygotes(spawner, bases), watch: watch}, nil
}

func newSpawner(clock <-chan time.Time) (*xsnap.Spawner, error) {
	if clock != nil {
		return xsnap.NewSpawnerWithClock(clock)
	}
	return xsnap.NewSpawner()
}

func (r *realStarter) fresh(image xsnap.Image, o xsnap.StartOptions) (process, error) {
	if image.Engine.Kind == xsnap.EngineNative {
		o.Watch = r.watch
		if w, err := r.zygotes.fork(image, o); err == nil {
			return whenReady(w)
		}
	}
	base, err := r.openBase(image)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	return r.fromHeap(image, o, base)
}

func (r *realStarter) base(image xsnap.Image) (io.ReadCloser, error) { return r.openBase(image) }

// openBase gives a file, which the engine reads itself.
func (r *realStarter) openBase(image xsnap.Image) (*os.File, error) {
	base, err := r.bases.Open(image)
	if err != nil {
		return nil, fmt.Errorf("cannot open the base snapshot of image %s: %w", image.ID(), err)
	}
	return base, nil
}

func (r *realStarter) fromHeap(image xsnap.Image, o xsnap.StartOptions, heap io.Reader) (process, error) {
	o.From, o.Watch = heap, r.watch
	w, err := r.spawner.Start(image.Engine, o)
	if err != nil {
		return nil, err
	}
	return whenReady(w)
}

func (r *realStarter) hull(image xsnap.Image, o xsnap.StartOptions, shape xsnap.Shape) (process, error) {
	o.Hull, o.Watch = &shape, r.watch
	return r.spawner.Start(image.Engine, o)
}

func whenReady(w *xsnap.Worker) (process, error) {
	if err := w.Ready(); err != nil {
		_ = w.Close() // kills one that is not ready
		return nil, err
	}
	return w, nil
}

func (r *realStarter) cpus() []int { return r.spawner.CPUs() }

func (r *realStarter) close() {
	r.zygotes.close()
	r.spawner.Close()
}
