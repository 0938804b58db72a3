package snapshots

import (
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/zstd"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/snapshots/internal/delta"
)

// maxSaving bounds how many snapshots are compressed at a time, and with them
// the memory that waits for it: each takes two CPUs, and some time for its disk.
const maxSaving = 2

// madeBytes is how much of a delta waits to be compressed.
const madeBytes = 4 << 20

// saving is the way of a snapshot from its Writer's queue to a durable file. It
// belongs to a goroutine of its own.
type saving struct {
	dir     *Dir
	queue   *Queue
	file    File
	stored  *sink  // writes to file
	base    string // hash of the base; empty for a file that needs none
	isBase  bool   // it is the file of a base
	enc     *zstd.Encoder
	against *delta.Base // what base is; nil without one

	promised Info          // hash and size, from the Writer; to be read behind the queue's end
	info     Info          // after done, as err
	err      error         // *NoSpaceError, *IOError, or that it was given up
	done     chan struct{} // closed when the file has its name, or is gone
}

func (d *Dir) newSaving(base string, isBase bool) (*saving, error) {
	d.slots <- struct{}{}
	s := &saving{dir: d, base: base, isBase: isBase, queue: d.NewQueue(lagBytes), done: make(chan struct{})}
	if err := s.begin(); err != nil {
		s.leave(false)
		return nil, err
	}
	go s.run()
	return s, nil
}

func (s *saving) begin() (err error) {
	if s.enc, err = s.dir.coders.takeEncoder(); err != nil {
		return err
	}
	file, err := s.dir.createTemp()
	if err != nil {
		return s.dir.diskError("create", filepath.Join(s.dir.path, tempPrefix+"*"), err)
	}
	crashpoint.Here(crashpoint.SnapshotCreated)
	s.file, s.stored = file, &sink{dir: s.dir, file: file}
	s.enc.Reset(s.stored)
	if s.base != "" {
		return s.beginDelta()
	}
	return nil
}

// beginDelta leaves room for the header, of which only the base is known.
func (s *saving) beginDelta() error {
	base, err := s.dir.base(s.base)
	if err != nil {
		return err
	}
	s.against = base
	_, err = s.stored.Write(make([]byte, headerBytes))
	return err
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

func (s *saving) run() {
	if s.info, s.err = s.save(); s.err != nil {
		s.queue.StopReading(s.err) // the Writer must not wait for room
	}
	s.leave(s.err == nil)
	close(s.done)
}

func (s *saving) save() (Info, error) {
	if err := s.compress(); err != nil {
		return Info{}, err
	}
	info := s.promised
	if err := s.writeHeader(info); err != nil {
		return Info{}, err
	}
	info.StoredSize = s.stored.size
	crashpoint.Here(crashpoint.SnapshotWritten)
	if err := s.file.Sync(); err != nil {
		return Info{}, s.dir.diskError("sync", s.file.Name(), err)
	}
	crashpoint.Here(crashpoint.SnapshotSynced)
	if err := s.file.Close(); err != nil {
		return Info{}, s.dir.diskError("close", s.file.Name(), err)
	}
	return s.publish(info)
}

// compress takes the queue to its end.
func (s *saving) compress() error {
	encode := s.encodeWhole
	if s.against != nil {
		encode = s.encodeDelta
	}
	if err := encode(); err != nil {
		return err
	}
	return s.enc.Close()
}

func (s *saving) encodeWhole() error {
	_, err := s.queue.WriteTo(s.enc)
	return err
}

// encodeDelta makes the delta in one goroutine and compresses it in another: they
// take about as long.
func (s *saving) encodeDelta() error {
	made := s.dir.NewQueue(madeBytes)
	var making sync.WaitGroup
	making.Go(func() {
		to := delta.NewEncoder(made, s.against)
		_, err := s.queue.WriteTo(to)
		if err == nil {
			err = to.Close()
		}
		made.CloseWithError(err)
	})
	_, err := made.WriteTo(s.enc)
	if err != nil {
		s.queue.StopReading(err)
		made.StopReading(err)
	}
	making.Wait()
	return err
}

// writeHeader writes the header of a delta, to its place.
func (s *saving) writeHeader(info Info) error {
	if s.against == nil {
		return nil
	}
	head, err := header{Hash: info.Hash, Size: info.UncompressedSize, Base: s.base}.encode()
	if err != nil {
		return err
	}
	if _, err := s.file.WriteAt(head, 0); err != nil {
		return s.dir.diskError("write", s.file.Name(), err)
	}
	return nil
}

// sink writes to a file and counts.
type sink struct {
	dir  *Dir
	file File
	size int64
}

// Write has errors of the directory's types: *NoSpaceError, *IOError.
func (k *sink) Write(p []byte) (int, error) {
	n, err := k.file.Write(p)
	if k.size += int64(n); err != nil {
		err = k.dir.diskError("write", k.file.Name(), err)
	}
	return n, err
}

// publish gives the synced file the name of its hash. A file that has the name
// goes for it: to see whether that one is sound takes as long as a load. But a
// sound plain file stays where a delta is written, since it comes first.
func (s *saving) publish(info Info) (Info, error) {
	d := s.dir
	path, found := s.path(info.Hash), s.found(info.Hash)
	plain := found != path && found == d.plainPath(info.Hash)
	kept := false
	if plain {
		have, err := d.verify(info.Hash)
		if kept = err == nil; kept {
			info = have
		}
	}
	d.names.Lock()
	defer d.names.Unlock()
	if kept {
		_ = d.remove(s.file.Name())
	} else if err := d.fs.Rename(s.file.Name(), path); err != nil {
		return Info{}, d.diskError("rename", path, err)
	}
	crashpoint.Here(crashpoint.SnapshotNamed)
	if err := d.fs.SyncDir(d.path); err != nil {
		if found == "" { // else an older row may need it
			_ = d.remove(path)
		}
		return Info{}, d.diskError("sync the directory of", path, err)
	}
	crashpoint.Here(crashpoint.SnapshotDirSynced)
	if plain && !kept {
		_ = d.remove(found) // it would come first
	}
	return info, nil
}

// found gives the path of the file that the directory has of the snapshot; empty
// if there is none.
func (s *saving) found(hash string) string {
	if s.isBase {
		return ""
	}
	file, path, _, err := s.dir.openFile(hash)
	if err == nil {
		_ = file.Close() // nothing was read
	}
	return path
}

// path is where the file goes.
func (s *saving) path(hash string) string {
	switch {
	case s.isBase:
		return s.dir.basePath(hash)
	case s.base != "":
		return s.dir.deltaPath(hash)
	}
	return s.dir.plainPath(hash)
}

// leave gives back what was held; published says that the file has a name of its
// own.
func (s *saving) leave(published bool) {
	d := s.dir
	if s.enc != nil {
		d.coders.giveEncoder(s.enc)
	}
	if s.file != nil {
		_ = s.file.Close() // a second time after save: harmless
		d.names.Lock()
		if !published {
			// What cannot be removed now is a temporary file for the next Sweep.
			_ = d.remove(s.file.Name())
		}
		delete(d.writing, filepath.Base(s.file.Name()))
		d.names.Unlock()
	}
	<-d.slots
}
