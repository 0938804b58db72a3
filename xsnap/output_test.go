package xsnap

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestForwardLines(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("y", maxLineBytes+5)
	go func() {
		defer w.Close()
		_, _ = w.WriteString("one\n\ntwo\r\n" + long + "\nbad \xff byte\nno newline")
	}()
	var lines []string
	var tail tailBuffer
	forwardLines(r, "stderr", func(stream, line string) { lines = append(lines, stream+" "+line) }, &tail)
	want := []string{
		"stderr one", "stderr ", "stderr two", "stderr " + long[:maxLineBytes], "stderr yyyyy",
		"stderr bad \uFFFD byte", "stderr no newline",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q", lines)
	}
	if got := tail.text(); !strings.HasSuffix(got, "yyyyy\nbad \uFFFD byte\nno newline") {
		t.Errorf("the tail ends with %q", got[len(got)-40:])
	}
}
