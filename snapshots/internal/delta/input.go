package delta

import (
	"encoding/binary"
	"errors"
	"io"
)

// inputBytes is the room for what is read at once: a record that holds nothing
// but literals, and more.
const inputBytes = 2 * blockBytes

var errNumber = errors.New("it has a number that is too long")

// input reads a delta through a buffer that is looked at in place.
type input struct {
	from    io.Reader
	buf     []byte
	at, end int   // what is left in buf
	err     error // of from, sticky
}

func newInput(from io.Reader) input { return input{from: from, buf: make([]byte, inputBytes)} }

// fill has n bytes ready, at most inputBytes, or all that there are.
func (in *input) fill(n int) (enough bool) {
	if in.at+n > len(in.buf) {
		in.end = copy(in.buf, in.buf[in.at:in.end])
		in.at = 0
	}
	for in.end-in.at < n && in.err == nil {
		var got int
		got, in.err = in.from.Read(in.buf[in.end:])
		in.end += got
	}
	return in.end-in.at >= n
}

// number reads a LEB128 varint.
func (in *input) number() (uint64, error) {
	if in.at < in.end && in.buf[in.at] < 0x80 {
		in.at++
		return uint64(in.buf[in.at-1]), nil
	}
	in.fill(binary.MaxVarintLen64)
	n, size := binary.Uvarint(in.buf[in.at:in.end])
	if size < 0 {
		return 0, errNumber
	}
	if size == 0 {
		return 0, in.cutShort()
	}
	in.at += size
	return n, nil
}

// skip reads a signed one.
func (in *input) skip() (int64, error) {
	n, err := in.number()
	return int64(n>>1) ^ -int64(n&1), err
}

// bytes gives the next n bytes, which are good until the next call of any kind;
// large holds them if they are more than inputBytes.
func (in *input) bytes(n int, large *[]byte) ([]byte, error) {
	if n <= len(in.buf) {
		if !in.fill(n) {
			return nil, in.cutShort()
		}
		in.at += n
		return in.buf[in.at-n : in.at], nil
	}
	*large = grow(*large, n)
	have := copy(*large, in.buf[in.at:in.end])
	in.at += have
	if _, err := io.ReadFull(in.from, (*large)[have:]); err != nil {
		in.err = err
		return nil, in.cutShort()
	}
	return *large, nil
}

// finish makes sure that nothing follows; io.EOF says so.
func (in *input) finish() error {
	if in.fill(1) {
		return errors.New("it goes on behind its end")
	}
	return in.err
}

// cutShort tells the end in the middle from the end.
func (in *input) cutShort() error {
	if in.err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return in.err
}
