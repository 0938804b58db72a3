package web

import (
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/pipeproto"
)

// metric is one family of Prometheus' text format. There are no labels for vats:
// how many series there are does not depend on how many vats.
type metric struct {
	name, kind, help string
	samples          []sample
	histogram        *pipeproto.Histogram // for that kind
}

type sample struct {
	labels string // as written, "" for none
	value  float64
}

// Kinds of metrics.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

func one(name, kind, help string, value float64) metric {
	return metric{name: name, kind: kind, help: help, samples: []sample{{value: value}}}
}

// metricsOf gives all metrics of a look; without a daemon only that it is gone.
func metricsOf(l watch.Look, isUp bool) []metric {
	up := one("daemon_up", gauge, "Whether there is a daemon: 1 or 0.", truth(isUp))
	if !isUp {
		return []metric{up}
	}
	all := append([]metric{up}, stateMetrics(l)...)
	all = append(all, poolMetrics(l)...)
	all = append(all, totalMetrics(l.Live.Totals)...)
	return append(all,
		metric{name: "delivery_seconds", kind: histogram, help: "How long deliveries took, page-ins apart.", histogram: &l.Live.Deliveries},
		metric{name: "page_in_seconds", kind: histogram, help: "How long it took to page vats in.", histogram: &l.Live.PageIns},
		metric{name: "snapshot_seconds", kind: histogram, help: "How long the taking of heap snapshots kept vats waiting.", histogram: &l.Live.Snapshots},
		metric{name: "worker_end_seconds", kind: histogram, help: "How long workers took to be gone after they were paged out.", histogram: &l.Live.WorkerEnds},
	)
}

func stateMetrics(l watch.Look) []metric {
	live, n := l.Live, l.Live.Counts
	all := []metric{
		one("start_time_seconds", gauge, "When the daemon started, in Unix time.", float64(live.Started)/1e6),
		{name: "engine_info", kind: gauge, help: "The engine of the present worker image.", samples: []sample{{labels: label("engine", live.Engine), value: 1}}},
		one("height", gauge, "The last committed block.", float64(live.Height)),
		one("block_open", gauge, "Whether the next block has begun: 1 or 0.", truth(live.OpenBlock)),
		one("epoch", gauge, "How often all vats were restarted.", float64(live.Epoch)),
		one("panic", gauge, "Whether the daemon refuses to go on: 1 or 0.", truth(panicOf(l) != "")),
		one("vats", gauge, "Vats in all.", float64(n.Vats)),
		one("vats_suspended", gauge, "Suspended vats.", float64(n.Suspended)),
		one("vats_paused", gauge, "Paused vats.", float64(n.Paused)),
		one("vats_terminated", gauge, "Terminated vats.", float64(n.Terminated)),
		one("queued_deliveries", gauge, "Deliveries that wait for their turn.", float64(n.Queued)),
		one("held_deliveries", gauge, "Deliveries held for vats that take none.", float64(n.Held)),
		alarmMetric(live.Alarms),
		one("busy_seconds", gauge, "How long the present request of the kernel host has been served; 0 while there is none.", busySeconds(live.Doing)),
	}
	if l.Holder != nil {
		all = append(all, one("commands_waiting", gauge, "Commands that wait for their turn.", float64(l.Holder.Waiting)))
	}
	return all
}

func busySeconds(doing *pipeproto.Doing) float64 {
	if doing == nil {
		return 0
	}
	return float64(doing.RequestFor) / 1e6
}

// alarmMetric counts alarms by kind, of which there are a few.
func alarmMetric(alarms []pipeproto.Alarm) metric {
	counts := map[string]int{}
	for _, alarm := range alarms {
		counts[alarm.Kind]++
	}
	m := metric{name: "alarms", kind: gauge, help: "What is wrong now, by kind; a kind of which there is none is left out."}
	for kind, n := range counts {
		m.samples = append(m.samples, sample{label("kind", kind), float64(n)})
	}
	sort.Slice(m.samples, func(i, j int) bool { return m.samples[i].labels < m.samples[j].labels })
	return m
}

func poolMetrics(l watch.Look) []metric {
	live := l.Live
	return []metric{
		one("workers", gauge, "Workers of online vats.", float64(len(live.Workers))),
		one("workers_limit", gauge, "How many workers there may be.", float64(live.MaxOnline)),
		one("workers_spare", gauge, "Workers that are ready for vats that start.", float64(live.Spares)),
		one("vats_coming_in", gauge, "Vats that are paged in beside the deliveries.", float64(live.ComingIn)),
		one("vats_pinned", gauge, "Vats that keep their workers.", float64(len(live.Pinned))),
		one("workers_memory_bytes", gauge, "Resident memory of the workers of online vats.", float64(l.Memory())),
		one("workers_memory_limit_bytes", gauge, "What all workers may have in memory; 0 is no limit.", float64(live.MaxMemoryBytes)),
	}
}

func totalMetrics(t pipeproto.Totals) []metric {
	return []metric{
		one("cranks_total", counter, "Committed cranks.", float64(t.Cranks)),
		one("blocks_total", counter, "Committed blocks.", float64(t.Blocks)),
		one("rollbacks_total", counter, "Blocks that were dropped.", float64(t.Rollbacks)),
		one("deliveries_total", counter, "Deliveries, undone ones included.", float64(t.Deliveries)),
		one("computrons_total", counter, "What deliveries have used, undone ones included.", float64(t.Computrons)),
		one("page_outs_total", counter, "Vats that were paged out.", float64(t.PageOuts)),
		one("early_runs_total", counter, "Deliveries that ran before their cranks.", float64(t.EarlyRuns)),
		one("early_runs_in_vain_total", counter, "Deliveries that ran before their cranks in vain.", float64(t.EarlyInVain)),
		one("replayed_deliveries_total", counter, "Deliveries that were replayed to page vats in.", float64(t.Replayed)),
		one("snapshot_bytes_total", counter, "Heap snapshots that were taken, uncompressed.", float64(t.SnapshotBytes)),
		one("worker_deaths_total", counter, "Workers that died for reasons outside of their vats.", float64(t.WorkerDeaths)),
		one("restarts_total", counter, "Restarts of all vats.", float64(t.Restarts)),
		one("warnings_total", counter, "Warnings.", float64(t.Warnings)),
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// prefix begins all names.
const prefix = "vatworkerd_"

func label(name, value string) string {
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}

// write writes the text format of Prometheus, version 0.0.4.
func (m metric) write(b *strings.Builder) {
	name := prefix + m.name
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, m.help, name, m.kind)
	for _, s := range m.samples {
		labels := ""
		if s.labels != "" {
			labels = "{" + s.labels + "}"
		}
		fmt.Fprintf(b, "%s%s %s\n", name, labels, number(s.value))
	}
	if m.histogram != nil {
		m.writeHistogram(b, name)
	}
}

func (m metric) writeHistogram(b *strings.Builder, name string) {
	h := m.histogram
	var below int64
	for i, bound := range h.Bounds {
		below += h.Counts[i]
		fmt.Fprintf(b, "%s_bucket{le=\"%s\"} %d\n", name, number(float64(bound)/1e6), below)
	}
	all := watch.Number(*h)
	fmt.Fprintf(b, "%s_bucket{le=\"+Inf\"} %d\n%s_sum %s\n%s_count %d\n", name, all, name, number(float64(h.Sum)/1e6), name, all)
}

func number(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	look, err := s.source.now(r.Context())
	var b strings.Builder
	for _, m := range metricsOf(look, err == nil) {
		m.write(&b)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(b.String()))
}
