package store

import (
	"context"
	"errors"
)

// Audit collects what checks of a database finds. It belongs to one goroutine.
type Audit struct {
	ctx         context.Context
	progress    func(Progress)
	done, total int64
	problems    []Problem
	notes       []Problem
	counts      map[string]int64
}

// NewAudit begins an audit that ends when ctx does. progress may be nil; it is
// called by the goroutine of the audit.
func NewAudit(ctx context.Context, progress func(Progress)) *Audit {
	return &Audit{ctx: ctx, progress: progress, problems: []Problem{}, notes: []Problem{}, counts: map[string]int64{}}
}

// Add notes problems, in the order in which they are found.
func (a *Audit) Add(problems ...Problem) { a.problems = append(a.problems, problems...) }

// Problems gives all that were found; never nil.
func (a *Audit) Problems() []Problem { return a.problems }

// Note notes something that may stay as it is.
func (a *Audit) Note(notes ...Problem) { a.notes = append(a.notes, notes...) }

// Notes gives what was noted; never nil.
func (a *Audit) Notes() []Problem { return a.notes }

// Err gives all problems as one error, nil if there are none.
func (a *Audit) Err() error {
	var found []error
	for _, p := range a.problems {
		found = append(found, errors.New(string(p.Kind)+" "+p.String()))
	}
	return errors.Join(found...)
}

// Count says that n more things of a kind were checked.
func (a *Audit) Count(what string, n int64) { a.counts[what] += n }

// Counted gives how many things of a kind were checked.
func (a *Audit) Counted(what string) int64 { return a.counts[what] }

// Expect says that n more steps are to come.
func (a *Audit) Expect(n int64) { a.total += n }

// Step reports progress before a piece of work that Expect has announced. Its
// error, that of the audit's context, must end the check.
func (a *Audit) Step(what string) error {
	a.Look(what)
	a.done++
	return a.ctx.Err()
}

// Look reports progress before a piece of work that nobody has counted.
func (a *Audit) Look(what string) {
	if a.progress != nil {
		a.progress(Progress{What: what, Done: a.done, Total: max(a.total, a.done)})
	}
}

// Interrupted gives the error of the audit's context.
func (a *Audit) Interrupted() error { return a.ctx.Err() }

// Survive turns damage of the database into a problem of a place, so that the
// next check can go on; other errors come back.
func (a *Audit) Survive(vatID, place string, err error) error {
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) {
		return err
	}
	a.Add(Problem{Kind: KindDatabase, VatID: vatID, Place: place, What: "its rows cannot be read: " + corrupt.Err.Error()})
	return nil
}
