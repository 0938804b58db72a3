package transcripts

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

// The script: "compare" compares the two items of its input, a line each;
// "replay" replays the item of its first line, with the syscalls of the others
// and the outcome that was recorded.
func TestDifferences(t *testing.T) {
	datadriven.RunTest(t, "testdata/differences", func(t *testing.T, d *datadriven.TestData) string {
		lines := strings.Split(d.Input, "\n")
		switch d.Cmd {
		case "compare":
			found := Compare(41, lines[0], lines[1])
			if found == nil {
				return "the same"
			}
			return toldOf(*found)
		case "replay":
			entry, err := Decode(lines[0])
			must(t, err)
			return replayedDifference(entry, lines[1:])
		}
		return "unknown command " + d.Cmd
	})
}

func replayedDifference(entry Entry, calls []string) string {
	r := NewReplayer("v7", 41, entry)
	var err error
	for _, call := range calls {
		if _, err = r.Syscall(json.RawMessage(call)); err != nil {
			break
		}
	}
	if err == nil {
		err = r.Finish(entry.Result.Status, entry.Result.Computrons)
	}
	var diverged *AnachrophobiaError
	if errors.As(err, &diverged) {
		return toldOf(diverged.Difference(entry))
	}
	return fmt.Sprint(err)
}

func toldOf(d Difference) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %s\n%s: %s\n", d.Position, d.Kind, d.Delivery, d.Place, d.What)
	for _, c := range d.Syscalls {
		fmt.Fprintf(&b, "sc%d %s %s\n", c.Index, c.Status, c.Call)
	}
	fmt.Fprintf(&b, "expected %s\ngot      %s\n%s^\n", d.Expected, d.Got, strings.Repeat(" ", len("expected ")+d.At))
	return b.String()
}

// Compare finds nothing between a text and itself, and else says something that
// is the same seen from the other side.
func TestCompareBothWays(t *testing.T) {
	item := rapid.SampledFrom([]string{
		``, `{`, `{"d":["message"],"sc":[],"r":{"status":"ok"}}`, `{"d":["message",{"a":1,"b":2}],"sc":[],"r":{"status":"ok"}}`,
		`{"d":["message",{"b":2,"a":1}],"sc":[],"r":{"status":"ok"}}`, `{"d":["message"],"sc":[{"s":["x"],"r":["ok"]}],"r":{"status":"ok"}}`,
		`{"d":["message"],"sc":[{"s":["x"],"r":["no"]}],"r":{"status":"ok"}}`, `{"d":["message"],"sc":[{"s":["é\ud800"],"r":["ok"]}],"r":{"status":"ok"}}`,
		`{"d":["message"],"sc":[],"r":{"status":"error"}}`, `{"d":["message"],"sc":[],"r":{"status":"ok","metering":{"computrons":7}}}`,
		`{"d":["save-snapshot"],"sc":[],"r":{"status":"ok","snapshotID":"77"}}`, `{"d":["save-snapshot"],"sc":[],"r":{"status":"ok","snapshotID":"78"}}`,
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := item.Draw(t, "a"), item.Draw(t, "b")
		one, other := Compare(3, a, b), Compare(3, b, a)
		if (one == nil) != (a == b) || (other == nil) != (a == b) {
			t.Fatalf("%q, %q: %v, %v", a, b, one, other)
		}
		if one == nil {
			return
		}
		if one.Place != other.Place || one.Expected != other.Got || one.Got != other.Expected || one.At != other.At || one.Expected == one.Got {
			t.Errorf("%q, %q:\n%+v\n%+v", a, b, one, other)
		}
	})
}
