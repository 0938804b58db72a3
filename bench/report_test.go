package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestReport renders tables of made-up numbers.
func TestReport(t *testing.T) {
	datadriven.RunTest(t, "testdata/report", func(t *testing.T, d *datadriven.TestData) string {
		var r results
		if err := json.Unmarshal([]byte(d.Input), &r); err != nil {
			d.Fatalf(t, "%v", err)
		}
		var text strings.Builder
		switch d.Cmd {
		case "machine":
			writeMachine(&text, &r)
		case "table":
			writeTable(&text, &r)
		case "how":
			writeHow(&text, &r)
		case "scale":
			writeScale(&text, r.Scales[0])
		case "report":
			return reportFiles(t, &r)
		default:
			d.Fatalf(t, "unknown command")
		}
		return text.String()
	})
}

// reportFiles writes a whole report and lists its files; all pictures must be XML.
func reportFiles(t *testing.T, r *results) string {
	dir := t.TempDir()
	if err := writeReport(r, filepath.Join(dir, "RESULTS.md")); err != nil {
		t.Fatal(err)
	}
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, name)
		if filepath.Ext(path) == ".svg" {
			wellFormed(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n") + "\n"
}

func wellFormed(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for dec := xml.NewDecoder(f); ; {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v", path, err)
		}
	}
}

func TestMeasuresNameEachOther(t *testing.T) {
	known := map[string]bool{}
	for _, m := range measures() {
		if known[m.ID] {
			t.Errorf("two measures are called %s", m.ID)
		}
		known[m.ID] = true
	}
	for _, m := range measures() {
		if m.Need.FlatOver != "" && !known[m.Need.FlatOver] {
			t.Errorf("%s is compared with %s, which is no measure", m.ID, m.Need.FlatOver)
		}
		if m.How == "" || m.Title == "" || m.Unit == "" {
			t.Errorf("%s does not say what it is", m.ID)
		}
	}
}

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		above, below []float64
		want         float64
	}{
		{nil, []float64{1}, 0},
		{[]float64{4}, []float64{2}, 2},
		{[]float64{10, 100, 12}, []float64{1, 10, 1}, 10}, // round by round
		{[]float64{10, 20, 30}, []float64{5}, 4},          // medians
	} {
		if got := ratio(c.above, c.below); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("ratio(%v, %v) = %v, want %v", c.above, c.below, got, c.want)
		}
	}
	if got := median([]float64{3, 1, 2, 10}); got != 2.5 {
		t.Errorf("median = %v", got)
	}
	if got := quantile([]int{1, 2, 3, 4}, 0.99); got != 4 {
		t.Errorf("quantile = %v", got)
	}
}

func TestMergeKeepsWhatWasNotMeasured(t *testing.T) {
	now := &results{Samples: []sample{{"create", oursColumn, 1}}, Notes: map[string]string{"create": "now"}}
	before := &results{
		Samples: []sample{{"create", oursColumn, 9}, {"block", oursColumn, 2}},
		Notes:   map[string]string{"create": "before", "block": "kept"}, Same: []string{"all"},
	}
	now.merge(before)
	if got := now.of("create", oursColumn); len(got) != 1 || got[0] != 1 {
		t.Errorf("create is %v", got)
	}
	if got := now.of("block", oursColumn); len(got) != 1 || now.Notes["block"] != "kept" || now.Notes["create"] != "now" {
		t.Errorf("block is %v, notes are %v", got, now.Notes)
	}
}

func TestScalesAreKeptBySize(t *testing.T) {
	of := func(vats int, day string) scale { return scale{Form: scaleForm{Vats: vats}, Day: day} }
	now := &results{Scales: []scale{of(1000, "now")}}
	now.keepScales(&results{Scales: []scale{of(10, "before"), of(1000, "before"), of(5000, "before")}})
	var got []string
	for _, s := range now.Scales {
		got = append(got, strconv.Itoa(s.Form.Vats)+" "+s.Day)
	}
	if want := "10 before,1000 now,5000 before"; strings.Join(got, ",") != want {
		t.Errorf("%q; want %q", got, want)
	}
}
