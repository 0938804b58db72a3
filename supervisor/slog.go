package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/slogfile"
	"vatworkerd/snapshots"
	"vatworkerd/workerlogs"
	"vatworkerd/xsnap"
)

// DefaultSlogBytes is the default of the command line.
const DefaultSlogBytes = 1 << 30

// slog writes what happens as SwingSet's slogger does. It is local, and what it
// says of cranks is of this process. A nil slog writes nothing, at no cost. Safe for
// concurrent use.
type slog struct {
	file *slogfile.File

	mu        sync.Mutex // guards the rest
	crankNum  int64      // of the crank that runs, or ran last
	crankFrom time.Time
	known     map[string]bool // vats that create-vat was written of
}

// openSlog opens the slog, if one is wanted.
func (s *Supervisor) openSlog(opts Options) error {
	if opts.Slog == "" {
		return nil
	}
	file, err := slogfile.Open(opts.Slog, slogfile.Options{Bytes: opts.SlogBytes, Tell: s.slogFails})
	if err != nil {
		return err
	}
	s.slog = &slog{file: file, crankNum: -1, known: map[string]bool{}}
	s.speech.slog = s.slog
	return nil
}

// slogFails is told that the slog cannot be written, or can again. It is called
// by the goroutine that writes it.
func (s *Supervisor) slogFails(err error) {
	if err == nil {
		s.live.clear(alarmSlog, "")
		s.warn("the slog can be written again")
		return
	}
	message := fmt.Sprintf("the slog is not written: %v", err)
	s.warn("%s", message)
	s.live.raise(alarmSlog, "", message)
}

func (l *slog) close() {
	if l != nil {
		l.file.Close()
	}
}

// introduce writes of a vat, once, what it is.
func (l *slog) introduce(rec *record) {
	if l == nil {
		return
	}
	l.mu.Lock()
	known := l.known[rec.ID]
	l.known[rec.ID] = true
	l.mu.Unlock()
	if known {
		return
	}
	l.file.Write(&slogfile.CreateVat{
		Type: slogfile.TypeCreateVat, VatID: rec.ID, Dynamic: !rec.Options.Static, Name: rec.Name,
		Description: fmt.Sprintf("%s (from bundleID: %s)", rec.Name, rec.BundleID), ManagerType: "xsnap",
	})
}

// crankBegins tells the number, and message, the host's item that the crank is for,
// if it is for one and is JSON.
func (l *slog) crankBegins(message []byte) {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.crankNum++
	l.crankFrom = time.Now()
	n := l.crankNum
	l.mu.Unlock()
	l.file.Write(&slogfile.Crank{Type: slogfile.TypeCrankStart, CrankType: "delivery", CrankNum: n, Message: validJSON(message)})
}

// noted writes what the host says of c-lists, and gives the delivery in its terms.
func (l *slog) noted(note *pipeproto.SlogNote) (kd json.RawMessage) {
	if l == nil || note == nil {
		return nil
	}
	for _, change := range note.CList {
		l.file.Write(&slogfile.CList{
			Type: slogfile.TypeCList, CrankNum: l.crank(false), Mode: change.Mode, VatID: change.VatID, KObj: change.KObj, VObj: change.VObj,
		})
	}
	return validJSON(note.Delivery)
}

// validJSON gives text if it can be part of a line.
func validJSON(text []byte) json.RawMessage {
	if !json.Valid(text) {
		return nil
	}
	return text
}

// crankEnds tells the activity hash, or "" if the crank was undone.
func (l *slog) crankEnds(activityHash string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	n, from := l.crankNum, l.crankFrom
	l.mu.Unlock()
	e := &slogfile.Crank{Type: slogfile.TypeCrankFinish, CrankType: "delivery", CrankNum: n, ActivityHash: activityHash}
	e.Took(from)
	l.file.Write(e)
}

