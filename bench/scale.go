package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// scaleForm says how large a store is made and how much is done with it.
type scaleForm struct {
	Vats     int     `json:"vats"`     // registered
	Active   int     `json:"active"`   // of which messages reach
	Pool     int     `json:"pool"`     // workers
	Messages int     `json:"messages"` // in all
	Skew     float64 `json:"skew"`     // exponent of the Zipf distribution over the active vats
}

// scale is what a store of many vats cost.
type scale struct {
	Form   scaleForm `json:"form"`
	Day    string    `json:"day"`
	Commit string    `json:"commit"`
	Load   float64   `json:"load"` // load average before

	RegisterSeconds float64 `json:"registerSeconds"`
	LogPeakBytes    int64   `json:"logPeakBytes"` // the largest write-ahead log
	HostMemory      [2]int  `json:"hostMemory"`   // resident MiB: after registering, the most ever
	DaemonMemory    [2]int  `json:"daemonMemory"`
	DiskPerVat      float64 `json:"diskPerVat"` // bytes for a registered vat
	StatusMillis    float64 `json:"statusMillis"`

	RunSeconds    float64    `json:"runSeconds"`
	Deliveries    int64      `json:"deliveries"`
	Started       int        `json:"started"`       // vats that got their first incarnation
	PageIns       int        `json:"pageIns"`       // after that
	PageInMillis  [4]float64 `json:"pageInMillis"`  // p50, p90, p99, most
	DiskPerActive float64    `json:"diskPerActive"` // bytes more for an active vat: transcript, vatstore, snapshot
	ReopenMillis  float64    `json:"reopenMillis"`  // a new daemon, to its first delivery
	RestartMillis float64    `json:"restartMillis"` // restart-all with its commit
}

// wholeScale is the form of `make scale`; its flags change it.
func wholeScale() scaleForm {
	return scaleForm{Vats: 1_000_000, Active: 1_000, Pool: 16, Messages: 6_000, Skew: 1.1}
}

// smallScale is the form within `make bench`.
func (b *bench) smallScale() scaleForm {
	if b.quick {
		return scaleForm{Vats: 10_000, Active: 50, Pool: 16, Messages: 300, Skew: 1.1}
	}
	return scaleForm{Vats: 100_000, Active: 200, Pool: 16, Messages: 2_000, Skew: 1.1}
}

// scaleRun is a run over one store.
type scaleRun struct {
	scale
	o       *ours
	dir     string
	config  string
	pageIns []float64 // milliseconds
	say     func(string)
	sent    map[string]int // messages by vat
}

// runScale makes the store, works with it, and opens it again.
func (b *bench) runScale(form scaleForm, say func(string)) (scale, error) {
	config, err := vatConfig{snapshotInterval: 200, snapshotInitial: 3}.write(b, "scale")
	if err != nil {
		return scale{}, err
	}
	r := &scaleRun{
		scale: scale{Form: form, Day: b.results.Began.Format(time.DateOnly), Commit: b.results.Machine.Commit, Load: loadAverage()}, o: b.system(oursColumn).(*ours),
		dir: filepath.Join(b.work, "scale"), config: config, say: say, sent: map[string]int{},
	}
	r.o.events.Vat = r.event
	for _, step := range []func() error{r.open, r.register, r.work, r.reopen, r.restartAll, r.o.end} {
		if err := step(); err != nil {
			return r.scale, err
		}
	}
	return r.scale, os.RemoveAll(r.dir)
}

func (r *scaleRun) open() error {
	return r.o.openWith(r.dir, r.config, r.Form.Pool, withoutVats)
}

func (r *scaleRun) event(ev pipeproto.VatEvent) {
	if ev.Kind == pipeproto.VatPagedIn {
		r.pageIns = append(r.pageIns, float64(ev.Micros)/1000)
	}
}

// register registers the vats, ten thousand between two looks at the log.
func (r *scaleRun) register() error {
	empty, err := filesSize(r.dir)
	if err != nil {
		return err
	}
	began := time.Now()
	for have := 0; have < r.Form.Vats; {
		want := min(have+10_000, r.Form.Vats)
		if err := r.o.register(have, want); err != nil {
			return err
		}
		have = want
		r.LogPeakBytes = max(r.LogPeakBytes, logSize(r.dir))
		r.say(fmt.Sprintf("registered %d of %d vats", have, r.Form.Vats))
	}
	r.RegisterSeconds = time.Since(began).Seconds()
	full, err := filesSize(r.dir)
	if err != nil {
		return err
	}
	r.DiskPerVat = float64(full-empty) / float64(r.Form.Vats)
	began = time.Now()
	if _, err := r.o.kernel.Status(context.Background(), "", 100); err != nil {
		return err
	}
	r.StatusMillis = inMilliseconds(time.Since(began))
	return r.memory(0)
}

