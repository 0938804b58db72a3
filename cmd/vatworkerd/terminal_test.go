package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// terminal is a program on a real terminal device whose other end is a terminal
// emulator: what is on its screen is what a person would see.
type terminal struct {
	t      testing.TB
	cmd    *exec.Cmd
	master *os.File
	copied sync.WaitGroup

	mu       sync.Mutex // guards the rest, but for what the emulator answers
	emulator *vt.Emulator
	raw      []byte // all that the program has written
}

// onScreen starts the program on a terminal of a size.
func (r *rig) onScreen(width, height int, env []string, args ...string) *terminal {
	r.t.Helper()
	t := &terminal{t: r.t, cmd: r.command(args...), emulator: vt.NewEmulator(width, height)}
	t.cmd.Env = append(t.cmd.Env, append([]string{"TERM=xterm-256color"}, env...)...)
	var err error
	if t.master, err = pty.StartWithSize(t.cmd, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		r.t.Fatal(err)
	}
	t.copied.Go(func() { _, _ = io.Copy(t, t.master) }) // ends with EIO when the program does
	t.copied.Go(func() { _, _ = io.Copy(t.master, t.emulator) })
	r.t.Cleanup(func() { t.close() })
	return t
}

// Write implements io.Writer: what the program writes.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raw = append(t.raw, p...)
	return t.emulator.Write(p)
}

func (t *terminal) close() {
	_ = t.cmd.Process.Kill()
	_ = t.cmd.Wait()
	_ = t.master.Close()
	_ = t.emulator.InputPipe().(io.Closer).Close()
	t.copied.Wait()
}

// screen is the text on the screen.
func (t *terminal) screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.emulator.String()
}

// isPlain tells whether the screen is a shell's, with a cursor.
func (t *terminal) isPlain() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.emulator.IsAltScreen() && !t.emulator.CursorHidden()
}

func (t *terminal) written() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.raw)
}

// shows waits until the screen has all of these texts.
func (t *terminal) shows(texts ...string) {
	t.t.Helper()
	eventually(t.t, strings.Join(texts, ", ")+" on the screen", func() bool {
		screen := t.screen()
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// press sends what keys send.
func (t *terminal) press(keys string) {
	t.t.Helper()
	if _, err := t.master.WriteString(keys); err != nil {
		t.t.Fatal(err)
	}
}

func (t *terminal) resize(width, height int) {
	t.t.Helper()
	t.mu.Lock()
	t.emulator.Resize(width, height)
	t.mu.Unlock()
	if err := pty.Setsize(t.master, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		t.t.Fatal(err)
	}
}

// ends waits for the end of the program and gives its exit code.
func (t *terminal) ends() int {
	t.t.Helper()
	ended := make(chan struct{})
	go func() {
		_ = t.cmd.Wait()
		close(ended)
	}()
	eventually(t.t, "end of the program on the terminal: "+t.screen(), func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	return t.cmd.ProcessState.ExitCode()
}
