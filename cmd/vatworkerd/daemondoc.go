package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/control"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// daemonDoc is `daemon` in the document of `status`: the daemon that holds the
// database.
type daemonDoc struct {
	Socket string            `json:"socket"`
	Busy   *string           `json:"busy"`   // why the vats cannot be listed now
	Holder *pipeproto.Holder `json:"holder"` // the process that stays, if one does
	Live   pipeproto.Live    `json:"live"`
}

// standing gives the state of the vats and, if a daemon holds the database, what
// it does. A daemon that is busy with a crank tells the latter at any time; then
// there are no vats to show.
func (s *session) standing(limit int) (kernelhost.Status, *daemonDoc, error) {
	if s.daemon == nil {
		st, err := s.see.Status(s.ctx, "", limit)
		return st, nil, err
	}
	live, err := s.daemon.Live(s.ctx)
	if err != nil {
		return kernelhost.Status{}, nil, err
	}
	doc := &daemonDoc{Socket: filepath.Join(s.app.db, vatsSocket), Live: live}
	if doc.Holder, err = s.holder(); err != nil {
		return kernelhost.Status{}, nil, err
	}
	st, err := s.see.Status(s.ctx, "", limit)
	var told *pipeproto.Error
	if errors.As(err, &told) && told.Code == pipeproto.CodeBusy {
		doc.Busy = &told.Message
		return statusOf(live), doc, nil
	}
	return st, doc, err
}

// holder asks the process that stays with the database, if one does.
func (s *session) holder() (*pipeproto.Holder, error) {
	client, err := control.Dial(s.ctx, filepath.Join(s.app.db, hostSocket), pipeproto.AccessRead)
	var nobody *control.NobodyError
	if errors.As(err, &nobody) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var holder pipeproto.Holder
	return &holder, client.Call(s.ctx, pipeproto.ReqHolder, pipeproto.Empty{}, &holder, nil)
}

// statusOf is as much of a status as a daemon tells at any time.
func statusOf(live pipeproto.Live) kernelhost.Status {
	return kernelhost.Status{
		Height: live.Height, ActivityHash: live.ActivityHash, Epoch: live.Epoch, Panic: live.Panic,
		ImageID: live.ImageID, Engine: live.Engine, EngineSHA256: live.EngineSHA256, Counts: live.Counts,
		Vats: []pipeproto.VatStatus{}, More: live.Counts.Vats > 0,
	}
}

// writeDaemon tells who holds the database and what is going on there.
func (a *app) writeDaemon(d *daemonDoc, field func(name, text string)) {
	if d == nil {
		field("daemon", "none")
		return
	}
	p, live := a.palette(), d.Live
	field("daemon", fmt.Sprintf("process %d since %s, of %s, at %s", live.PID, clock(live.Started), screen.Escape(live.Host), screen.Escape(d.Socket)))
	if h := d.Holder; h != nil {
		field("host", fmt.Sprintf("process %d stays since %s", h.PID, clock(h.Started)))
		if h.Command != "" {
			field("command", fmt.Sprintf("%s for %s, %s", screen.Clip(h.Command, maxTextColumns), screen.Elapsed(duration(h.For)), screen.Plural(int64(h.Waiting), "other", "others")+" waiting"))
		}
	}
	doing := "nothing"
	if live.Doing != nil {
		doing = screen.Escape(live.Doing.String())
	}
	field("doing", doing)
	field("pages", pagesOf(live))
	for _, alarm := range live.Alarms {
		field("alarm", p.Paint(screen.Red, screen.Clip(alarm.Message, maxTextColumns)))
	}
}

// pagesOf tells how often vats were paged in and out since the daemon's start,
// and how long it took.
func pagesOf(live pipeproto.Live) string {
	in := screen.Count(watch.Number(live.PageIns)) + " in"
	if watch.Number(live.PageIns) > 0 {
		in += fmt.Sprintf(" (p50 %s, p99 %s)", screen.Millis(watch.Quantile(live.PageIns, 0.5)), screen.Millis(watch.Quantile(live.PageIns, 0.99)))
	}
	text := fmt.Sprintf("%s, %s out", in, screen.Count(live.Totals.PageOuts))
	if live.Totals.WorkerDeaths > 0 {
		text += ", " + screen.Plural(live.Totals.WorkerDeaths, "worker death")
	}
	return text
}

func clock(unixMicros int64) string { return time.UnixMicro(unixMicros).Format(time.DateTime) }

func duration(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
