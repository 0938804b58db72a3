package supervisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"vatworkerd/pipeproto"
)

// allSpans reads page after page.
func (r *rig) allSpans(req pipeproto.Page) (all []pipeproto.SpanInfo, pages int) {
	r.t.Helper()
	for next := &req; next != nil; pages++ {
		page := look[pipeproto.SpanPage](r, pipeproto.ReqSpans, *next)
		all, next = append(all, page.Spans...), page.Next
	}
	return all, pages
}

func (r *rig) allSnapshots(req pipeproto.Page) (all []pipeproto.SnapshotInfo, pages int) {
	r.t.Helper()
	for next := &req; next != nil; pages++ {
		page := look[pipeproto.SnapshotPage](r, pipeproto.ReqSnapshotList, *next)
		all, next = append(all, page.Snapshots...), page.Next
	}
	return all, pages
}

// manyVats is a rig with more vats than a page looks through, one of them with
// more spans than a page holds.
func manyVats(t *testing.T) *rig {
	r := newFakeRig(t, &fakeStarter{}, 10)
	for i := 1; i <= 2*controlPageVats+10; i++ {
		r.createFake(fmt.Sprintf("v%d", i), false, pipeproto.VatOptions{})
	}
	r.run()
	for range controlPageEntries + 5 {
		_, err := r.s.takeSnapshot("v3")
		r.must(err)
	}
	r.offer()
	return r
}

func TestPages(t *testing.T) {
	r := manyVats(t)
	wantSpans, err := r.s.listSpans(pipeproto.VatRef{})
	r.must(err)
	spans, pages := r.allSpans(pipeproto.Page{})
	if !slices.Equal(spans, wantSpans.Spans) || pages < 4 {
		t.Errorf("%d spans in %d pages, want %d", len(spans), pages, len(wantSpans.Spans))
	}
	wantSpans, err = r.s.listSpans(pipeproto.VatRef{VatID: "v3"})
	r.must(err)
	if spans, pages = r.allSpans(pipeproto.Page{VatID: "v3"}); !slices.Equal(spans, wantSpans.Spans) || pages != 2 {
		t.Errorf("%d spans of v3 in %d pages, want %d", len(spans), pages, len(wantSpans.Spans))
	}
	wantSnapshots, err := r.s.listSnapshots(pipeproto.VatRef{})
	r.must(err)
	if snapshots, _ := r.allSnapshots(pipeproto.Page{}); !slices.Equal(snapshots, wantSnapshots.Snapshots) || len(snapshots) == 0 {
		t.Errorf("%d snapshots, want %d", len(snapshots), len(wantSnapshots.Snapshots))
	}
	if snapshots, _ := r.allSnapshots(pipeproto.Page{VatID: "v4"}); len(snapshots) != 0 {
		t.Errorf("%d snapshots of v4, want none", len(snapshots))
	}
	st := look[pipeproto.Status](r, pipeproto.ReqStatus, pipeproto.StatusRequest{Limit: 5000})
	if len(st.Vats) != controlPageVats || !st.More {
		t.Errorf("a page of %d vats, more: %v", len(st.Vats), st.More)
	}
	c := r.dial(pipeproto.AccessRead)
	for _, req := range []pipeproto.Page{{VatID: "v999"}, {From: "v999"}} {
		var e *pipeproto.Error
		if err := c.Call(t.Context(), pipeproto.ReqSpans, req, nil, nil); !errors.As(err, &e) || e.Code != pipeproto.CodeNotFound {
			t.Errorf("%+v: %v", req, err)
		}
	}
}

func TestFind(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	for i := 1; i <= 30; i++ {
		name := "many"
		if i%10 == 0 {
			name = fmt.Sprintf("name%d", i)
		}
		_, err := r.s.createVat(pipeproto.CreateVat{VatID: fmt.Sprintf("v%d", i), Name: name, BundleID: r.fakeBundle("b1-good")})
		r.must(err)
	}
	r.offer()
	find := func(name string) pipeproto.VatsFound {
		return look[pipeproto.VatsFound](r, pipeproto.ReqFind, pipeproto.VatName{Name: name})
	}
	if f := find("name20"); !slices.Equal(f.VatIDs, []string{"v20"}) || f.More {
		t.Errorf("found %+v", f)
	}
	if f := find("none"); len(f.VatIDs) != 0 || f.More {
		t.Errorf("found %+v", f)
	}
	if f := find("many"); len(f.VatIDs) != maxFound || !f.More {
		t.Errorf("found %+v", f)
	}
}

func TestVerifyBesideTheCranks(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.run()
	info, err := r.s.takeSnapshot("v1")
	r.must(err)
	r.commit()
	r.offer()
	c := r.dial(pipeproto.AccessRead)
	verify := func(vatID string) (reply pipeproto.SnapshotVerifyReply, err error) {
		err = c.Call(t.Context(), pipeproto.ReqSnapshotVerify, pipeproto.VatRef{VatID: vatID}, &reply, nil)
		return reply, err
	}
	if reply, err := verify("v1"); err != nil || len(reply.Checks) != 1 || reply.Checks[0].Problem != "" || reply.Checks[0].Hash != info.Hash {
		t.Errorf("a sound one: %+v, %v", reply, err)
	}
	r.must(os.Truncate(r.s.snapshots.Path(info.Hash), 1000))
	if reply, err := verify("v1"); err != nil || len(reply.Checks) != 1 || reply.Checks[0].Problem == "" {
		t.Errorf("a damaged one: %+v, %v", reply, err)
	}
	var e *pipeproto.Error
	if _, err := verify(""); !errors.As(err, &e) || e.Code != pipeproto.CodeBadRequest {
		t.Errorf("all at once: %v", err)
	}
	damaged := []pipeproto.SnapshotCheck{{SnapshotInfo: info, Problem: "gone"}}
	if left := stillUsed(damaged, nil); len(left) != 0 {
		t.Errorf("a snapshot that went out of use is reported: %+v", left)
	}
	r.broken = true // the file stays damaged
}
