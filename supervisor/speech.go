package supervisor

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/workerlogs"
	"vatworkerd/xsnap"
)

// LogDir is where the worker logs are in a supervisor's directory.
const LogDir = "logs"

// The defaults of the command line for worker logs.
const (
	DefaultVatLogBytes = 2 << 20
	DefaultLogBytes    = 512 << 20
)

// speech passes on what workers say, to the host and to the worker logs. All of
// it is local: it may differ between supervisors that agree, and what is lost of
// it is lost. Safe for concurrent use: workers write from goroutines of their
// own.
type speech struct {
	logs     *workerlogs.Dir // nil = none are kept
	slog     *slog           // nil = none is wanted
	host     Host
	replayed bool // also what vats print when they are replayed

	mu   sync.Mutex // guards last
	last map[string]delivering
}

// delivering is the delivery that a vat's worker runs, or has run last.
type delivering struct {
	name        string
	incarnation int64
	position    int64
	isReplay    bool
}

// openLogs opens the worker logs, if they are wanted.
func (s *Supervisor) openLogs(opts Options) (err error) {
	if opts.LogBytes == 0 {
		return nil
	}
	s.speech.logs, err = workerlogs.Open(filepath.Join(opts.Dir, LogDir), workerlogs.Options{
		VatBytes: opts.VatLogBytes, TotalBytes: opts.LogBytes, Tell: s.logsFail,
	})
	return err
}

// logsFail is told that worker logs cannot be written, or can again. It is
// called by the goroutine that writes them.
func (s *Supervisor) logsFail(err error) {
	if err == nil {
		s.live.clear(alarmLogs, "")
		s.warn("worker logs can be written again")
		return
	}
	message := fmt.Sprintf("worker logs are not written: %v", err)
	s.warn("%s", message)
	s.live.raise(alarmLogs, "", message)
}

func newSpeech(host Host, replayed bool) *speech {
	return &speech{host: host, replayed: replayed, last: map[string]delivering{}}
}

// begins notes the delivery that a vat's worker is going to run.
func (p *speech) begins(rec *record, position int64, isReplay bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[rec.ID] = delivering{rec.Name, rec.Incarnation, position, isReplay}
}

// forget is for a vat that has no worker any more.
func (p *speech) forget(vatID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, vatID)
}

func (p *speech) at(vatID string) delivering {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[vatID]
}

// console takes a line of a vat's console.
func (p *speech) console(rec *record, source, level string, args []json.RawMessage) {
	at := p.at(rec.ID)
	p.slog.console(rec.ID, at, source, level, args)
	if at.isReplay && !p.replayed {
		return // it was printed before
	}
	p.say(rec.ID, rec.Name, at, source, level, ConsoleText(args))
}

// sink takes what a vat's worker writes to its stdout and stderr.
func (p *speech) sink(rec *record) xsnap.LogSink {
	vatID, name := rec.ID, rec.Name
	return func(stream, line string) {
		at := p.at(vatID)
		if at.isReplay && !p.replayed && stream == workerlogs.SourceStdout {
			return
		}
		p.say(vatID, name, at, stream, "info", line)
	}
}

func (p *speech) say(vatID, name string, at delivering, source, level, text string) {
	_ = p.host.Event(pipeproto.EventConsole, pipeproto.ConsoleEvent{
		VatID: vatID, Name: name, Source: source, Level: level, Text: text, Replay: at.isReplay,
	})
	p.logs.Add(entryOf(vatID, name, at, source, level, text))
}

// note files something about a vat's worker that it did not say itself.
func (p *speech) note(vatID, level, text string) {
	at := p.at(vatID)
	p.logs.Add(entryOf(vatID, at.name, at, workerlogs.SourceOwn, level, text))
}

func entryOf(vatID, name string, at delivering, source, level, text string) workerlogs.Entry {
	return workerlogs.Entry{
		Time: time.Now(), VatID: vatID, Name: name, Incarnation: at.incarnation, Position: at.position,
		Source: source, Level: level, Replay: at.isReplay, Text: text,
	}
}

// ConsoleText is what a vat's console shows of the arguments it is given.
func ConsoleText(args []json.RawMessage) string { return joinArgs(args, " ") }

// joinArgs renders console or testLog arguments: strings as they are, all else
// as JSON.
func joinArgs(args []json.RawMessage, sep string) string {
	var out []byte
	for i, arg := range args {
		if i > 0 {
			out = append(out, sep...)
		}
		var text string
		if json.Unmarshal(arg, &text) == nil {
			out = append(out, text...)
			continue
		}
		out = append(out, arg...)
	}
	return string(out)
}
