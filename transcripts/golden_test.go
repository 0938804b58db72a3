package transcripts

import (
	"encoding/json"
	"maps"
	"os"
	"testing"

	"vatworkerd/store"
)

// golden is what testdata/golden/generate.mjs got from the JavaScript system.
type golden struct {
	JSON []struct {
		Text string  `json:"text"`
		JS   *string `json:"js"` // nil: JSON.parse refuses the text
	} `json:"json"`
	Entries []struct {
		D          string      `json:"d"`
		SC         [][2]string `json:"sc"`
		Status     string      `json:"status"`
		Computrons *int64      `json:"computrons"`
		Item       string      `json:"item"`
	} `json:"entries"`
	Pseudo map[string]string `json:"pseudo"`
	Steps  []struct {
		Op, VatID, Item string
		Records         map[string]string
	} `json:"steps"`
	Pairs []struct {
		A, B string
		Same bool
	} `json:"pairs"`
}

func loadGolden(t *testing.T) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden/golden.json")
	must(t, err)
	var g golden
	must(t, json.Unmarshal(raw, &g))
	if len(g.JSON) < 60 || len(g.Entries) == 0 || len(g.Steps) == 0 || len(g.Pairs) == 0 {
		t.Fatal("the golden file is not whole")
	}
	return g
}

func TestJSRestringifyIsWhatNodeGives(t *testing.T) {
	for _, c := range loadGolden(t).JSON {
		got, err := JSRestringify([]byte(c.Text))
		switch {
		case c.JS == nil && err == nil:
			t.Errorf("%q: got %q, JSON.parse refuses it", c.Text, got)
		case c.JS != nil && err != nil:
			t.Errorf("%q: %v, JavaScript gives %q", c.Text, err, *c.JS)
		case c.JS != nil && string(got) != *c.JS:
			t.Errorf("%q: got %q, JavaScript gives %q", c.Text, got, *c.JS)
		}
	}
}

func TestEntriesAreWhatTheKernelWrites(t *testing.T) {
	for _, c := range loadGolden(t).Entries {
		e := Entry{Delivery: json.RawMessage(c.D), Result: Result{Status: c.Status, Computrons: c.Computrons}}
		for _, sc := range c.SC {
			e.Syscalls = append(e.Syscalls, Syscall{json.RawMessage(sc[0]), json.RawMessage(sc[1])})
		}
		if got := e.Encode(); got != c.Item {
			t.Errorf("got  %s\nwant %s", got, c.Item)
		}
		back, err := Decode(c.Item)
		must(t, err)
		if got := back.Encode(); got != c.Item {
			t.Errorf("decoded and encoded: got  %s\nwant %s", got, c.Item)
		}
		if back.IsPseudo() {
			t.Errorf("%s is a pseudo-entry", back.Kind())
		}
	}
}

func TestPseudoEntriesAreWhatTheKernelWrites(t *testing.T) {
	want := loadGolden(t).Pseudo
	got := map[string]string{}
	for _, e := range []Entry{
		InitializeWorker("b1-abc", []string{"b0-1", "b0-2"}), SaveSnapshot("feed"), LoadSnapshot("feed"), ShutdownWorker(),
	} {
		if !e.IsPseudo() {
			t.Errorf("%s is no pseudo-entry", e.Kind())
		}
		got[e.Kind()] = e.Encode()
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestSpansAreWhatTheJavaScriptStoreHolds(t *testing.T) {
	db := openTest(t)
	vats := map[string]bool{}
	for i, step := range loadGolden(t).Steps {
		inCrank(t, db, func(c *store.Crank) {
			var err error
			switch step.Op {
			case "init":
				vats[step.VatID] = true
				err = Init(c, step.VatID)
			case "add":
				_, err = Append(c, step.VatID, step.Item)
			case "span":
				_, err = RolloverSpan(c, step.VatID)
			case "incarnation":
				_, err = RolloverIncarnation(c, step.VatID)
			default:
				t.Fatalf("unknown step %q", step.Op)
			}
			must(t, err)
		})
		got := map[string]string{}
		for vatID := range vats {
			spans, err := Spans(db, vatID)
			must(t, err)
			for _, s := range spans {
				got[s.ExportKey()] = s.ExportRecord()
			}
		}
		if !maps.Equal(got, step.Records) {
			t.Fatalf("step %d (%s %s): got  %v\nwant %v", i, step.Op, step.VatID, got, step.Records)
		}
	}
	must(t, db.Prepare(1))
	must(t, db.Commit(1))
}

func TestSyscallEqualityIsThatOfTheWarehouse(t *testing.T) {
	for _, p := range loadGolden(t).Pairs {
		if got := sameJSON([]byte(p.A), []byte(p.B)); got != p.Same {
			t.Errorf("%s and %s: same is %t, want %t", p.A, p.B, got, p.Same)
		}
	}
}
