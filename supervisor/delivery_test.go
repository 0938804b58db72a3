package supervisor

import (
	"errors"
	"testing"

	"vatworkerd/pipeproto"
)

// TestDeliveryThatIsNoJSON: a host that gives such a one is told so. It costs a
// worker, but neither the vat nor a panic.
func TestDeliveryThatIsNoJSON(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.run()
	r.commit()
	before := r.hashes()
	for _, payload := range []string{`["message`, "\x00"} {
		r.must(r.s.enqueue(pipeproto.Enqueue{Items: []pipeproto.Item{{VatID: "v1", Priority: pipeproto.PriorityMessage, Payload: []byte(payload)}}}))
		_, err := r.s.run(pipeproto.Run{})
		var told *pipeproto.Error
		if !errors.As(err, &told) || told.Code != pipeproto.CodeBadRequest || told.Place != "v1" {
			t.Errorf("error %v", err)
		}
		r.must(r.s.rollback(pipeproto.Empty{}))
		if after := r.hashes(); after != before {
			t.Errorf("hashes %s, were %s", after, before)
		}
	}
	r.wantAnswer("fulfilled #1", "v1", "increment")
	if warned := r.host.warned(); len(warned) > 0 {
		t.Errorf("warned of %q", warned)
	}
}
