package snapshots

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"vatworkerd/snapshots/internal/delta"
)

const (
	// maxContentBytes bounds the uncompressed bytes of a snapshot, so that a
	// file made to inflate for ever ends in an error. Engines stay far below.
	maxContentBytes = 4 << 30
	copyBytes       = 128 << 10
)

var errReaderClosed = errors.New("cannot read a snapshot: it was closed")

// Reader gives the uncompressed bytes of a snapshot. It belongs to one
// goroutine, but for Check. Only io.EOF says that the bytes were the right ones: whoever stops
// before it must not use them.
type Reader struct {
	dir     *Dir
	source  *source
	path    string
	stored  int64
	want    string
	limit   int64 // of the content, in bytes
	dec     *decoder
	content io.Reader // what of dec gives it
	hash    hash.Hash
	size    int64
	closed  bool
	err     error // sticky, io.EOF included
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

// Open opens a snapshot for reading; it waits for one that is not durable yet.
// The caller closes the Reader. Errors: *MissingError, *IOError; of a delta also
// *CorruptError, *BaseError; of CommitLater *NoSpaceError.
func (d *Dir) Open(hash string) (*Reader, error) {
	if err := d.waitFor(hash); err != nil {
		return nil, err
	}
	return d.open(hash)
}

func (d *Dir) open(hash string) (*Reader, error) {
	file, path, size, err := d.openFile(hash)
	if err != nil {
		return nil, err
	}
	return d.newReader(file, path, size, hash, path == d.deltaPath(hash))
}

// openBase opens the file of a base.
func (d *Dir) openBase(hash string) (*Reader, error) {
	path := d.basePath(hash)
	file, size, err := d.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &MissingError{Path: path, Hash: hash}
	}
	if err != nil {
		return nil, d.diskError("open", path, err)
	}
	return d.newReader(file, path, size, hash, false)
}

// newReader owns file.
func (d *Dir) newReader(file File, path string, size int64, hash string, isDelta bool) (*Reader, error) {
	r := &Reader{dir: d, source: &source{file: file}, path: path, stored: size, want: hash, limit: maxContentBytes, hash: sha256.New()}
	err := r.begin(isDelta)
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) begin(isDelta bool) (err error) {
	var base *delta.Base
	if isDelta {
		if base, err = r.readHeader(); err != nil {
			return err
		}
	}
	if r.dec, err = r.dir.coders.takeDecoder(); err != nil {
		return err
	}
	if err := r.dec.zstd.Reset(r.source); err != nil {
		return r.failure(err)
	}
	r.content = r.dec.zstd
	if isDelta {
		r.dec.delta.Reset(r.dec.zstd, base)
		r.content = r.dec.delta
	}
	return nil
}

// readHeader reads the header of a delta and gives its base.
func (r *Reader) readHeader() (*delta.Base, error) {
	h, err := readHeader(r.source)
	if err != nil {
		return nil, r.failure(err)
	}
	if h.Hash != r.want {
		return nil, &CorruptError{Path: r.path, Want: r.want, Got: h.Hash}
	}
	r.limit = h.Size
	base, err := r.dir.base(h.Base)
	var lost *BaseError
	if errors.As(err, &lost) {
		lost.Path = r.path
	}
	return base, err
}

// StoredSize is the size of the file in bytes.
func (r *Reader) StoredSize() int64 { return r.stored }

// Read gives the next uncompressed bytes, and io.EOF only if their sha256 is
// the right one. Errors: *CorruptError, *IOError.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.Next(p)
	r.Check(p[:n])
	if err == io.EOF {
		if wrong := r.Verdict(); wrong != nil {
			r.err, err = wrong, wrong
		}
	}
	return n, err
}

// Next is Read without a look at the sha256: its io.EOF is the end of the content,
// be it right or wrong. All that it gives belongs to Check, which may run beside
// it, and then Verdict says what it was.
func (r *Reader) Next(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.content.Read(p)
	r.size += int64(n)
	switch {
	case err == io.EOF:
		r.err = io.EOF
	case err != nil:
		r.err = r.failure(err)
	case r.size > r.limit:
		r.err = r.failure(fmt.Errorf("its content is larger than %d bytes", r.limit))
	}
	return n, r.err
}

// Check takes what Next gave, in order.
func (r *Reader) Check(p []byte) { r.hash.Write(p) }

// Verdict is nil if all that Check took is what the name promises. Errors:
// *CorruptError.
func (r *Reader) Verdict() error {
	got := hex.EncodeToString(r.hash.Sum(nil))
	if got != r.want {
		return &CorruptError{Path: r.path, Want: r.want, Got: got}
	}
	return nil
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

// Export writes all that is left to w as one zstd frame and gives its size: the
// content of a file that needs no base, here or on another node. Without an error
// the content was the right one.
func (r *Reader) Export(w io.Writer) (size int64, err error) {
	return r.dir.Pack(w, func(to io.Writer) error {
		_, err := io.Copy(to, r)
		return err
	})
}

// Pack writes what content gives to w as Export does a snapshot, and gives its size.
func (d *Dir) Pack(w io.Writer, content func(to io.Writer) error) (size int64, err error) {
	enc, err := d.coders.takeEncoder()
	if err != nil {
		return 0, err
	}
	defer d.coders.giveEncoder(enc)
	to := &counter{to: w}
	enc.Reset(to)
	if err := content(enc); err != nil {
		return 0, err
	}
	err = enc.Close() // writes the rest
	return to.size, err
}

// counter counts what passes.
type counter struct {
	to   io.Writer
	size int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.size += int64(n)
	return n, err
}

// failure tells a fault of the disk from one of the file.
func (r *Reader) failure(err error) error {
	if r.source.err != nil {
		return r.dir.diskError("read", r.path, r.source.err)
	}
	return &CorruptError{Path: r.path, Want: r.want, Err: err}
}

// Close closes the file. It does not check what was not read.
func (r *Reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.dec != nil {
		r.dir.coders.giveDecoder(r.dec)
	}
	if r.err == nil {
		r.err = errReaderClosed
	}
	if err := r.source.file.Close(); err != nil {
		return r.dir.diskError("close", r.path, err)
	}
	return nil
}