// logSize is the size of the databases' write-ahead logs.
func logSize(dir string) int64 {
	total := int64(0)
	logs, _ := filepath.Glob(filepath.Join(dir, "*-wal"))
	for _, path := range logs {
		if info, err := os.Stat(path); err == nil {
			total += info.Size()
		}
	}
	return total
}

const scaleBlock = 100 // messages in a block

// work sends messages to the active vats, which lie all over the store; the same
// ones in every run.
func (r *scaleRun) work() error {
	before, err := filesSize(r.dir)
	if err != nil {
		return err
	}
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), r.Form.Skew, 1, uint64(r.Form.Active-1))
	began := time.Now()
	for done := 0; done < r.Form.Messages; {
		messages := make([]message, min(scaleBlock, r.Form.Messages-done))
		for i := range messages {
			vat := "many-" + strconv.Itoa(int(zipf.Uint64())*(r.Form.Vats/r.Form.Active))
			messages[i] = tell(vat, "increment")
			r.sent[vat]++
		}
		answer, err := r.o.run(messages)
		if err != nil {
			return err
		}
		for i, result := range answer.Results {
			if _, err := strconv.Atoi(result); err != nil {
				return fmt.Errorf("%s answers %s", messages[i].Vat, result)
			}
		}
		done += len(messages)
		r.say(fmt.Sprintf("%d of %d messages, %d page-ins", done, r.Form.Messages, len(r.pageIns)))
	}
	r.RunSeconds = time.Since(began).Seconds()
	if err := r.measureWork(before); err != nil {
		return err
	}
	return r.memory(1)
}

func (r *scaleRun) measureWork(before int64) error {
	after, err := filesSize(r.dir)
	if err != nil {
		return err
	}
	r.Started, r.PageIns = len(r.sent), len(r.pageIns)
	r.DiskPerActive = float64(after-before) / float64(r.Started)
	if r.PageIns > 0 {
		slices.Sort(r.pageIns)
		r.PageInMillis = [4]float64{quantile(r.pageIns, 0.5), quantile(r.pageIns, 0.9), quantile(r.pageIns, 0.99), r.pageIns[r.PageIns-1]}
	}
	return r.checkWork()
}

// checkWork asks every vat that was sent to for its deliveries: a start, the
// messages, and what snapshots took.
func (r *scaleRun) checkWork() error {
	for vat, messages := range r.sent {
		status, err := r.o.kernel.Vat(context.Background(), vat)
		if err != nil {
			return err
		}
		if status.Deliveries < int64(messages)+1 {
			return fmt.Errorf("%s was sent %d messages but had %d deliveries", vat, messages, status.Deliveries)
		}
		r.Deliveries += status.Deliveries
	}
	return nil
}

// reopen starts the daemon anew and delivers to the vat that was sent most.
func (r *scaleRun) reopen() error {
	if err := r.o.close(); err != nil {
		return err
	}
	r.say("opening the store again")
	began := time.Now()
	if err := r.open(); err != nil {
		return err
	}
	answer, err := r.o.run([]message{tell("many-0", "increment")})
	if err != nil {
		return err
	}
	r.ReopenMillis = inMilliseconds(time.Since(began))
	want := strconv.Itoa(r.sent["many-0"] + 1)
	if answer.Results[0] != want {
		return fmt.Errorf("after a restart many-0 answers %s, not %s", answer.Results[0], want)
	}
	return nil
}

func (r *scaleRun) restartAll() error {
	ctx := context.Background()
	began := time.Now()
	if _, err := r.o.kernel.RestartAll(ctx, "scale"); err != nil {
		return err
	}
	if err := r.o.kernel.Commit(ctx); err != nil {
		return err
	}
	r.RestartMillis = inMilliseconds(time.Since(began))
	_, err := r.o.kernel.Run(ctx, kernelhost.Budget{})
	return err
}

// memory notes what both processes hold (at 0, now; at 1, the most ever).
func (r *scaleRun) memory(at int) error {
	field := [2]string{"VmRSS", "VmHWM"}[at]
	daemon, err := childNamed("vatworkerd")
	if err != nil {
		return err
	}
	if r.HostMemory[at], err = memoryOf("self", field); err != nil {
		return err
	}
	r.DaemonMemory[at], err = memoryOf(daemon, field)
	return err
}

// memoryOf reads a size from /proc/PID/status, in MiB.
func memoryOf(pid, field string) (int, error) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			kilobytes, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			return kilobytes >> 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%s/status has no %s", pid, field)
}

// childNamed finds the child process of that name.
func childNamed(name string) (pid string, err error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return "", err
	}
	want := fmt.Sprintf(" (%s) ", name)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		head, rest, ok := strings.Cut(string(text), want)
		fields := strings.Fields(rest)
		if ok && len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			return head, nil
		}
	}
	return "", errors.New("cannot find the process " + name)
}
