package watch

import (
	"strings"

	"vatworkerd/pipeproto"
)

// Row is a vat, its worker and what it has done lately.
type Row struct {
	Vat pipeproto.VatStatus
	// Worker is nil while the vat is offline.
	Worker *pipeproto.LiveWorker
	// IsBrief tells that nothing but the worker is known: the vat is not among those
	// that were listed.
	IsBrief    bool
	Deliveries float64 // a second
	Computrons float64 // a second
}

// Rows gives the listed vats in their order, with their workers as of now and
// their rates since an earlier list; then online vats that are not listed.
func Rows(now Look, vats, before Vats) []Row {
	workers := make(map[string]*pipeproto.LiveWorker, len(now.Live.Workers))
	for i := range now.Live.Workers {
		workers[now.Live.Workers[i].VatID] = &now.Live.Workers[i]
	}
	earlier := make(map[string]*pipeproto.VatStatus, len(before.List))
	for i := range before.List {
		earlier[before.List[i].VatID] = &before.List[i]
	}
	seconds := vats.At.Sub(before.At).Seconds()
	rows := make([]Row, 0, len(vats.List))
	for _, vat := range vats.List {
		row := Row{Vat: vat, Worker: workers[vat.VatID]}
		row.Vat.Online = row.Worker != nil
		delete(workers, vat.VatID)
		if was := earlier[vat.VatID]; was != nil && seconds > 0 {
			row.Deliveries = float64(max(0, vat.Deliveries-was.Deliveries)) / seconds
			row.Computrons = float64(max(0, vat.Computrons-was.Computrons)) / seconds
		}
		rows = append(rows, row)
	}
	for _, worker := range now.Live.Workers {
		if unlisted := workers[worker.VatID]; unlisted != nil {
			// A vat that is not running has no worker.
			vat := pipeproto.VatStatus{VatID: worker.VatID, Name: worker.Name, State: stateRunning, Online: true}
			rows = append(rows, Row{Vat: vat, Worker: unlisted, IsBrief: true})
		}
	}
	return rows
}

// States of vats that are told apart here.
const (
	stateRunning    = "running"
	stateTerminated = "terminated"
)

// States to filter by.
const (
	Every      = "all"
	Online     = "online"
	Running    = stateRunning
	Paused     = "paused"
	Suspended  = "suspended"
	Terminated = stateTerminated
	Holding    = "holding"
	Failed     = "failed"
	Pinned     = "pinned"
)

// States gives what Filter takes as a state.
func States() []string {
	return []string{Every, Online, Running, Paused, Suspended, Terminated, Holding, Failed, Pinned}
}

// Filter gives the rows in a state whose ID or name has text in it, upper or
// lower case.
func Filter(rows []Row, state, text string) []Row {
	text = strings.ToLower(text)
	var kept []Row
	for _, row := range rows {
		named := strings.Contains(strings.ToLower(row.Vat.VatID), text) || strings.Contains(strings.ToLower(row.Vat.Name), text)
		if named && row.isIn(state) {
			kept = append(kept, row)
		}
	}
	return kept
}

func (r Row) isIn(state string) bool {
	switch state {
	case Online:
		return r.Worker != nil
	case Running:
		return r.Vat.State == stateRunning
	case Paused:
		return r.Vat.Paused
	case Suspended:
		return r.Vat.Suspended
	case Terminated:
		return r.Vat.State == stateTerminated
	case Holding:
		return r.Vat.Held > 0
	case Pinned:
		return r.Vat.Pinned
	case Failed:
		return r.Vat.LastError != ""
	}
	return true
}
