package workerlogs

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"vatworkerd/internal/jsonline"
)

// Sources of entries: the parts of a worker, and vatworkerd itself.
const (
	SourceVat       = "vat"   // the vat's console
	SourceLiveslots = "ls"    // liveslots' console
	SourceXsnap     = "xsnap" // the console of the worker's supervisor bundle
	SourceStdout    = "stdout"
	SourceStderr    = "stderr"
	SourceOwn       = "vatworkerd" // about the worker, or about what is missing here
)

// Sources gives all sources.
func Sources() []string {
	return []string{SourceVat, SourceLiveslots, SourceXsnap, SourceStdout, SourceStderr, SourceOwn}
}

// Levels gives the levels of a console, from the least.
func Levels() []string { return []string{"debug", "log", "info", "warn", "error"} }

// Rank gives how severe a level is; one that is unknown ranks as "log".
func Rank(level string) int {
	if i := slices.Index(Levels(), level); i >= 0 {
		return i
	}
	return slices.Index(Levels(), "log")
}

// maxTextBytes bounds the text of an entry. In a line of the file each byte of
// it takes six at most.
const maxTextBytes = 16 << 10

// maxNameBytes bounds the other strings.
const maxNameBytes = 256

// Entry is one thing that was said.
type Entry struct {
	Time        time.Time `json:"time"`
	VatID       string    `json:"vatID"`
	Name        string    `json:"name"` // of the vat
	Incarnation int64     `json:"incarnation"`
	Position    int64     `json:"position"` // of the delivery, in the vat's transcript
	Source      string    `json:"source"`
	Level       string    `json:"level"`
	Replay      bool      `json:"replay,omitempty"` // said again while the transcript was replayed
	Text        string    `json:"text"`
	// Bytes is the length of what Text is the begin of, 0 if that is all.
	Bytes int64 `json:"bytes,omitempty"`
}

// bound cuts what is too long.
func (e *Entry) bound() {
	if len(e.Text) > maxTextBytes {
		e.Bytes = int64(len(e.Text))
		e.Text = cut(e.Text, maxTextBytes)
	}
	for _, s := range []*string{&e.VatID, &e.Name, &e.Source, &e.Level} {
		*s = cut(*s, maxNameBytes)
	}
}

// cut shortens s to at most n bytes, at the begin of a character. The result
// does not keep the memory of a long s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

// appendLine appends the entry as a line. Times have microseconds.
func appendLine(line []byte, e Entry) ([]byte, error) {
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	return jsonline.Append(line, e)
}

// parseLine reads a line without its end. What is no entry (a line that was torn
// by a crash, or half of one that was not) is not ok.
func parseLine(line []byte) (e Entry, ok bool) {
	if len(line) == 0 || line[0] != '{' {
		return Entry{}, false
	}
	if err := json.Unmarshal(line, &e); err != nil || e.Time.IsZero() || e.VatID == "" {
		return Entry{}, false
	}
	return e, true
}
