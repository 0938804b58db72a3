package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"vatworkerd/dbdir"
	"vatworkerd/internal/staging"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
	"vatworkerd/replay"
	"vatworkerd/store"
	"vatworkerd/swingexport"
	"vatworkerd/swingstore"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitPanic  = 3
	// exitInterrupted is what shells give a command that SIGINT ended.
	exitInterrupted = 130
)

// Error codes besides those of pipeproto.
const (
	codeUsage       = "usage" // wrong input that no other part has coded
	codeInterrupted = "interrupted"
)

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

// failed ends a command where the user is told elsewhere what is wrong.
type failed struct{ exit int }

func (failed) Error() string { return "the operation failed" }

// forwarded ends a command that another process has run, and told of.
type forwarded struct{ exit int }

func (forwarded) Error() string { return "the command was run elsewhere" }

// failureOf gives any error its exit code.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	f = &failure{told: *pipeproto.ErrorOf(err), exit: exitFailed}
	f.told.Message = saidOnce(f.told.Message)
	var interrupted *kernelhost.InterruptedError
	var locked *store.LockedError
	switch {
	case errors.As(err, &interrupted), errors.Is(err, context.Canceled):
		f.told = pipeproto.Error{Code: codeInterrupted, Message: "interrupted; the state is as of the last committed block"}
		f.exit = exitInterrupted
	case kernelhost.IsPanic(err):
		f.told.Code, f.exit = pipeproto.CodePanic, exitPanic
	case errors.As(err, &locked):
		f.told.Hint = besideHint
	case isWrongInput(err):
		f.exit = exitUsage
	case isVatsOwn(err):
		f.told.Code = pipeproto.CodeVatFault
	}
	return f.fromConfig(err)
}

// saidOnce drops the lines of an error that end one before them: a disk that fails
// also fails what tidies up after it, and each tells the same. Indented lines are
// a report, and stay.
func saidOnce(text string) string {
	var kept []string
	for line := range strings.SplitSeq(text, "\n") {
		again := func(before string) bool { return strings.HasSuffix(before, line) }
		if line == "" || line[0] == ' ' || line[0] == '\t' || !slices.ContainsFunc(kept, again) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// fromConfig keeps apart what an error of the config says in one line.
func (f *failure) fromConfig(err error) *failure {
	var bad *config.Error
	if errors.As(err, &bad) {
		f.told.Place, f.told.Message, f.told.Hint = bad.Where(), bad.Problem, bad.Hint
	}
	return f
}

// isWrongInput tells errors about what the user gave from failed operations.
func isWrongInput(err error) bool {
	var unknown *kernelhost.UnknownVatError
	var bad *config.Error
	var mismatch *kernelhost.ConfigMismatchError
	var noStore *swingstore.NotSwingStoreError
	var noVat *swingstore.NoVatError
	var notReplayed *replay.NoVatError
	var notEmpty *dbdir.NotEmptyError
	var unfinished *dbdir.UnfinishedError
	var noBackup *dbdir.NoBackupError
	var noPlace *staging.NotEmptyError
	var noExport *swingexport.NotExportError
	var badExport *swingexport.BadError
	var notOurs *dbdir.NotOursError
	var ours *dbdir.OursError
	var unsound *dbdir.UnsoundError
	var unfit *dbdir.UnfitError
	var damaged *dbdir.DamagedError
	var foreign *kernelhost.AdoptError
	return errors.As(err, &unknown) || errors.As(err, &bad) || errors.As(err, &mismatch) ||
		errors.As(err, &noStore) || errors.As(err, &noVat) || errors.As(err, &notReplayed) ||
		errors.As(err, &notEmpty) || errors.As(err, &unfinished) || errors.As(err, &noBackup) ||
		errors.As(err, &noPlace) || errors.As(err, &noExport) || errors.As(err, &badExport) ||
		errors.As(err, &notOurs) || errors.As(err, &ours) || errors.As(err, &unsound) ||
		errors.As(err, &unfit) || errors.As(err, &damaged) || errors.As(err, &foreign)
}

// isVatsOwn tells errors of a config's vats: one did not start, or bootstrap
// was rejected.
func isVatsOwn(err error) bool {
	var start *kernelhost.VatStartError
	var boot *kernelhost.BootstrapError
	return errors.As(err, &start) || errors.As(err, &boot)
}

// report tells the user about err, if it is one, and gives the exit code.
func (a *app) report(err error, args []string) int {
	if err == nil {
		return exitDone
	}
	var done forwarded
	if errors.As(err, &done) {
		return done.exit
	}
	var silent failed
	if errors.As(err, &silent) {
		return max(silent.exit, exitFailed)
	}
	f := failureOf(err)
	if a.json || wantsJSON(args) {
		_ = a.document(errorDoc{f.told}) // a stdout that is gone has nobody to tell
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

// writeFailure writes one line, or where a report belongs to the error some
// more, indented. Parts of it come from vats.
func writeFailure(w io.Writer, f *failure) {
	text := escapeLines(f.told.Error())
	fmt.Fprintf(w, "vatworkerd: %s\n", strings.ReplaceAll(text, "\n", "\n  "))
	if f.told.Hint != "" {
		fmt.Fprintf(w, "hint: %s\n", escapeLines(f.told.Hint))
	}
}
