package web

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vatworkerd/pipeproto"
)

// families reads metrics as Prometheus does.
func families(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return all
}

func TestMetrics(t *testing.T) {
	d := newFake(3)
	d.look.Live.Alarms = []pipeproto.Alarm{{Kind: "worker"}, {Kind: "worker"}, {Kind: "odd\"\\\n"}}
	d.look.Live.Totals.Computrons = 123_456_789_012
	status, text := serve(t, d).get("/metrics")
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	all := families(t, text)
	for name, want := range map[string]float64{"vatworkerd_daemon_up": 1, "vatworkerd_height": 12, "vatworkerd_vats": 3, "vatworkerd_workers_memory_bytes": 45_700_000} {
		if got := all[name].GetMetric()[0].GetGauge().GetValue(); got != want {
			t.Errorf("%s is %v, not %v", name, got, want)
		}
	}
	if got := all["vatworkerd_computrons_total"].GetMetric()[0].GetCounter().GetValue(); got != 123_456_789_012 {
		t.Errorf("computrons are %v", got)
	}
	h := all["vatworkerd_delivery_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 6 || h.GetSampleSum() != 9 || len(h.GetBucket()) != 3 {
		t.Errorf("histogram %v", h)
	}
	for i, want := range []struct {
		bound float64
		count uint64
	}{{0.001, 2}, {1, 5}, {math.Inf(1), 6}} {
		if b := h.GetBucket()[i]; b.GetUpperBound() != want.bound || b.GetCumulativeCount() != want.count {
			t.Errorf("bucket %d is %v", i, b)
		}
	}
	if kinds := all["vatworkerd_alarms"].GetMetric(); len(kinds) != 2 || kinds[1].GetGauge().GetValue() != 2 {
		t.Errorf("alarms %v", kinds)
	}
	for name, family := range all {
		if family.GetHelp() == "" || !strings.HasPrefix(name, prefix) {
			t.Errorf("%s has no help, or another's name", name)
		}
	}
}

// How many series there are does not depend on how many vats.
func TestSeriesAreBounded(t *testing.T) {
	few, many := newFake(2), newFake(3000)
	for i := range many.vats {
		many.look.Live.Workers = append(many.look.Live.Workers, pipeproto.LiveWorker{VatID: many.vats[i].VatID})
	}
	lines := func(d *fakeDaemon) int {
		_, text := serve(t, d).get("/metrics")
		return strings.Count(text, "\n")
	}
	if a, b := lines(few), lines(many); a != b || a > 250 {
		t.Errorf("%d lines for few vats, %d for many", a, b)
	}
}

// What the dashboard asks for exists.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../../../contrib/grafana/vatworkerd.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string `json:"title"`
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &board); err != nil || board.Title == "" || len(board.Panels) < 8 {
		t.Fatalf("%v, %d panels", err, len(board.Panels))
	}
	d := newFake(3)
	d.look.Live.Alarms = []pipeproto.Alarm{{Kind: "worker"}}
	_, metrics := serve(t, d).get("/metrics")
	known := families(t, metrics)
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	used := map[string]bool{}
	for _, panel := range board.Panels {
		if panel.Title == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			for _, name := range regexp.MustCompile(`\bvatworkerd_[a-z_]+`).FindAllString(target.Expr, -1) {
				base := name
				if known[base] == nil {
					base = suffix.ReplaceAllString(name, "")
				}
				if known[base] == nil {
					t.Errorf("panel %q asks for %s, which does not exist", panel.Title, name)
				}
				used[base] = true
			}
		}
	}
	if len(used) < 15 {
		t.Errorf("only %d metrics are shown", len(used))
	}
}
