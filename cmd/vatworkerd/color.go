package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// colored tells whether to colour what goes to w.
func (a *app) colored(w io.Writer) bool {
	switch a.color {
	case "always":
		return true
	case "never":
		return false
	}
	if s, ok := w.(*stream); ok {
		return s.as.Color
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
}

// checkColor refuses a --color that means nothing.
func (a *app) checkColor() error {
	switch a.color {
	case "auto", "always", "never":
		return nil
	}
	return usageError("cannot use --color %q: it is auto, always or never", a.color)
}

func isTerminal(w any) bool {
	if s, ok := w.(*stream); ok {
		return s.as.Terminal
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