// crank gives the crank's number; a replay is in none.
func (l *slog) crank(isReplay bool) *int64 {
	if isReplay {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.crankNum
	return &n
}

// event writes what SwingSet's slogs have no type for, and the end of a vat.
func (l *slog) event(ev pipeproto.VatEvent) {
	if l == nil {
		return
	}
	if ev.Kind == pipeproto.VatTerminated {
		l.mu.Lock()
		delete(l.known, ev.VatID)
		l.mu.Unlock()
		l.file.Write(&slogfile.Terminate{Type: slogfile.TypeTerminate, VatID: ev.VatID, Info: ev.Detail})
		return
	}
	l.file.Write(&slogfile.VatEvent{
		Type: slogfile.TypeVatEvent, Event: ev.Kind, VatID: ev.VatID, Name: ev.Name, Deliveries: ev.Deliveries, Hash: ev.Hash, Detail: ev.Detail,
	})
}

// console writes what a vat prints in a delivery.
func (l *slog) console(vatID string, at delivering, source, level string, args []json.RawMessage) {
	if l == nil || at.isReplay {
		return
	}
	if source == workerlogs.SourceLiveslots {
		source = "liveslots"
	}
	e := &slogfile.Console{
		Type: slogfile.TypeConsole, Source: source, State: "delivery", CrankNum: l.crank(false), VatID: vatID,
		DeliveryNum: at.position, Level: level, Args: make([]string, len(args)),
	}
	for i := range args {
		e.Args[i] = joinArgs(args[i:i+1], "")
	}
	l.file.Write(e)
}

// replays writes that a number of items is going to be replayed, and, when what it
// gives is called, that they have been.
func (l *slog) replays(vatID string, items int64) (done func()) {
	if l == nil {
		return func() {}
	}
	began := time.Now()
	l.file.Write(&slogfile.Replay{Type: slogfile.TypeReplay, VatID: vatID, Deliveries: &items})
	return func() {
		e := &slogfile.Replay{Type: slogfile.TypeReplayed, VatID: vatID}
		e.Took(began)
		l.file.Write(e)
	}
}

func (l *slog) heapLoads(rec *record, position int64, hash string) {
	if l == nil {
		return
	}
	l.introduce(rec)
	l.file.Write(&slogfile.HeapLoad{Type: slogfile.TypeHeapLoad, VatID: rec.ID, SnapPos: position, Hash: hash})
}

// heapSaved writes of a snapshot, and of the worker that goes on from it.
func (l *slog) heapSaved(rec *record, position int64, info snapshots.Info, began time.Time) {
	if l == nil {
		return
	}
	e := &slogfile.HeapSave{
		Type: slogfile.TypeHeapSave, VatID: rec.ID, SnapshotID: info.Hash, EndPosition: position,
		UncompressedSize: info.UncompressedSize, RestartWorker: true,
	}
	e.Took(began)
	l.file.Write(e)
	l.heapLoads(rec, position, info.Hash)
}

// assigned writes that a spare worker becomes a vat's.
func (l *slog) assigned(rec *record, pid int) {
	if l != nil {
		l.file.Write(&slogfile.Worker{Type: slogfile.TypeWorkerAssign, VatID: rec.ID, PID: pid})
	}
}

// slogged is a delivery in the slog.
type slogged struct {
	slog     *slog
	head     slogfile.Delivery // without what only one of its lines has
	syscalls int
	began    time.Time
}

// delivers writes that a delivery begins, kd being the same in the host's terms, if
// it has said so. It gives nil if there is no slog.
func (l *slog) delivers(rec *record, position int64, isReplay bool, kd, delivery json.RawMessage) *slogged {
	if l == nil {
		return nil
	}
	l.introduce(rec)
	d := &slogged{slog: l, began: time.Now(), head: slogfile.Delivery{
		Type: slogfile.TypeDeliver, CrankNum: l.crank(isReplay), VatID: rec.ID, DeliveryNum: position, Replay: isReplay, Dispatch: firstWord(delivery),
	}}
	e := d.head
	e.KD, e.VD = kd, delivery
	if kd == nil && !isReplay && e.Dispatch == "bringOutYourDead" {
		e.KD = delivery // ours; a host would say the same
	}
	l.file.Write(&e)
	return d
}

// ends writes how the delivery has ended.
func (d *slogged) ends(result xsnap.DeliveryResult, err error) {
	if d == nil {
		return
	}
	e := d.head
	e.Type = slogfile.TypeDeliverResult
	e.DR = &slogfile.Result{Status: result.Status, Problem: result.Problem}
	if err != nil { // the worker is lost
		e.DR.Status, e.DR.Problem = pipeproto.StatusError, err.Error()
	}
	if m := result.Meter; m != nil {
		e.DR.Meter = &slogfile.Metering{
			MeterType: slogfile.MeterType, CurrentHeapCount: m.CurrentHeapCount, Compute: m.Compute, Allocate: m.Allocate,
		}
	}
	e.Took(d.began)
	d.slog.file.Write(&e)
}

// syscall writes that a syscall is made, and, when what it gives is called, how
// it was answered.
func (d *slogged) syscall(request json.RawMessage) (answered func(json.RawMessage)) {
	if d == nil {
		return func(json.RawMessage) {}
	}
	head := slogfile.Syscall{
		Type: slogfile.TypeSyscall, CrankNum: d.head.CrankNum, VatID: d.head.VatID, DeliveryNum: d.head.DeliveryNum,
		SyscallNum: d.syscalls, Replay: d.head.Replay, Syscall: firstWord(request),
	}
	d.syscalls++
	began := time.Now()
	e := head
	e.VSC = request
	d.slog.file.Write(&e)
	return func(response json.RawMessage) {
		e := head
		e.Type, e.VSR = slogfile.TypeSyscallResult, response
		e.Took(began)
		d.slog.file.Write(&e)
	}
}

// firstWord gives the string that a JSON array begins with.
func firstWord(array json.RawMessage) string {
	rest, ok := bytes.CutPrefix(array, []byte(`["`))
	word, _, found := bytes.Cut(rest, []byte{'"'})
	if !ok || !found {
		return ""
	}
	return string(word)
}
