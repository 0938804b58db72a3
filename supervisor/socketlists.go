package supervisor

import (
	"vatworkerd/control"
	"vatworkerd/pipeproto"
)

// find looks for vats by name, some at a time: there is no index of names, which
// are for people.
func (k *socket) find(c *control.Caller, req pipeproto.VatName) (pipeproto.VatsFound, error) {
	found := pipeproto.VatsFound{VatIDs: []string{}}
	for key := prefixVat; key != ""; {
		err := k.with(c.Context(), func() (err error) {
			key, err = k.findSome(key, req.Name, &found)
			return err
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// findSome looks through some records after key and gives the key to go on from.
func (k *socket) findSome(key, name string, found *pipeproto.VatsFound) (string, error) {
	for range findPageVats {
		next, ok, err := k.s.db.NextKey(key, prefixVat)
		if err != nil || !ok {
			return "", err
		}
		key = next
		rec, err := k.s.recordOf(vatIDOfKey(key, prefixVat))
		if err != nil {
			return "", err
		}
		if rec.Name != name {
			continue
		}
		if len(found.VatIDs) == maxFound {
			found.More = true
			return "", nil
		}
		found.VatIDs = append(found.VatIDs, rec.ID)
	}
	return key, nil
}

func (k *socket) spans(req pipeproto.Page) (page pipeproto.SpanPage, err error) {
	page.Spans = []pipeproto.SpanInfo{}
	page.Next, err = k.page(req, func(vatID string, from int64) (*int64, error) {
		list, err := k.s.listSpans(pipeproto.VatRef{VatID: vatID})
		for _, span := range list.Spans {
			if span.StartPos < from {
				continue
			}
			if len(page.Spans) == controlPageEntries {
				return &span.StartPos, err
			}
			page.Spans = append(page.Spans, span)
		}
		return nil, err
	})
	return page, err
}

func (k *socket) snapshotList(req pipeproto.Page) (page pipeproto.SnapshotPage, err error) {
	page.Snapshots = []pipeproto.SnapshotInfo{}
	page.Next, err = k.page(req, func(vatID string, from int64) (*int64, error) {
		list, err := k.s.listSnapshots(pipeproto.VatRef{VatID: vatID})
		for _, info := range list.Snapshots {
			if info.Position < from {
				continue
			}
			if len(page.Snapshots) == controlPageEntries {
				return &info.Position, err
			}
			page.Snapshots = append(page.Snapshots, info)
		}
		return nil, err
	})
	return page, err
}

// page visits the vats of a page. list takes a vat's entries from a position on;
// where the page is full it gives the position of the first that is left. The
// result is the request for the next page.
func (k *socket) page(req pipeproto.Page, list func(vatID string, from int64) (*int64, error)) (*pipeproto.Page, error) {
	if req.VatID != "" {
		left, err := list(req.VatID, req.Position)
		return restOf(req.VatID, "", left), err
	}
	vatID, from := req.From, req.Position
	for range controlPageVats {
		if vatID != "" {
			left, err := list(vatID, from)
			if err != nil || left != nil {
				return restOf("", vatID, left), err
			}
		}
		next, ok, err := k.s.db.NextKey(orElse(vatKeyOf(vatID), prefixVat), prefixVat)
		if err != nil || !ok {
			return nil, err
		}
		vatID, from = vatIDOfKey(next, prefixVat), 0
	}
	return &pipeproto.Page{From: vatID}, nil
}

// vatKeyOf is vatKey, or "" for no vat.
func vatKeyOf(vatID string) string {
	if vatID == "" {
		return ""
	}
	return vatKey(vatID)
}

func restOf(only, vatID string, left *int64) *pipeproto.Page {
	if left == nil {
		return nil
	}
	return &pipeproto.Page{VatID: only, From: vatID, Position: *left}
}

// snapshotVerify reads the heap snapshots of a vat beside the cranks, one vat at
// a time. What went out of use meanwhile is not reported.
func (k *socket) snapshotVerify(c *control.Caller, req pipeproto.VatRef) (pipeproto.SnapshotVerifyReply, error) {
	reply := pipeproto.SnapshotVerifyReply{Checks: []pipeproto.SnapshotCheck{}}
	if req.VatID == "" {
		return reply, badRequest("vatID", "it is needed: snapshots are verified one vat at a time here")
	}
	select {
	case k.verifying <- struct{}{}:
		defer func() { <-k.verifying }()
	case <-c.Context().Done():
		return reply, k.busy()
	}
	before, err := k.snapshotsOf(c, req)
	if err != nil {
		return reply, err
	}
	isDamaged := false
	for _, info := range before {
		check := pipeproto.SnapshotCheck{SnapshotInfo: info}
		if _, err := k.s.snapshots.Verify(info.Hash); err != nil {
			check.Problem, isDamaged = err.Error(), true
		}
		reply.Checks = append(reply.Checks, check)
	}
	if !isDamaged {
		return reply, nil
	}
	after, err := k.snapshotsOf(c, req)
	reply.Checks = stillUsed(reply.Checks, after)
	return reply, err
}

func (k *socket) snapshotsOf(c *control.Caller, req pipeproto.VatRef) (list []pipeproto.SnapshotInfo, err error) {
	err = k.with(c.Context(), func() error {
		reply, err := k.s.listSnapshots(req)
		list = reply.Snapshots
		return err
	})
	return list, err
}

// stillUsed leaves out the problems of snapshots that are not listed any more.
func stillUsed(checks []pipeproto.SnapshotCheck, listed []pipeproto.SnapshotInfo) []pipeproto.SnapshotCheck {
	used := map[string]bool{}
	for _, info := range listed {
		used[info.Hash] = true
	}
	kept := checks[:0]
	for _, check := range checks {
		if check.Problem == "" || used[check.Hash] {
			kept = append(kept, check)
		}
	}
	return kept
}
