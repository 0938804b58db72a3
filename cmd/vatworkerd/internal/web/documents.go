package web

import (
	"time"

	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/pipeproto"
	"vatworkerd/workerlogs"
)

// The JSON twins of the pages. docs/operating.md lists their keys.

// overview is the first page.
type overview struct {
	At      time.Time         `json:"at"`
	Health  string            `json:"health"` // "ok", or what is wrong
	Rates   watch.Rates       `json:"rates"`
	PageIn  pageIn            `json:"pageIn"`
	Memory  int64             `json:"memoryBytes"`
	Holder  *pipeproto.Holder `json:"holder"`
	Live    pipeproto.Live    `json:"live"`
	History []moment          `json:"history"` // oldest first

	points []watch.Point
}

// pageIn is how long page-ins took in the time of the history, or since the
// daemon's start if there was none.
type pageIn struct {
	P50 int64 `json:"p50Micros"`
	P99 int64 `json:"p99Micros"`
}

// moment is a point of the history with the rates since the one before.
type moment struct {
	At     time.Time        `json:"at"`
	Rates  watch.Rates      `json:"rates"`
	Counts pipeproto.Counts `json:"counts"`
	Memory int64            `json:"memoryBytes"`
}

func momentsOf(points []watch.Point) []moment {
	moments := []moment{}
	for i := 1; i < len(points); i++ {
		p := points[i]
		moments = append(moments, moment{At: p.At, Rates: watch.Between(points[i-1], p), Counts: p.Counts, Memory: p.MemoryBytes})
	}
	return moments
}

func overviewOf(look watch.Look, points []watch.Point) overview {
	o := overview{
		At: look.At, Health: "ok", Memory: look.Memory(), Holder: look.Holder, Live: look.Live,
		History: momentsOf(points), points: points,
	}
	if reason := ill(look, nil); reason != "" {
		o.Health = reason
	}
	if n := len(o.History); n > 0 {
		o.Rates = o.History[n-1].Rates
	}
	recent := look.Live.PageIns
	if len(points) > 0 {
		if less := watch.Less(recent, points[0].PageIns); watch.Number(less) > 0 {
			recent = less
		}
	}
	o.PageIn = pageIn{P50: watch.Quantile(recent, 0.5), P99: watch.Quantile(recent, 0.99)}
	return o
}

// vatsDoc is the page of vats.
type vatsDoc struct {
	At   time.Time `json:"at"`
	Busy *string   `json:"busy"` // why the list is not of now
	More bool      `json:"more"` // only the first vats, and those online, are listed
	Vats []vatRow  `json:"vats"`
}

type vatRow struct {
	pipeproto.VatStatus
	Worker     *pipeproto.LiveWorker `json:"worker"`
	Deliveries float64               `json:"deliveriesPerSecond"`
	Computrons float64               `json:"computronsPerSecond"`
}

func vatRowsOf(rows []watch.Row) []vatRow {
	all := make([]vatRow, 0, len(rows))
	for _, row := range rows {
		all = append(all, vatRow{VatStatus: row.Vat, Worker: row.Worker, Deliveries: row.Deliveries, Computrons: row.Computrons})
	}
	return all
}

// vatDoc is the page of one vat.
type vatDoc struct {
	Vat       pipeproto.VatStatus      `json:"vat"`
	Worker    *pipeproto.LiveWorker    `json:"worker"`
	Spans     []pipeproto.SpanInfo     `json:"spans"`
	Snapshots []pipeproto.SnapshotInfo `json:"snapshots"`
	Log       []workerlogs.Entry       `json:"log"` // the end of it
}

func vatDocOf(look watch.Look, d watch.Detail) vatDoc {
	doc := vatDoc{Vat: d.Vat, Spans: d.Spans, Snapshots: d.Snapshots, Log: d.Log}
	for _, w := range look.Live.Workers {
		if w.VatID == d.Vat.VatID {
			doc.Worker = &w
		}
	}
	if doc.Log == nil {
		doc.Log = []workerlogs.Entry{}
	}
	return doc
}

// troublesDoc is the page of what went wrong.
type troublesDoc struct {
	At       time.Time          `json:"at"`
	Panic    string             `json:"panic"` // "" if there is none
	Alarms   []pipeproto.Alarm  `json:"alarms"`
	Warnings []pipeproto.Warned `json:"warnings"` // the last few, newest last
	Deaths   int64              `json:"workerDeaths"`
	Failed   []vatRow           `json:"failed"` // vats with a last error
	Busy     *string            `json:"busy"`
}
