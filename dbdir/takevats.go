package dbdir

import (
	"io"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/swingstore"
	"vatworkerd/transcripts"
)

// takeBundles takes those of the vats, and those that have names.
func (t *takeover) takeBundles() error {
	wanted := map[string]bool{}
	for _, v := range t.vats {
		wanted[v.BundleID] = true
	}
	err := t.s.EachKey("namedBundleID.", func(_, id string) error {
		wanted[id] = wanted[id] || bundleHash.MatchString(id)
		return nil
	})
	if err != nil {
		return err
	}
	t.bundles = map[string]bool{}
	return inCrank(t.db, func(c *store.Crank) error {
		for _, id := range sortedKeys(wanted) {
			if !wanted[id] {
				continue
			}
			if err := t.step(bundleKey + id); err != nil {
				return err
			}
			data, err := t.s.BundleText(id)
			if err != nil {
				return err
			}
			if err := c.PutBundle(id, data); err != nil {
				return err
			}
			t.bundles[id] = true
		}
		return nil
	})
}

// vat takes a vat's storage, transcript and heaps.
func (t *takeover) vat(v swingstore.Vat) (err error) {
	taken := TakenVat{VatID: v.VatID, Name: v.Name, Incarnation: v.Incarnation}
	if taken.Keys, err = t.storage(v.VatID); err != nil {
		return err
	}
	if err := t.transcript(v.VatID, &taken); err != nil {
		return err
	}
	heaps, err := t.s.Heaps(v.VatID)
	if err != nil {
		return err
	}
	for _, heap := range heaps {
		// Files of other incarnations would be the first to go.
		if heap.HasContent && heap.Incarnation == v.Incarnation {
			if heap.UncompressedSize, err = t.heap(heap); err != nil {
				return err
			}
			taken.Snapshots++
		}
		if heap.UncompressedSize == 0 {
			continue // nobody knows it any more
		}
		if err := inCrank(t.db, func(c *store.Crank) error { return snapshots.Restore(c, heap.Row) }); err != nil {
			return err
		}
	}
	t.result.Vats = append(t.result.Vats, taken)
	return nil
}

func (t *takeover) storage(vatID string) (keys int64, err error) {
	w, prefix := &keyWriter{db: t.db}, vatID+".vs."
	err = t.s.EachKey(prefix, func(key, value string) error {
		if keys++; t.ctx.Err() != nil {
			return t.ctx.Err()
		}
		return w.put(supervisor.VatstoreKey(vatID, key[len(prefix):]), &value)
	})
	if err != nil {
		return keys, err
	}
	return keys, w.flush()
}

// transcript takes the records of all spans, and the items of those that are there
// whole.
func (t *takeover) transcript(vatID string, taken *TakenVat) error {
	spans, err := transcripts.Spans(t.s.Transcripts(), vatID)
	if err != nil {
		return err
	}
	for _, span := range spans {
		if err := t.step(span.Place()); err != nil {
			return err
		}
		err := inCrank(t.db, func(c *store.Crank) error { return t.span(c, span, taken) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *takeover) span(c *store.Crank, span transcripts.Span, taken *TakenVat) error {
	if err := transcripts.Restore(c, span); err != nil {
		return err
	}
	row, _, err := t.s.Transcripts().QueryRow("SELECT count(*) FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?", span.VatID, span.StartPos, span.EndPos)
	if err != nil {
		return err
	}
	if row.Int64(0) != span.EndPos-span.StartPos && !span.IsCurrent {
		return nil // it was pruned
	}
	taken.Spans++
	taken.Items += span.EndPos - span.StartPos
	return transcripts.CopyItems(c, span, t.s.Transcripts())
}

// heap takes the content of a heap and gives its size.
func (t *takeover) heap(heap swingstore.Heap) (size int64, err error) {
	if err := t.step(heap.Place()); err != nil {
		return 0, err
	}
	content, err := heap.Open()
	if err != nil {
		return 0, err
	}
	w, err := t.heaps.Create("")
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	if size, err = io.Copy(w, &measuredReader{Reader: content, ctx: t.ctx}); err != nil {
		return 0, err
	}
	_, err = w.Commit()
	return size, err
}
