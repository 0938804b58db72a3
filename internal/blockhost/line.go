package blockhost

import (
	"fmt"
	"io"
	"strings"

	"vatworkerd/kernelhost"
)

// Kinds of lines.
const (
	KindOpen   = "open"   // the kernel is open; Text is the activity hash
	KindBlock  = "block"  // a block is committed; Text is the activity hash
	KindOutput = "output" // a device's output has left; Text is "DEVICE ID DATA"
)

// Line is one thing a host has told.
type Line struct {
	Kind   string
	Height int64
	Text   string
}

// OutputLine tells of an output that leaves.
func OutputLine(o kernelhost.Output) Line {
	return Line{Kind: KindOutput, Height: o.Height, Text: fmt.Sprintf("%s %d %.40q", o.Device, o.ID, o.Data)}
}

// WriteTo writes the line with one Write.
func (l Line) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, l.String()+"\n")
	return int64(n), err
}

func (l Line) String() string { return fmt.Sprintf("%s %d %s", l.Kind, l.Height, l.Text) }

// Read gives the whole lines of what a host has printed; one that was cut off
// when the host was killed says nothing.
func Read(text string) ([]Line, error) {
	var lines []Line
	for line := range strings.Lines(text) {
		whole, ok := strings.CutSuffix(line, "\n")
		if !ok {
			break
		}
		var l Line
		words := strings.SplitN(whole, " ", 3)
		if len(words) < 3 {
			return nil, fmt.Errorf("cannot read the line %q of a host", whole)
		}
		if _, err := fmt.Sscan(words[1], &l.Height); err != nil {
			return nil, fmt.Errorf("cannot read the line %q of a host: %w", whole, err)
		}
		l.Kind, l.Text = words[0], words[2]
		lines = append(lines, l)
	}
	return lines, nil
}
