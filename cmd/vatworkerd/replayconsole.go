package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/replay"
)

// evaluated is a line of the console, and what came of it.
type evaluated struct {
	Position int64  `json:"position"`
	Input    string `json:"input"`
	replay.Value
}

// replayConsole is where somebody looks into the worker of a replay that stands.
type replayConsole struct {
	*replayRun
	until int64 // where the replay ends
	lines screen.Lines
}

// errLeave ends a console, and errQuit the replay with it.
var (
	errLeave = errors.New("the replay goes on")
	errQuit  = errors.New("the replay ends here")
)

// consoleCommand is what a line that begins with a dot asks for.
type consoleCommand struct {
	name, argument, help string
	run                  func(c *replayConsole, argument string) error
}

func consoleCommands() []consoleCommand {
	return []consoleCommand{
		{".where", "", "where the replay stands", (*replayConsole).where},
		{".next", "[N]", "run the next item, or N items, and stand again", (*replayConsole).runNext},
		{".load", "FILE", "evaluate the content of a file", (*replayConsole).load},
		{".snapshot", "FILE", "write the worker's heap into a new file", (*replayConsole).snapshot},
		{".continue", "", "go on with the replay (or Ctrl-D)", func(*replayConsole, string) error { return errLeave }},
		{".quit", "", "end the replay here (or Ctrl-C)", func(*replayConsole, string) error { return errQuit }},
		{".help", "", "this", (*replayConsole).help},
	}
}

// console lets somebody evaluate in the worker, which stands between two items. It
// gives errQuit if the replay shall not go on. Other errors end it.
func (r *replayRun) console(until int64) error {
	r.say.progress.Stop()
	c := &replayConsole{replayRun: r, until: until, lines: screen.NewLines(r.app.stdin, r.app.stdout)}
	if err := c.where(""); err != nil {
		return err
	}
	r.app.note("each line is JavaScript for the worker's start compartment; .help lists the commands")
	r.app.note("what is evaluated changes this throw-away worker, process %d, and nothing else: not the vat, not the database", r.session.PID())
	for r.session.Report().Difference == nil {
		line, err := c.lines.Line(fmt.Sprintf("%d> ", r.session.Position()))
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, screen.ErrInterrupted):
			return errQuit
		case err != nil:
			return fmt.Errorf("cannot read from the console: %w", err)
		}
		if err := c.line(strings.TrimSpace(line)); errors.Is(err, errLeave) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// line does what a line says. An error of the person at the console is told and
// is none.
func (c *replayConsole) line(line string) error {
	if line == "" {
		return nil
	}
	if line[0] != '.' {
		return c.evaluate(line)
	}
	name, argument, _ := strings.Cut(line, " ")
	for _, command := range consoleCommands() {
		if command.name == name {
			return c.told(command.run(c, strings.TrimSpace(argument)))
		}
	}
	return c.told(usageError("unknown command %q; .help lists them", name))
}

// told tells errors of usage and goes on.
func (c *replayConsole) told(err error) error {
	var wrong *failure
	if !errors.As(err, &wrong) || wrong.exit != exitUsage {
		return err
	}
	writeFailure(c.app.stderr, wrong)
	return nil
}

func (c *replayConsole) evaluate(code string) error {
	c.evaluating = true
	value, err := c.session.Evaluate(code)
	c.evaluating = false
	if err != nil {
		return err
	}
	c.doc.Console = append(c.doc.Console, evaluated{c.session.Position(), code, value})
	if c.app.json {
		return nil
	}
	p := c.app.palette()
	switch value.Kind {
	case replay.KindError:
		_, err = fmt.Fprintln(c.app.stdout, p.Paint(screen.Red, "error"), escapeLines(value.Text))
	case replay.KindPending:
		_, err = fmt.Fprintln(c.app.stdout, p.Paint(screen.Yellow, "pending"), "its promise is not settled, and nothing is left to do")
	default:
		_, err = fmt.Fprintln(c.app.stdout, escapeLines(value.Text))
	}
	return err
}

func (c *replayConsole) where(string) error {
	vat := vatOf(c.session.Report().VatID, c.session.Report().Name)
	next, ok, err := c.session.Next()
	switch {
	case err != nil:
		return err
	case ok:
		c.app.note("%s stands before position %s: %s", vat, screen.Count(next.Position), screen.Clip(next.Delivery, maxDeliveryColumns))
	default:
		c.app.note("%s stands at the end of its transcript, before position %s", vat, screen.Count(c.session.Position()))
	}
	return nil
}

func (c *replayConsole) runNext(argument string) error {
	n := int64(1)
	if argument != "" {
		var err error
		if n, err = strconv.ParseInt(argument, 10, 64); err != nil || n < 1 {
			return usageError("cannot run %q items: it is a number of at least 1", argument)
		}
	}
	left := c.until - c.session.Position()
	if left <= 0 {
		return usageError("the replay ends here; .continue or .quit leaves")
	}
	if err := c.session.RunTo(c.session.Position() + min(n, left)); err != nil {
		return err
	}
	c.say.progress.Stop()
	if c.session.Report().Difference != nil {
		return nil
	}
	return c.where("")
}

func (c *replayConsole) load(name string) error {
	code, err := os.ReadFile(c.app.path(name))
	if err != nil {
		return usageError("cannot evaluate %q: %v", name, err)
	}
	return c.evaluate(string(code))
}

func (c *replayConsole) snapshot(name string) error {
	if name == "" {
		return usageError(".snapshot needs a file")
	}
	return c.writeHeap(name)
}

func (c *replayConsole) help(string) error {
	table := screen.Table{Columns: []screen.Column{{Title: "COMMAND"}, {Title: ""}}}
	for _, command := range consoleCommands() {
		table.Add(screen.Cell{Text: strings.TrimSpace(command.name + " " + command.argument)}, screen.Cell{Text: command.help})
	}
	return table.Write(c.app.stderr, screen.Palette{On: c.app.colored(c.app.stderr)}, "")
}
