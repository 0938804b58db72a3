package main

import (
	"errors"
	"fmt"
	"testing"

	"vatworkerd/pipeproto"
)

// An error that several steps have met is told once; reports keep their lines.
func TestFailuresAreSaidOnce(t *testing.T) {
	disk := errors.New("database db is damaged: x")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"one":       {disk, "database db is damaged: x"},
		"again":     {errors.Join(fmt.Errorf("cannot read: %w", disk), disk, errors.New("other"), disk), "cannot read: database db is damaged: x\nother"},
		"a report":  {errors.New("Error: x\n  at f\n  at f\n\n\n"), "Error: x\n  at f\n  at f\n\n\n"},
		"over pipe": {pipeproto.Errorf(pipeproto.CodeIO, "a: b\nb"), "a: b"},
	} {
		if got := failureOf(c.err).told.Message; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
