package supervisor

import (
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
)

// listSnapshots lists the heap snapshots whose files are kept, of one vat or of
// all: the one a vat starts from and the earlier ones that are there.
func (s *Supervisor) listSnapshots(req pipeproto.VatRef) (pipeproto.SnapshotList, error) {
	list := pipeproto.SnapshotList{Snapshots: []pipeproto.SnapshotInfo{}}
	if req.VatID != "" {
		if _, err := s.recordOf(req.VatID); err != nil {
			return list, err
		}
	}
	rows, err := snapshots.Kept(s.db, req.VatID, s.keep)
	if err != nil {
		return list, err
	}
	for _, row := range rows {
		stored, err := s.snapshots.StoredSize(row.Hash)
		if err != nil && !row.InUse {
			continue // it was let go while fewer were kept, or is of no use
		}
		rec, err := s.recordOf(row.VatID)
		if err != nil {
			return list, err
		}
		list.Snapshots = append(list.Snapshots, pipeproto.SnapshotInfo{
			VatID: row.VatID, VatName: rec.Name, Position: row.SnapPos, Hash: row.Hash,
			UncompressedSize: row.UncompressedSize, StoredSize: stored, InUse: row.InUse,
		})
	}
	return list, nil
}

// verifySnapshots reads stored snapshots whole and checks their hashes.
func (s *Supervisor) verifySnapshots(req pipeproto.VatRef) (pipeproto.SnapshotVerifyReply, error) {
	list, err := s.listSnapshots(req)
	reply := pipeproto.SnapshotVerifyReply{Checks: []pipeproto.SnapshotCheck{}}
	if err != nil {
		return reply, err
	}
	for i, info := range list.Snapshots {
		check := pipeproto.SnapshotCheck{SnapshotInfo: info}
		if _, err := s.snapshots.Verify(info.Hash); err != nil {
			check.Problem = err.Error()
		}
		reply.Checks = append(reply.Checks, check)
		_ = s.host.Event(pipeproto.EventTick, pipeproto.ProgressEvent{
			What: "verify snapshots", Done: int64(i + 1), Total: int64(len(list.Snapshots)),
		})
	}
	return reply, nil
}

// listSpans lists the transcript spans of one vat or of all.
func (s *Supervisor) listSpans(req pipeproto.VatRef) (pipeproto.SpanList, error) {
	list := pipeproto.SpanList{Spans: []pipeproto.SpanInfo{}}
	ids := []string{req.VatID}
	if req.VatID == "" {
		ids = nil
		key, ok, err := s.db.NextKey(prefixVat, prefixVat)
		for ; ok && err == nil; key, ok, err = s.db.NextKey(key, prefixVat) {
			ids = append(ids, vatIDOfKey(key, prefixVat))
		}
		if err != nil {
			return list, err
		}
	}
	for _, vatID := range ids {
		if _, err := s.recordOf(vatID); err != nil {
			return list, err
		}
		spans, err := transcripts.Spans(s.db, vatID)
		if err != nil {
			return list, err
		}
		for _, span := range spans {
			list.Spans = append(list.Spans, pipeproto.SpanInfo{
				VatID: span.VatID, StartPos: span.StartPos, EndPos: span.EndPos, Hash: span.Hash,
				IsCurrent: span.IsCurrent, Incarnation: span.Incarnation,
			})
		}
	}
	return list, nil
}
