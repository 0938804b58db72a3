package config

import (
	"fmt"
	"strings"
)

// Error says what is wrong with a config or with a file that it names. It is
// the user's to mend.
type Error struct {
	File    string // as the user named it
	Line    int    // from 1; 0 = no line in particular
	Place   string // the keys that lead there: vats.alice.creationOptions; "" = the file itself
	Problem string
	Hint    string // what to do, "" where that is plain
}

// Error gives all of it in one line.
func (e *Error) Error() string {
	text := e.Where() + ": " + e.Problem
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return strings.ReplaceAll(text, "\n", " ")
}

// Where gives file, line and place, as in "config.json:12: vats.alice".
func (e *Error) Where() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Place != "" {
		where += ": " + e.Place
	}
	return where
}

// ErrorCode is pipeproto.CodeBadRequest, which this package does not import.
func (e *Error) ErrorCode() string { return "bad-request" }
