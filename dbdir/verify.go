package dbdir

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/transcripts"
)

// Verification is the result of Verify.
type Verification struct {
	Dir          string `json:"db"`
	Height       int64  `json:"height"`
	ActivityHash string `json:"activityHash"`
	// StateHash and HostStateHash are the hashes of all keys and values of the two
	// databases, as they are kept.
	StateHash     string `json:"stateHash"`
	HostStateHash string `json:"hostStateHash"`
	InUse         bool   `json:"inUse"` // a process has the databases open
	// Checked says what was checked, always the same things in the same order.
	Checked []Checked `json:"checked"`
	// Problems are in the order in which they were found, which is always the same.
	Problems []store.Problem `json:"problems"`
	// Notes tell of what may stay as it is.
	Notes []store.Problem `json:"notes"`
}

// Checked is how many things of a kind were checked.
type Checked struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
}

// OK tells whether all is as it must be.
func (v Verification) OK() bool { return len(v.Problems) == 0 }

const countBundles = "bundles"

// counted lists what a verification counts.
func counted() []string {
	return []string{
		store.CountFiles, store.CountKeys, store.CountUndo, supervisor.CountVats, supervisor.CountItems, supervisor.CountCleanups,
		transcripts.CountSpans, transcripts.CountPruned, transcripts.CountItems,
		supervisor.CountSnapshots, supervisor.CountFiles, countBundles,
		kernelhost.CountEntries, kernelhost.CountObjects, kernelhost.CountPromises, kernelhost.CountOutputs,
	}
}

// Verify checks the database directory dir: both files, every hash and record in
// them, the snapshot files, and that the two sides agree. It reads one state and
// changes nothing, whoever uses the directory meanwhile. A problem does not stop
// it. progress may be nil; it is called by this goroutine. Errors: those of Open,
// *store.OutdatedError, *ChangedError, ctx's error, errors of the disk. What was found
// until then comes with them.
func Verify(ctx context.Context, dir string, progress func(store.Progress)) (v Verification, err error) {
	err = unchanged(func() error {
		v, err = verifyOnce(ctx, dir, progress)
		return err
	})
	return v, err
}

