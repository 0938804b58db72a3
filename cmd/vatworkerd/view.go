package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/control"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// besideHint says what can be done with vats that somebody else has; foreignHint,
// where that is another kernel host: diff, verify and backup need its side too.
const (
	lookHint    = "while it runs, status, top, vat list, vat show, vat pin and unpin, spans, snapshot list, snapshot verify, replay, logs"
	besideHint  = lookHint + ", frames, diff, verify and backup work beside it"
	foreignHint = lookHint + " and frames work beside it; all else is for it to do"
)

// viewer is what commands ask that look, or change what is local: an open kernel, or the daemon of a
// database that somebody holds. Methods are those of kernelhost.Kernel.
type viewer interface {
	Status(ctx context.Context, after string, limit int) (kernelhost.Status, error)
	Vat(ctx context.Context, vat string) (pipeproto.VatStatus, error)
	Spans(ctx context.Context, vat string) ([]pipeproto.SpanInfo, error)
	SnapshotList(ctx context.Context, vat string) ([]pipeproto.SnapshotInfo, error)
	SnapshotVerify(ctx context.Context, vat string) ([]pipeproto.SnapshotCheck, error)
	Pin(ctx context.Context, vat string, pinned bool) (pipeproto.VatStatus, error)
}

// The control sockets in a database's directory.
const (
	vatsSocket = supervisor.ControlFile
	hostSocket = "host.sock"
)

// A process that has just begun, or ended, to hold a database cannot answer for
// a moment. There is nothing to wait on.
const (
	viewPatience = 5 * time.Second
	viewEvery    = 20 * time.Millisecond
)

// withView lets f look at the vats of --db: through the daemon that holds the
// database, if there is one, else by opening it. f prints nothing before it has
// all it wants to see.
func (a *app) withView(ctx context.Context, f func(*session) error) error {
	return a.withAccess(ctx, pipeproto.AccessRead, f)
}

// withAccess is withView, for who may do so much.
func (a *app) withAccess(ctx context.Context, access string, f func(*session) error) error {
	if a.stay != nil {
		return a.stay.use(ctx, a, f)
	}
	if err := a.needVats(); err != nil {
		return err
	}
	if err := a.checkFlags(); err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	for deadline := time.Now().Add(viewPatience); ; time.Sleep(viewEvery) {
		err := a.viewOnce(ctx, access, f)
		if err == nil || !isPassing(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (a *app) viewOnce(ctx context.Context, access string, f func(*session) error) error {
	client, err := control.Dial(ctx, filepath.Join(a.db, vatsSocket), access)
	var nobody *control.NobodyError
	if errors.As(err, &nobody) {
		return a.viewAlone(ctx, f)
	}
	if err != nil {
		return err
	}
	defer client.Close()
	say := a.briefNarrator()
	defer say.progress.Stop()
	daemon := &daemonView{app: a, client: client, progress: say.progress}
	return f(&session{app: a, ctx: ctx, see: daemon, daemon: daemon, narrator: say})
}

// errReopening says that the process which stays with a database has no daemon
// at the moment.
var errReopening = pipeproto.Errorf(pipeproto.CodeBusy, "the process that stays with this database is opening it again; try again in a moment")

// viewAlone looks at a database that nobody holds.
func (a *app) viewAlone(ctx context.Context, f func(*session) error) error {
	if a.isForeign() {
		return a.foreignError()
	}
	client, err := control.Dial(ctx, filepath.Join(a.db, hostSocket), pipeproto.AccessRead)
	if err == nil {
		return errors.Join(errReopening, client.Close())
	}
	return a.openKernel(ctx, a.db, a.briefNarrator(), f)
}

// isPassing tells errors that another try may not meet again.
func isPassing(err error) bool {
	var locked *store.LockedError
	var closed *pipeproto.ClosedError
	return errors.As(err, &locked) || errors.As(err, &closed) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, errReopening)
}

// needVats refuses a --db that holds no vats, be they another kernel host's.
func (a *app) needVats() error {
	if a.isForeign() {
		return nil
	}
	return a.needDatabase()
}

// isForeign tells whether the vats in --db belong to a kernel host that keeps
// its own state elsewhere.
func (a *app) isForeign() bool {
	if a.db == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(a.db, kernelhost.DatabaseFile))
	_, vatsErr := os.Stat(filepath.Join(a.db, supervisor.DatabaseFile))
	return errors.Is(err, os.ErrNotExist) && vatsErr == nil
}

// foreignError refuses what only the vats' own kernel host can do.
func (a *app) foreignError() error {
	who := "which is not running"
	if pid, err := store.Holder(filepath.Join(a.db, supervisor.DatabaseFile)); err == nil && pid != 0 {
		who = fmt.Sprintf("whose vatworkerd is process %d", pid)
	}
	f := &failure{exit: exitFailed}
	f.told = *pipeproto.Errorf(pipeproto.CodeRefused, "the vats in %s belong to another kernel host, %s", screen.Escape(a.db), who)
	return f.hint(foreignHint)
}
