package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"vatworkerd/pipeproto"
)

// stateOnDisk is what an eviction must not change: the rows ever changed, and
// the database's files.
func stateOnDisk(r *rig) string {
	r.t.Helper()
	row, _, err := r.s.db.QueryRow("SELECT total_changes()")
	r.must(err)
	text := fmt.Sprint(row.Int64(0))
	for _, name := range []string{DatabaseFile, DatabaseFile + "-wal"} {
		data, err := os.ReadFile(filepath.Join(r.opts.Dir, name))
		r.must(err)
		text += string(data)
	}
	return text
}

// Paging out writes nothing, inside a block and outside.
func TestEvictionWritesNothing(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.create("v2", "counter", pipeproto.VatOptions{})
	r.run()
	for _, vatID := range []string{"v1", "v2"} {
		before := stateOnDisk(r)
		r.s.evict(vatID, "test")
		r.s.reaper.wait()
		if stateOnDisk(r) != before {
			t.Errorf("paging %s out wrote something", vatID)
		}
		if r.status(vatID).Online {
			t.Errorf("%s is still online", vatID)
		}
		r.commit()
	}
}

// slowToEnd is a worker whose process takes its time to go.
type slowToEnd struct {
	process
	mayGo chan struct{}
}

func (p slowToEnd) Close() error {
	<-p.mayGo
	return p.process.Close()
}

// A crank that needs the place of another vat's worker does not wait for it to
// die; closing the supervisor does.
func TestNobodyWaitsForADyingWorker(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 1)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.createFake("v2", false, pipeproto.VatOptions{})
	r.run()
	r.send("v1", "incr")
	r.run()
	mayGo := make(chan struct{})
	w := r.worker("v1")
	w.process = slowToEnd{w.process, mayGo}
	r.send("v2", "incr")
	r.run()
	if !r.status("v2").Online {
		t.Error("v2 has not run")
	}
	closed := make(chan struct{})
	go func() { r.close(); close(closed) }()
	select {
	case <-closed:
		t.Error("closed while a worker was dying")
	default:
	}
	close(mayGo)
	<-closed
}

// Workers that are evicted, killed or lost leave no descriptor and no process.
func TestNothingIsLeftOfWorkers(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxOnline = 1 })
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.create("v2", "counter", pipeproto.VatOptions{})
	churn := func() {
		for range 3 {
			r.send("v1", "increment")
			r.send("v2", "increment")
		}
		r.run()
		r.worker("v1").process.Kill()
		r.send("v1", "increment")
		r.run()
		r.commit()
		r.must(r.s.rollback(pipeproto.Empty{}))
		r.s.reaper.wait()
	}
	churn() // the first round opens what stays open
	before := descriptors(t)
	churn()
	churn()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
