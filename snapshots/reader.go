package snapshots

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxContentBytes bounds the uncompressed bytes of a snapshot, so that a
	// file made to inflate for ever ends in an error. Engines stay far below.
	maxContentBytes = 4 << 30
	copyBytes       = 128 << 10
)

var errReaderClosed = errors.New("cannot read a snapshot: it was closed")

// Reader gives the uncompressed bytes of a snapshot. It belongs to one
// goroutine. Only io.EOF says that the bytes were the right ones: whoever stops
// before it must not use them.
type Reader struct {
	dir    *Dir
	source *source
	stored int64
	want   string
	dec    *zstd.Decoder
	hash   hash.Hash
	size   int64
	err    error // sticky, io.EOF included
}

// source is the compressed file; it remembers an error of the disk, which must
// not be taken for damage of the file.
type source struct {
	file File
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// Open opens a snapshot for reading. The caller closes the Reader. Errors:
// *MissingError, *IOError.
func (d *Dir) Open(hash string) (*Reader, error) {
	file, size, err := d.openFile(hash)
	if err != nil {
		return nil, err
	}
	dec, err := d.coders.takeDecoder()
	if err != nil {
		file.Close()
		return nil, err
	}
	r := &Reader{dir: d, source: &source{file: file}, stored: size, want: hash, dec: dec, hash: sha256.New()}
	if err := dec.Reset(r.source); err != nil {
		r.Close()
		return nil, r.failure(err)
	}
	return r, nil
}

func (d *Dir) openFile(hash string) (File, int64, error) {
	if err := checkHash(hash); err != nil {
		return nil, 0, err
	}
	path := d.Path(hash)
	file, size, err := d.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, &MissingError{Path: path, Hash: hash}
	}
	if err != nil {
		return nil, 0, d.diskError("open", path, err)
	}
	return file, size, nil
}

// StoredSize is the size of the file in bytes.
func (r *Reader) StoredSize() int64 { return r.stored }

// Read gives the next uncompressed bytes, and io.EOF only if their sha256 is
// the right one. Errors: *CorruptError, *IOError.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.dec.Read(p)
	r.hash.Write(p[:n])
	r.size += int64(n)
	switch {
	case err == io.EOF:
		r.err = r.verdict()
	case err != nil:
		r.err = r.failure(err)
	case r.size > maxContentBytes:
		r.err = r.failure(fmt.Errorf("its content is larger than %d bytes", int64(maxContentBytes)))
	}
	return n, r.err
}

// WriteTo copies all that is left to w, in pieces that suit a pipe.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	buf := make([]byte, copyBytes)
	var total int64
	for {
		n, err := r.Read(buf)
		if n > 0 {
			written, writeErr := w.Write(buf[:n])
			total += int64(written)
			if writeErr != nil {
				return total, writeErr
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// verdict is io.EOF if the content was what the name promises.
func (r *Reader) verdict() error {
	got := hex.EncodeToString(r.hash.Sum(nil))
	if got != r.want {
		return &CorruptError{Path: r.dir.Path(r.want), Want: r.want, Got: got}
	}
	return io.EOF
}

// failure tells a fault of the disk from one of the file.
func (r *Reader) failure(err error) error {
	path := r.dir.Path(r.want)
	if r.source.err != nil {
		return r.dir.diskError("read", path, r.source.err)
	}
	return &CorruptError{Path: path, Want: r.want, Err: err}
}

// Close closes the file. It does not check what was not read.
func (r *Reader) Close() error {
	if r.dec == nil {
		return nil
	}
	r.dir.coders.giveDecoder(r.dec)
	r.dec = nil
	if r.err == nil {
		r.err = errReaderClosed
	}
	if err := r.source.file.Close(); err != nil {
		return r.dir.diskError("close", r.dir.Path(r.want), err)
	}
	return nil
}
