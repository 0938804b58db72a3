package snapshots

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/snapshots/internal/delta"
)

var errWriterOver = errors.New("cannot write a snapshot: it was committed or aborted")

// Writer takes the uncompressed bytes of one snapshot. It belongs to one
// goroutine and ends with Commit or Abort.
type Writer struct {
	dir    *Dir
	file   *countedFile
	base   string // hash of the base; empty for a file that needs none
	isBase bool   // it writes the file of a base
	enc    *zstd.Encoder
	delta  *delta.Encoder // writes to enc; nil without a base
	hash   hash.Hash
	size   int64
	err    error // sticky
	ended  bool
}

// countedFile counts what the encoder writes.
type countedFile struct {
	File
	size int64
}

func (f *countedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.size += int64(n)
	return n, err
}

// Create begins a snapshot in a temporary file: as a delta against the base that
// KeepBase has made known, or, for "", as a file that needs no other. Errors:
// *BaseError, *NoSpaceError, *IOError.
func (d *Dir) Create(base string) (*Writer, error) {
	w, err := d.newWriter(base)
	if err != nil || base == "" {
		return w, err
	}
	if err := w.beginDelta(); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

func (d *Dir) newWriter(base string) (*Writer, error) {
	enc, err := d.coders.takeEncoder()
	if err != nil {
		return nil, err
	}
	file, err := d.createTemp()
	if err != nil {
		d.coders.giveEncoder(enc)
		return nil, d.diskError("create", filepath.Join(d.path, tempPrefix+"*"), err)
	}
	crashpoint.Here(crashpoint.SnapshotCreated)
	w := &Writer{dir: d, file: &countedFile{File: file}, base: base, enc: enc, hash: sha256.New()}
	enc.Reset(w.file)
	return w, nil
}

// beginDelta leaves room for the header, of which only the base is known.
func (w *Writer) beginDelta() error {
	base, err := w.dir.base(w.base)
	if err != nil {
		return err
	}
	w.delta = delta.NewEncoder(w.enc, base)
	if _, err := w.file.Write(make([]byte, headerBytes)); err != nil {
		return w.dir.diskError("write", w.file.Name(), err)
	}
	return nil
}

// createTemp makes the file known to Sweep before Sweep can see it.
func (d *Dir) createTemp() (File, error) {
	d.names.Lock()
	defer d.names.Unlock()
	file, err := d.fs.CreateTemp(d.path, tempPrefix)
	if err != nil {
		return nil, err
	}
	d.writing[filepath.Base(file.Name())] = true
	return file, nil
}

// Write adds uncompressed bytes. It hashes them while another goroutine
// compresses those before. An error is final.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	// The encoder first: its goroutine compresses what it got while this one hashes.
	n, err := w.compress(p)
	crashpoint.Here(crashpoint.SnapshotWriting)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		w.err = w.dir.diskError("write", w.file.Name(), err)
	}
	return n, w.err
}

func (w *Writer) compress(p []byte) (int, error) {
	if w.delta != nil {
		return w.delta.Write(p)
	}
	return w.enc.Write(p)
}

// Commit makes the snapshot durable under its name. A sound file that has the
// name already is kept instead. After an error nothing of the snapshot is left.
// Errors: *NoSpaceError, *IOError.
func (w *Writer) Commit() (Info, error) {
	if w.ended {
		return Info{}, errWriterOver
	}
	info, err := w.finish()
	w.end(err == nil)
	return info, err
}

// Abort removes what was written. After Commit it does nothing.
func (w *Writer) Abort() {
	if !w.ended {
		w.end(false)
	}
}

// end gives back what the Writer held; published says that its file has a name of its own.
func (w *Writer) end(published bool) {
	w.ended = true
	if w.err == nil {
		w.err = errWriterOver
	}
	w.giveEncoder()
	d := w.dir
	_ = w.file.Close() // a second time after finish: harmless
	d.names.Lock()
	defer d.names.Unlock()
	if !published {
		// What cannot be removed now is a temporary file for the next Sweep.
		_ = d.remove(w.file.Name())
	}
	delete(d.writing, filepath.Base(w.file.Name()))
}

func (w *Writer) giveEncoder() {
	if w.enc != nil {
		w.dir.coders.giveEncoder(w.enc)
		w.enc = nil
	}
}

func (w *Writer) finish() (Info, error) {
	if w.err != nil {
		return Info{}, w.err
	}
	info := Info{Hash: hex.EncodeToString(w.hash.Sum(nil)), UncompressedSize: w.size}
	if err := w.endContent(info); err != nil {
		return Info{}, w.dir.diskError("write", w.file.Name(), err)
	}
	w.giveEncoder()
	info.StoredSize = w.file.size
	crashpoint.Here(crashpoint.SnapshotWritten)
	if err := w.file.Sync(); err != nil {
		return Info{}, w.dir.diskError("sync", w.file.Name(), err)
	}
	crashpoint.Here(crashpoint.SnapshotSynced)
	if err := w.file.Close(); err != nil {
		return Info{}, w.dir.diskError("close", w.file.Name(), err)
	}
	return w.publish(info)
}

// endContent writes what is left, and the header of a delta, to its place.
func (w *Writer) endContent(info Info) error {
	if w.delta == nil {
		return w.enc.Close()
	}
	if err := w.delta.Close(); err != nil {
		return err
	}
	if err := w.enc.Close(); err != nil {
		return err
	}
	head, err := header{Hash: info.Hash, Size: info.UncompressedSize, Base: w.base}.encode()
	if err != nil {
		return err
	}
	_, err = w.file.WriteAt(head, 0)
	return err
}

// publish gives the synced file the name of its hash, unless a sound one has it.
func (w *Writer) publish(info Info) (Info, error) {
	d := w.dir
	path := w.path(info.Hash)
	have, err := d.Verify(info.Hash)
	existed := err == nil && !w.isBase
	d.names.Lock()
	defer d.names.Unlock()
	if existed {
		_ = d.remove(w.file.Name())
		info = have
	} else if err := d.fs.Rename(w.file.Name(), path); err != nil {
		return Info{}, d.diskError("rename", path, err)
	}
	crashpoint.Here(crashpoint.SnapshotNamed)
	if err := d.fs.SyncDir(d.path); err != nil {
		if !existed {
			_ = d.remove(path)
		}
		return Info{}, d.diskError("sync the directory of", path, err)
	}
	crashpoint.Here(crashpoint.SnapshotDirSynced)
	if w.base != "" && !existed {
		// A plain file was there and was unsound, and it would come first.
		_ = d.remove(d.plainPath(info.Hash))
	}
	return info, nil
}

// path is where the file goes.
func (w *Writer) path(hash string) string {
	switch {
	case w.isBase:
		return w.dir.basePath(hash)
	case w.base != "":
		return w.dir.deltaPath(hash)
	}
	return w.dir.plainPath(hash)
}
