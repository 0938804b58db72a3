package supervisor

import (
	"cmp"
	"os"
	"slices"
	"time"

	"vatworkerd/pipeproto"
)

// picture gives what is going on, as of now. It waits for nobody but others who
// note or look.
func (l *live) picture() pipeproto.Live {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	p := l.now
	p.PID, p.Started = os.Getpid(), l.started.UnixMicro()
	p.Doing = l.doing(now)
	p.Workers = l.allWorkers(now)
	p.Counts.Online = int64(len(p.Workers))
	p.Alarms = l.allAlarms(now)
	p.Warnings = append([]pipeproto.Warned{}, l.warnings...)
	p.Deliveries, p.PageIns = l.deliveries.wire(), l.pageIns.wire()
	p.WorkerEnds, p.Snapshots = l.workerEnds.wire(), l.snapshots.wire()
	return p
}

func (l *live) doing(now time.Time) *pipeproto.Doing {
	if l.request == "" {
		return nil
	}
	d := &pipeproto.Doing{Request: l.request, RequestFor: now.Sub(l.asked).Microseconds()}
	if l.step.what != "" {
		d.Step, d.StepFor = l.step.what, now.Sub(l.step.since).Microseconds()
		d.VatID, d.Name, d.Position = l.step.vatID, l.step.name, l.step.position
	}
	return d
}

func (l *live) allWorkers(now time.Time) []pipeproto.LiveWorker {
	all := make([]pipeproto.LiveWorker, 0, len(l.workers))
	for vatID, w := range l.workers {
		shown := pipeproto.LiveWorker{
			VatID: vatID, Name: w.worker.name, PID: w.worker.process.PID(),
			Up: now.Sub(w.since).Microseconds(), Idle: now.Sub(w.used).Microseconds(),
		}
		if l.step.vatID == vatID {
			shown.Busy, shown.Idle = true, 0
		}
		all = append(all, shown)
	}
	slices.SortFunc(all, func(a, b pipeproto.LiveWorker) int {
		return cmp.Or(cmp.Compare(a.Idle, b.Idle), cmp.Compare(a.VatID, b.VatID))
	})
	return all
}

func (l *live) allAlarms(now time.Time) []pipeproto.Alarm {
	all := make([]pipeproto.Alarm, 0, len(l.alarms))
	for key, a := range l.alarms {
		all = append(all, pipeproto.Alarm{Kind: key.kind, VatID: key.vatID, Message: a.message, For: now.Sub(a.since).Microseconds()})
	}
	slices.SortFunc(all, func(a, b pipeproto.Alarm) int {
		return cmp.Or(cmp.Compare(a.VatID, b.VatID), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}
