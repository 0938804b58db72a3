package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"vatworkerd/pipeproto"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitPanic  = 3
)

// codeUsage is the error code of wrong input that no other part has coded.
const codeUsage = "usage"

// failure is an error with what the command line adds to it.
type failure struct {
	told pipeproto.Error
	exit int
}

func usageError(format string, args ...any) *failure {
	return &failure{told: pipeproto.Error{Code: codeUsage, Message: fmt.Sprintf(format, args...)}, exit: exitUsage}
}

func (f *failure) hint(format string, args ...any) *failure {
	f.told.Hint = fmt.Sprintf(format, args...)
	return f
}

func (f *failure) at(place string) *failure {
	f.told.Place = place
	return f
}

// Error implements error.
func (f *failure) Error() string { return f.told.Error() }

// failed ends a command whose own output already says what is wrong.
type failed struct{}

func (failed) Error() string { return "the operation failed" }

// failureOf gives any error its exit code.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	f = &failure{told: *pipeproto.ErrorOf(err), exit: exitFailed}
	if f.told.Code == pipeproto.CodePanic {
		f.exit = exitPanic
	}
	return f
}

// report tells the user about err, if it is one, and gives the exit code.
func (a *app) report(err error, args []string) int {
	if err == nil {
		return exitDone
	}
	var silent failed
	if errors.As(err, &silent) {
		return exitFailed
	}
	f := failureOf(err)
	if a.json || wantsJSON(args) {
		a.printJSON(struct {
			Error pipeproto.Error `json:"error"`
		}{f.told})
		return f.exit
	}
	writeFailure(a.stderr, f)
	return f.exit
}

// wantsJSON finds --json where flags could not be parsed.
func wantsJSON(args []string) bool {
	for _, arg := range args {
		if arg == "--" {
			return false
		}
		if arg == "--json" || arg == "--json=true" {
			return true
		}
	}
	return false
}

func writeFailure(w io.Writer, f *failure) {
	fmt.Fprintf(w, "vatworkerd: %s\n", strings.TrimSpace(f.told.Error()))
	if f.told.Hint != "" {
		fmt.Fprintf(w, "hint: %s\n", f.told.Hint)
	}
}

// printJSON prints the one document of a --json command.
func (a *app) printJSON(v any) {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // stdout that is gone has nobody to tell
}
