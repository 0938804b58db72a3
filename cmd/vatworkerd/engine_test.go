package main

import (
	"slices"
	"testing"
)

// Where tools/stage.sh puts it; `make dist-check` runs a release from there.
func TestInstalledProgramLooksAroundItself(t *testing.T) {
	for program, want := range map[string][]string{
		"/usr/local/bin/vatworkerd": {"/usr/local", "/usr/local/lib/vatworkerd"},
		"/clone/bin/vatworkerd":     {"/clone", "/clone/lib/vatworkerd"},
	} {
		if got := homesAround(program); !slices.Equal(got, want) {
			t.Errorf("%s: %q", program, got)
		}
	}
}
