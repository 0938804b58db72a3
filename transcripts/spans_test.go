package transcripts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vatworkerd/store"
)

func item(n int) string { return fmt.Sprintf(`{"d":["message",%d],"sc":[],"r":{"status":"ok"}}`, n) }

// fill makes a vat with spans of the given lengths; the last is current.
func fill(t testing.TB, c *store.Crank, vatID string, lengths ...int) {
	t.Helper()
	must(t, Init(c, vatID))
	n := 0
	for i, length := range lengths {
		if i > 0 {
			_, err := RolloverSpan(c, vatID)
			must(t, err)
		}
		for at := range length {
			text := item(n)
			switch {
			case at == 0:
				text = LoadSnapshot("hash").Encode()
			case at == length-1 && i < len(lengths)-1:
				text = SaveSnapshot("hash").Encode()
			}
			pos, err := Append(c, vatID, text)
			must(t, err)
			if pos != int64(n) {
				t.Fatalf("item %d got position %d", n, pos)
			}
			n++
		}
	}
}

func TestItemsAreReadInOrderAndMissingOnesAreTold(t *testing.T) {
	db := openTest(t)
	inCrank(t, db, func(c *store.Crank) { fill(t, c, "v1", 100, 70) })
	got, err := Items(db, "v1", 3, 167)
	must(t, err)
	if len(got) != 164 || got[0] != item(3) || got[163] != item(166) {
		t.Errorf("got %d items from %s", len(got), got[0])
	}
	if got, err := Items(db, "v1", 5, 5); err != nil || len(got) != 0 {
		t.Errorf("empty range: %v, %v", got, err)
	}
	inCrank(t, db, func(c *store.Crank) {
		n, done, err := TruncateItems(c, "v1", 90, 40)
		if n != 40 || done || err != nil {
			t.Errorf("truncated %d, %t, %v", n, done, err)
		}
	})
	var missing *MissingItemsError
	if _, err := Items(db, "v1", 39, 170); !errors.As(err, &missing) || missing.Missing != 39 {
		t.Errorf("item 39: %v", err)
	}
	if _, err := Items(db, "v1", 160, 171); !errors.As(err, &missing) || missing.Missing != 170 {
		t.Errorf("item 170: %v", err)
	}
	if _, err := Items(db, "v1", 40, 170); err != nil {
		t.Errorf("item 40 on: %v", err)
	}
	stop := errors.New("stop")
	if err := Each(db, "v1", 40, 170, func(int64, string) error { return stop }); err != stop {
		t.Errorf("an error of the callback came out as %v", err)
	}
}

func TestTruncateNeverTouchesTheCurrentSpanAndEntersNoHash(t *testing.T) {
	plain, cut := openTest(t), openTest(t)
	for _, db := range []*store.DB{plain, cut} {
		inCrank(t, db, func(c *store.Crank) { fill(t, c, "v1", 4, 3, 2) })
	}
	a := inCrank(t, plain, func(c *store.Crank) {})
	b := inCrank(t, cut, func(c *store.Crank) {
		n, done, err := TruncateItems(c, "v1", 1000, 100)
		if n != 7 || !done || err != nil {
			t.Errorf("truncated %d, %t, %v", n, done, err)
		}
	})
	if a != b {
		t.Error("truncation changed the activity hash")
	}
	before, err := Spans(plain, "v1")
	must(t, err)
	after, err := Spans(cut, "v1")
	must(t, err)
	if !slices.Equal(before, after) {
		t.Errorf("spans were %v, are %v", before, after)
	}
	_, err = Items(cut, "v1", 7, 9)
	must(t, err)
}

func TestDeleteGoesSpanBySpan(t *testing.T) {
	db := openTest(t)
	inCrank(t, db, func(c *store.Crank) {
		fill(t, c, "v1", 4, 3, 2)
		fill(t, c, "v2", 1)
	})
	for i, want := range []struct {
		removed int
		done    bool
	}{{2, false}, {1, true}, {0, true}} {
		inCrank(t, db, func(c *store.Crank) {
			n, done, err := Delete(c, "v1", 2)
			if n != want.removed || done != want.done || err != nil {
				t.Errorf("round %d: %d, %t, %v", i, n, done, err)
			}
		})
		must(t, Check(db))
	}
	if _, ok, err := Current(db, "v1"); ok || err != nil {
		t.Errorf("v1 still has a span: %v", err)
	}
	if _, ok, err := Current(db, "v2"); !ok || err != nil {
		t.Errorf("v2 lost its span: %v", err)
	}
	inCrank(t, db, func(c *store.Crank) {
		n, done, err := Delete(c, "v2", Unlimited)
		if n != 1 || !done || err != nil {
			t.Errorf("v2: %d, %t, %v", n, done, err)
		}
	})
}

func TestMisuseIsRefused(t *testing.T) {
	db := openTest(t)
	inCrank(t, db, func(c *store.Crank) {
		var none *NoTranscriptError
		if _, err := Append(c, "v1", item(0)); !errors.As(err, &none) {
			t.Errorf("append without transcript: %v", err)
		}
		must(t, Init(c, "v1"))
		for name, err := range map[string]error{
			"second init":      Init(c, "v1"),
			"no entry":         second(Append(c, "v1", Entry{Delivery: []byte("{")}.Encode())),
			"empty span":       second(RolloverSpan(c, "v1")),
			"truncate budget":  third(TruncateItems(c, "v1", 5, 0)),
			"delete budget":    third(Delete(c, "v1", 0)),
			"rollover nothing": second(RolloverIncarnation(c, "v9")),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		must(t, c.Err())
	})
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func TestAbortLeavesNoItem(t *testing.T) {
	db := openTest(t)
	inCrank(t, db, func(c *store.Crank) { fill(t, c, "v1", 2) })
	before, _, err := Current(db, "v1")
	must(t, err)
	c, err := db.BeginCrank()
	must(t, err)
	_, err = Append(c, "v1", item(2))
	must(t, err)
	_, err = RolloverIncarnation(c, "v1")
	must(t, err)
	c.Abort()
	after, _, err := Current(db, "v1")
	must(t, err)
	if before != after {
		t.Errorf("the span was %v, is %v", before, after)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	for name, damage := range map[string]string{
		"changed item":    "UPDATE transcriptItems SET item = 'x' WHERE position = 1",
		"lost item":       "DELETE FROM transcriptItems WHERE position = 5",
		"gap":             "UPDATE transcriptSpans SET startPos = 5 WHERE startPos = 4",
		"no current":      "UPDATE transcriptSpans SET isCurrent = NULL",
		"wrong current":   "INSERT INTO transcriptSpans VALUES ('v1', 7, 7, 'x', NULL, 0)",
		"incarnation":     "UPDATE transcriptItems SET incarnation = 7 WHERE position = 0",
		"incarnations":    "UPDATE transcriptSpans SET incarnation = 7 WHERE startPos = 0",
		"stray":           "INSERT INTO transcriptItems VALUES ('v1', 900, 'x', 0)",
		"no span":         "DELETE FROM transcriptSpans",
		"emptied history": "UPDATE transcriptSpans SET endPos = startPos WHERE startPos = 0",
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t)
			c, err := db.BeginCrank()
			must(t, err)
			fill(t, c, "v1", 4, 3)
			must(t, Check(c))
			must(t, c.Exec(damage))
			if err := Check(c); err == nil || !strings.Contains(err.Error(), "v1") {
				t.Errorf("Check found %v", err)
			}
			c.Abort()
		})
	}
}
