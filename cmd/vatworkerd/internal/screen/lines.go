package screen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrInterrupted says that somebody pressed Ctrl-C in place of a line.
var ErrInterrupted = errors.New("interrupted")

// Lines reads lines that somebody types, or that a script has. It belongs to one
// goroutine.
type Lines interface {
	// Line gives the next line without its end. Errors: io.EOF at the end,
	// ErrInterrupted, that of the read.
	Line(prompt string) (string, error)
}

// NewLines reads from in: with a prompt, editing and a history where in and out
// are a terminal, else what comes.
func NewLines(in io.Reader, out io.Writer) Lines {
	from, isFile := in.(*os.File)
	to, isToFile := out.(*os.File)
	if isFile && isToFile && term.IsTerminal(int(from.Fd())) && term.IsTerminal(int(to.Fd())) {
		keys := &keyboard{in: from}
		return &typed{keys: keys, out: to, fd: int(from.Fd()), terminal: term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{keys, to}, "")}
	}
	return &scripted{bufio.NewReader(in)}
}

type scripted struct{ in *bufio.Reader }

func (s *scripted) Line(string) (string, error) {
	line, err := s.in.ReadString('\n')
	if err == io.EOF && line != "" {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

// typed has the terminal in its raw mode only while it waits for a line, so that
// otherwise Ctrl-C is a signal and lines end as usual.
type typed struct {
	keys     *keyboard
	out      io.Writer
	fd       int
	terminal *term.Terminal
}

func (t *typed) Line(prompt string) (line string, err error) {
	before, err := term.MakeRaw(t.fd)
	if err != nil {
		return "", fmt.Errorf("cannot prepare the terminal: %w", err)
	}
	defer func() {
		if restored := term.Restore(t.fd, before); err == nil && restored != nil {
			err = fmt.Errorf("cannot put the terminal back: %w", restored)
		}
	}()
	if width, height, err := term.GetSize(t.fd); err == nil && width > 0 && height > 0 {
		_ = t.terminal.SetSize(width, height) // it only wraps lines otherwise
	}
	t.terminal.SetPrompt(prompt)
	line, err = t.terminal.ReadLine()
	if err == io.EOF {
		_, _ = io.WriteString(t.out, "\r\n") // what follows begins a line
		if t.keys.interrupted {
			return "", ErrInterrupted
		}
	}
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

// keyboard tells Ctrl-C from Ctrl-D, which the terminal does not.
type keyboard struct {
	in          io.Reader
	interrupted bool
}

const controlC = 3

func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.in.Read(p)
	k.interrupted = k.interrupted || bytes.IndexByte(p[:n], controlC) >= 0
	return n, err
}
