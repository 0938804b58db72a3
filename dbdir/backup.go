package dbdir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vatworkerd/kernelhost"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// Backup is the result of MakeBackup.
type Backup struct {
	Manifest
	Dir   string // the copy
	From  string // the database
	InUse bool   // a process had the database open
}

// BackupOptions say what MakeBackup copies, and whom it tells.
type BackupOptions struct {
	// Settings are names of further files in the database directory that are copied
	// if they are there.
	Settings []string
	// Progress, if set, is called by the goroutine of MakeBackup, in bytes.
	Progress func(store.Progress)
}

// MakeBackup copies the database directory dir to the directory to, which must be
// empty or not be there yet: both databases as of one instant, and the snapshot
// files they name. The copy is a database directory itself. It changes nothing in
// dir and holds nobody up who uses it. Heap snapshots are read again whole in the
// copy; one that is damaged or lost is a problem in the result, and does not keep
// the rest from being copied. Errors: those of Open, *NotEmptyError, *FileError,
// *store.HeightError, *ChangedError, ctx's error, errors of the disk; then nothing
// is left in to.
func MakeBackup(ctx context.Context, dir, to string, opts BackupOptions) (b Backup, err error) {
	err = unchanged(func() error {
		b, err = backupOnce(ctx, dir, to, opts)
		return err
	})
	return b, err
}

func backupOnce(ctx context.Context, dir, to string, opts BackupOptions) (b Backup, err error) {
	s, err := Open(dir)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.mismatch != nil {
		return b, s.mismatch
	}
	if to, err = filepath.Abs(to); err != nil {
		return b, &FileError{Op: "find", Path: to, Err: err}
	}
	t, err := newTarget(to)
	if err != nil {
		return b, err
	}
	m := &maker{State: s, target: t, ctx: ctx, opts: opts}
	if err := m.run(); err != nil {
		t.discard()
		return b, err
	}
	return Backup{Manifest: m.manifest, Dir: to, From: s.dir, InUse: m.beside}, nil
}

// maker makes one backup.
type maker struct {
	*State
	target   *target
	ctx      context.Context
	opts     BackupOptions
	beside   bool // somebody has the database open
	manifest Manifest

	heaps       []heap
	files       []string // of the heaps and their bases, each once
	done, total int64    // bytes
}

// heap is a snapshot to be copied, for one of the vats that it belongs to.
type heap struct {
	row  snapshots.Row
	lost error // why it cannot be copied
}

func (m *maker) run() (err error) {
	if m.beside, err = m.inUse(); err != nil {
		return err
	}
	for _, step := range []func() error{m.stand, m.findHeaps, m.measure, m.databases, m.settings, m.copyHeaps, m.checkHeaps} {
		if err := step(); err != nil {
			return err
		}
	}
	return m.target.finish(m.manifest)
}

// stand notes what the backup is of: what opening it will show.
func (m *maker) stand() error {
	if m.undone {
		if err := m.vats.Rewind(); err != nil {
			return err
		}
	}
	m.manifest = Manifest{
		Format: manifestFormat, Version: manifestVersion, Made: time.Now().UTC().Truncate(time.Second),
		Height: m.Height(), ActivityHash: m.vats.ActivityHash(), Files: []File{}, Problems: []store.Problem{},
	}
	if !m.vats.Outdated() {
		m.manifest.StateHash = m.vats.StateHash()
	}
	if !m.host.Outdated() {
		m.manifest.HostStateHash = m.host.StateHash()
	}
	return nil
}

// findHeaps lists the snapshots in use, and those before them whose files are kept.
func (m *maker) findHeaps() error {
	rows, err := snapshots.Kept(m.vats, "", snapshots.AllEarlier)
	if err != nil {
		return err
	}
	dir, seen := snapshots.ReadDir(m.snapshotDir()), map[string]bool{}
	for _, row := range rows {
		if seen[row.Hash] {
			continue
		}
		h := heap{row: row}
		paths, err := filesOf(dir, row.Hash)
		var missing *snapshots.MissingError
		switch {
		case errors.As(err, &missing) && !row.InUse:
			continue // nor need it be there
		case errors.As(err, &missing):
			h.lost = err
		case err != nil:
			return err
		}
		m.heaps, seen[row.Hash] = append(m.heaps, h), true
		for _, path := range paths {
			if !seen[path] {
				m.files, seen[path] = append(m.files, path), true
			}
		}
	}
	return nil
}

