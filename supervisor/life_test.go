package supervisor

import (
	"testing"

	"vatworkerd/pipeproto"
)

func TestVatRunsPagesOutAndComesBack(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxOnline = 1 })
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.create("v2", "counter", pipeproto.VatOptions{})
	var last string
	for range 4 {
		last = r.send("v1", "increment")
		r.send("v2", "increment")
	}
	if reply := r.run(); !reply.Idle {
		t.Fatalf("not idle: %+v", reply)
	}
	r.want(last, "fulfilled #4")
	r.reopen()
	after := r.send("v1", "increment")
	r.run()
	r.want(after, "fulfilled #5")
	st := r.wantState("v1", running, 0)
	if st.SnapshotHash == "" {
		t.Error("no snapshot after five deliveries")
	}
	t.Logf("%+v", st)
	for _, ev := range r.host.events {
		t.Logf("%+v", ev)
	}
	reply, err := r.s.replay(pipeproto.Replay{VatID: "v1", Full: true})
	r.must(err)
	if !reply.Identical || reply.Snapshots == 0 {
		t.Errorf("replay: %+v", reply)
	}
}
