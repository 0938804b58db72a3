package snapshots

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"vatworkerd/internal/crashpoint"
)

var errWriterOver = errors.New("cannot write a snapshot: it was committed or aborted")

// Writer takes the uncompressed bytes of one snapshot. It belongs to one
// goroutine and ends with Commit or Abort.
type Writer struct {
	dir   *Dir
	file  *countedFile
	enc   *zstd.Encoder
	hash  hash.Hash
	size  int64
	err   error // sticky
	ended bool
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

// Create begins a snapshot in a temporary file.
func (d *Dir) Create() (*Writer, error) {
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
	w := &Writer{dir: d, file: &countedFile{File: file}, enc: enc, hash: sha256.New()}
	enc.Reset(w.file)
	return w, nil
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
	n, err := w.enc.Write(p)
	crashpoint.Here(crashpoint.SnapshotWriting)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		w.err = w.dir.diskError("write", w.file.Name(), err)
	}
	return n, w.err
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
	if err := w.enc.Close(); err != nil {
		return Info{}, w.dir.diskError("write", w.file.Name(), err)
	}
	w.giveEncoder()
	crashpoint.Here(crashpoint.SnapshotWritten)
	if err := w.file.Sync(); err != nil {
		return Info{}, w.dir.diskError("sync", w.file.Name(), err)
	}
	crashpoint.Here(crashpoint.SnapshotSynced)
	if err := w.file.Close(); err != nil {
		return Info{}, w.dir.diskError("close", w.file.Name(), err)
	}
	info := Info{Hash: hex.EncodeToString(w.hash.Sum(nil)), UncompressedSize: w.size, StoredSize: w.file.size}
	return w.dir.publish(w.file.Name(), info)
}

// publish gives the synced file temp the name of its hash.
func (d *Dir) publish(temp string, info Info) (Info, error) {
	d.names.Lock()
	defer d.names.Unlock()
	path := d.Path(info.Hash)
	have, err := d.Verify(info.Hash)
	existed := err == nil
	if existed {
		_ = d.remove(temp)
		info = have
	} else if err := d.fs.Rename(temp, path); err != nil {
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
	return info, nil
}
