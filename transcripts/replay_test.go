package transcripts

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// The script: "entry" gives an item; "replay" replays it with one command per
// input line: "call JSON" or "finish STATUS COMPUTRONS".
func TestReplayReports(t *testing.T) {
	datadriven.Walk(t, "testdata/replay", func(t *testing.T, path string) {
		var entry Entry
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "entry":
				var err error
				entry, err = Decode(strings.ReplaceAll(d.Input, "\n", ""))
				if err != nil {
					return err.Error()
				}
				return entry.Encode()
			case "replay":
				return replayScript(t, entry, d.Input)
			}
			return "unknown command " + d.Cmd
		})
	})
}

func replayScript(t *testing.T, entry Entry, script string) string {
	r := NewReplayer("v7", 41, entry)
	var b strings.Builder
	for line := range strings.Lines(script) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		var err error
		switch word {
		case "call":
			var answer json.RawMessage
			answer, err = r.Syscall(json.RawMessage(rest))
			b.WriteString("answer: " + string(answer) + "\n")
		case "finish":
			status, figure, _ := strings.Cut(rest, " ")
			var computrons *int64
			if figure != "" {
				n, parseErr := strconv.ParseInt(figure, 10, 64)
				must(t, parseErr)
				computrons = &n
			}
			err = r.Finish(status, computrons)
		}
		var diverged *AnachrophobiaError
		if errors.As(err, &diverged) {
			b.WriteString(diverged.Error() + "\n" + diverged.Report())
		} else if err != nil {
			b.WriteString("unexpected: " + err.Error() + "\n")
		} else {
			b.WriteString(word + ": fine\n")
		}
	}
	return b.String()
}
