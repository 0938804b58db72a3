package main

import (
	"time"

	"vatworkerd/cmd/vatworkerd/internal/top"
	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/pipeproto"
)

// topDoc is a document of `top`.
type topDoc struct {
	At      time.Time         `json:"at"`
	Rates   watch.Rates       `json:"rates"` // a second, since the document before
	PageIn  pageInDoc         `json:"pageIn"`
	Memory  int64             `json:"memoryBytes"` // of all workers
	Holder  *pipeproto.Holder `json:"holder"`
	Live    pipeproto.Live    `json:"live"`
	Busy    *string           `json:"busy"` // why vats is empty now
	Vats    []watchedDoc      `json:"vats"`
	HasMore bool              `json:"more"`
}

// pageInDoc is how long page-ins took, since the daemon's start.
type pageInDoc struct {
	P50 int64 `json:"p50Micros"`
	P99 int64 `json:"p99Micros"`
}

// watchedDoc is a vat with what only looking for a while shows.
type watchedDoc struct {
	vatDoc
	Worker     *pipeproto.LiveWorker `json:"worker"`
	Deliveries float64               `json:"deliveriesPerSecond"`
	Computrons float64               `json:"computronsPerSecond"`
}

func topDocOf(o top.Options, look watch.Look, now, before watch.Point, vats, vatsBefore watch.Vats, vatsErr error) topDoc {
	doc := topDoc{
		At: look.At, Rates: watch.Between(before, now), Memory: look.Memory(), Holder: look.Holder, Live: look.Live, Vats: []watchedDoc{},
		PageIn:  pageInDoc{P50: watch.Quantile(look.Live.PageIns, 0.5), P99: watch.Quantile(look.Live.PageIns, 0.99)},
		HasMore: vats.More,
	}
	if vatsErr != nil {
		doc.Busy = &pipeproto.ErrorOf(vatsErr).Message
	}
	rows := watch.Filter(watch.Rows(look, vats, vatsBefore), o.State, "")
	watch.Sort(rows, o.SortBy, false)
	for _, row := range rows {
		doc.Vats = append(doc.Vats, watchedDoc{vatDoc: vatDocOf(row.Vat), Worker: row.Worker, Deliveries: row.Deliveries, Computrons: row.Computrons})
	}
	return doc
}