func verifyOnce(ctx context.Context, dir string, progress func(store.Progress)) (result Verification, err error) {
	s, err := Open(dir)
	if err != nil {
		return Verification{Dir: dir}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.host.Outdated() || s.vats.Outdated() {
		return Verification{Dir: s.dir}, &store.OutdatedError{Dir: s.dir}
	}
	inUse, err := s.inUse()
	if err != nil {
		return Verification{Dir: s.dir}, err
	}
	v := &verifier{Audit: store.NewAudit(ctx, progress), State: s, inUse: inUse}
	err = v.run()
	if changed := s.changed(); changed != nil {
		err = changed
	}
	return v.verification(), err
}

type verifier struct {
	*store.Audit
	*State
	inUse bool
}

func (v *verifier) verification() Verification {
	result := Verification{
		Dir: v.dir, Height: v.Height(), ActivityHash: v.vats.ActivityHash(),
		StateHash: v.vats.StateHash(), HostStateHash: v.host.StateHash(), InUse: v.inUse,
		Problems: v.Problems(), Notes: v.Notes(),
	}
	for _, what := range counted() {
		result.Checked = append(result.Checked, Checked{what, v.Counted(what)})
	}
	return result
}

func (v *verifier) run() error {
	v.expect()
	return v.checks(append(v.ofTables(),
		func() error { return supervisor.AuditFiles(v.Audit, v.vats, snapshots.ReadDir(v.snapshotDir())) },
		v.leftOver))
}

// ofTables are the checks that read the databases alone.
func (v *verifier) ofTables() []func() error {
	return []func() error{
		func() error { return store.CheckFile(v.Audit, v.vats, supervisor.DatabaseFile, true) },
		func() error { return store.CheckFile(v.Audit, v.host, kernelhost.DatabaseFile, false) },
		v.align,
		func() error { return supervisor.Audit(v.Audit, v.vats) },
		v.bundles,
		v.hostTables,
	}
}

func (v *verifier) checks(all []func() error) error {
	for _, check := range all {
		if err := v.Survive("", v.dir, check()); err != nil {
			return err
		}
	}
	return nil
}

// expect counts the steps, for the progress only.
func (v *verifier) expect() {
	const others = 3 // two files, the host's tables
	row, _, err := v.vats.QueryRow(`SELECT (SELECT count(*) FROM transcriptSpans) + (SELECT count(*) FROM bundles) +
		(SELECT count(DISTINCT hash) FROM snapshots WHERE inUse = 1)`)
	if err == nil {
		v.Expect(others + row.Int64(0))
	}
}

// align makes the view of vatworkerd's database show what the next opening will
// make of it.
func (v *verifier) align() error {
	if v.mismatch != nil {
		v.Add(store.Problem{Kind: kernelhost.KindPair, Place: v.dir, What: v.mismatch.Error()})
		return nil
	}
	if !v.undone {
		return nil
	}
	height, _ := v.vats.Prepared()
	v.Note(store.Problem{Kind: store.KindBlock, Place: supervisor.DatabaseFile + " prepared",
		What: fmt.Sprintf("block %d is prepared and the host has not committed it: what was before it is checked", height)})
	if err := v.vats.Rewind(); err != nil {
		return err
	}
	return store.CheckSum(v.Audit, v.vats, supervisor.DatabaseFile)
}

var bundleHash = regexp.MustCompile(`^b1-[0-9a-f]{128}$`)

// bundles checks the content of every bundle whose ID is a hash.
func (v *verifier) bundles() error {
	rows, err := v.vats.Query("SELECT id FROM bundles ORDER BY id")
	if err != nil {
		return err
	}
	for _, row := range rows {
		id := row.Text(0)
		if err := v.Step("bundle." + id); err != nil {
			return err
		}
		if err := v.Survive("", "bundle."+id, v.bundle(id)); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) bundle(id string) error {
	v.Count(countBundles, 1)
	row, ok, err := v.vats.QueryRow("SELECT data FROM bundles WHERE id = ?", id)
	if err != nil || !ok || !bundleHash.MatchString(id) {
		return err
	}
	problem := store.Problem{Kind: store.KindBundle, Place: "bundle." + id}
	stored, now, err := store.BundleSums(v.vats, id, row.Blob(0))
	if err != nil {
		return err
	}
	got, err := config.CheckBundle(row.Blob(0))
	switch {
	case err != nil:
		problem.What = err.Error()
	case got != id:
		problem.What, problem.Expected, problem.Got = "its ID is not that of its content", id, got
	case now != stored:
		problem.What, problem.Expected, problem.Got = "its sha256", stored, now
	default:
		return nil
	}
	v.Add(problem)
	return nil
}

// hostTables compares the host's tables with vatworkerd's, as far as the two
// belong together.
func (v *verifier) hostTables() error {
	var daemon kernelhost.Daemon
	if v.mismatch == nil {
		facts, err := supervisor.ReadFacts(v.vats)
		if err != nil {
			return err
		}
		daemon = v.daemon(facts)
	}
	return kernelhost.Audit(v.Audit, v.host, daemon)
}

func (v *verifier) daemon(facts supervisor.Facts) kernelhost.Daemon {
	vats := map[string]kernelhost.DaemonVat{}
	for _, f := range facts.Vats {
		vats[f.VatID] = kernelhost.DaemonVat{AdminKey: f.AdminKey, State: f.State, Incarnation: f.Incarnation, Terminated: f.Terminated}
	}
	return kernelhost.Daemon{
		StoreID: facts.StoreID, Epoch: facts.Epoch, Vats: vats,
		HasBundle: func(id string) (bool, error) {
			_, ok, err := v.vats.QueryRow("SELECT 1 FROM bundles WHERE id = ?", id)
			return ok, err
		},
		EachItem: func(visit func(kernelhost.DaemonItem) error) error {
			return supervisor.EachItem(v.vats, func(place string, item pipeproto.Item) error {
				return visit(kernelhost.DaemonItem{Place: place, Item: item})
			})
		},
	}
}

// leftOver notes files that the next opening removes. While somebody uses the
// directory there may be files of blocks that are not committed yet.
func (v *verifier) leftOver() error {
	if v.inUse {
		return nil
	}
	named, err := snapshots.KeptHashes(v.vats, snapshots.AllEarlier)
	if err != nil {
		return err
	}
	orphans, err := snapshots.ReadDir(v.snapshotDir()).Orphans(func(hash string) bool { return named[hash] })
	for _, name := range orphans {
		v.Note(store.Problem{Kind: store.KindSnapshot, Place: filepath.Join(supervisor.SnapshotDir, name), What: "nothing needs this file: the next opening removes it"})
	}
	return err
}