// filesOf gives the files that loading a snapshot reads, as far as it says which.
func filesOf(dir *snapshots.Dir, hash string) ([]string, error) {
	paths, err := dir.Files(hash)
	var corrupt *snapshots.CorruptError
	if errors.As(err, &corrupt) {
		return []string{corrupt.Path}, nil
	}
	return paths, err
}

// measure adds up what there is to copy, for the progress only.
func (m *maker) measure() error {
	for _, v := range []*store.View{m.host, m.vats} {
		size, err := v.Size()
		if err != nil {
			return err
		}
		m.total += size
	}
	for _, path := range m.files {
		if info, err := os.Stat(path); err == nil {
			m.total += info.Size()
		}
	}
	return nil
}

func (m *maker) tell(what string, bytes int64) {
	m.done += bytes
	if m.opts.Progress != nil {
		m.opts.Progress(store.Progress{What: what, Done: m.done, Total: max(m.done, m.total)})
	}
}

// databases copies both and ends the reading of them at once: a writer's log
// cannot be emptied while it is read.
func (m *maker) databases() error {
	for _, db := range []struct {
		name string
		view *store.View
	}{{supervisor.DatabaseFile, m.vats}, {kernelhost.DatabaseFile, m.host}} {
		if err := m.database(db.name, db.view); err != nil {
			return err
		}
	}
	if err := m.changed(); err != nil {
		return err
	}
	return m.closeViews()
}

func (m *maker) database(name string, view *store.View) error {
	size, err := view.Size()
	if err != nil {
		return err
	}
	path, before := m.target.path(name+unfinished), m.done
	m.target.made = append(m.target.made, path)
	err = view.CopyTo(path, func(done, total int) error {
		m.tell(name, before+size*int64(done)/int64(max(total, 1))-m.done)
		return m.ctx.Err()
	})
	if err != nil {
		return err
	}
	file, err := m.target.sealDatabase(m.ctx, name)
	m.manifest.Files = append(m.manifest.Files, file)
	return err
}

func (m *maker) settings() error {
	for _, name := range m.opts.Settings {
		if err := m.copy(filepath.Join(m.dir, name), name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (m *maker) copy(from, name string) error {
	file, err := m.target.copyFile(m.ctx, from, name, func(bytes int64) { m.tell(name, bytes) })
	if err == nil {
		m.manifest.Files = append(m.manifest.Files, file)
	}
	return err
}

// copyHeaps copies the files of snapshots and of their bases.
func (m *maker) copyHeaps() error {
	if err := m.target.makeDir(supervisor.SnapshotDir); err != nil {
		return err
	}
	for _, path := range m.files {
		err := m.copy(path, filepath.Join(supervisor.SnapshotDir, filepath.Base(path)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a base that is lost is told of by what needs it
			return err
		}
	}
	return nil
}

// checkHeaps reads the copies. What is wrong with them is a problem, as the
// database may be of use without.
func (m *maker) checkHeaps() error {
	dir := snapshots.ReadDir(m.target.path(supervisor.SnapshotDir))
	for _, h := range m.heaps {
		m.tell(h.row.Place(), 0)
		if m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		err := h.lost
		if err == nil {
			_, err = dir.Verify(h.row.Hash)
		}
		var missing *snapshots.MissingError
		var corrupt *snapshots.CorruptError
		var base *snapshots.BaseError
		switch {
		case err == nil:
		case errors.As(err, &missing), errors.As(err, &corrupt), errors.As(err, &base):
			m.manifest.Problems = append(m.manifest.Problems,
				store.Problem{Kind: store.KindSnapshot, VatID: h.row.VatID, Place: h.row.Place(), What: err.Error()})
		default:
			return err
		}
	}
	return nil
}
