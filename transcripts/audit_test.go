package transcripts

import (
	"context"
	"errors"
	"strings"
	"testing"

	"vatworkerd/store"
)

// auditOf audits vat v1 and gives its problems, a line each.
func auditOf(t *testing.T, r Reader, rules Rules) (*store.Audit, string) {
	t.Helper()
	a := store.NewAudit(context.Background(), nil)
	must(t, Audit(a, r, "v1", rules))
	var lines []string
	for _, p := range a.Problems() {
		lines = append(lines, string(p.Kind)+" "+p.String())
	}
	return a, strings.Join(lines, "\n")
}

// What a removal that goes oldest first may leave behind is no problem, and
// nothing else passes for it.
func TestAuditKnowsWhatTruncationLeaves(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		pruned    int64 // spans
		want      string
	}{
		{"whole", "", 0, ""},
		{"some of the first span", "DELETE FROM transcriptItems WHERE position < 2", 1, ""},
		{"the first span", "DELETE FROM transcriptItems WHERE position < 4", 1, ""},
		{"into the second span", "DELETE FROM transcriptItems WHERE position < 6", 2, ""},
		{"both", "DELETE FROM transcriptItems WHERE position < 8", 2, ""},
		{"into the current span", "DELETE FROM transcriptItems WHERE position < 9", 2,
			"item transcript.v1.8.10 item 8: it is missing"},
		{"a hole", "DELETE FROM transcriptItems WHERE position = 2", 0,
			"item transcript.v1.0.4 item 2: it is missing"},
		{"the end of a span", "DELETE FROM transcriptItems WHERE position IN (2, 3)", 0,
			"item transcript.v1.0.4 item 2: it and all up to item 3 are missing"},
		{"the second span alone", "DELETE FROM transcriptItems WHERE position BETWEEN 4 AND 7", 0,
			"item transcript.v1.4.8 item 4: it and all up to item 7 are missing"},
		{"an altered item behind a truncation", "DELETE FROM transcriptItems WHERE position < 4; UPDATE transcriptItems SET item = replace(item, 'ok', 'no') WHERE position = 5", 1,
			"span transcript.v1.4.8: its recorded hash is not that of its items: an item or the record was altered: expected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := openTest(t)
			crank, err := db.BeginCrank()
			must(t, err)
			defer crank.Abort()
			fill(t, crank, "v1", 4, 4, 2)
			for sql := range strings.SplitSeq(c.sql, ";") {
				if sql != "" {
					must(t, crank.Exec(sql))
				}
			}
			a, got := auditOf(t, crank, Rules{OldestFirst: true})
			if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" || strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if n := a.Counted(CountPruned); n != c.pruned {
				t.Errorf("%d spans are pruned, want %d", n, c.pruned)
			}
		})
	}
}

func TestAuditOfTerminatedVats(t *testing.T) {
	db := openTest(t)
	crank, err := db.BeginCrank()
	must(t, err)
	defer crank.Abort()
	fill(t, crank, "v1", 4, 4, 2)
	_, _, err = Delete(crank, "v1", 1)
	must(t, err)
	if _, got := auditOf(t, crank, Rules{OldestFirst: true, Terminated: true}); got != "" {
		t.Errorf("in the middle of its deletion: %s", got)
	}
	if _, got := auditOf(t, crank, Rules{OldestFirst: true}); got != "span transcript.v1.4.8: where it starts: expected 0, got 4" {
		t.Errorf("of a live vat: %s", got)
	}
	if _, got := auditOf(t, crank, Rules{Terminated: true}); !strings.Contains(got, "a terminated vat has a current span") {
		t.Errorf("in a JavaScript store: %s", got)
	}
	_, _, err = Delete(crank, "v1", Unlimited)
	must(t, err)
	if _, got := auditOf(t, crank, Rules{OldestFirst: true, Terminated: true}); got != "" {
		t.Errorf("after its deletion: %s", got)
	}
	if _, got := auditOf(t, crank, Rules{OldestFirst: true}); got != "span transcript.v1: the vat has no transcript span" {
		t.Errorf("of a live vat: %s", got)
	}
}

func TestAuditEndsWithItsContext(t *testing.T) {
	db := openTest(t)
	inCrank(t, db, func(c *store.Crank) { fill(t, c, "v1", 4) })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Audit(store.NewAudit(ctx, nil), db, "v1", Rules{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
