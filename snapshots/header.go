package snapshots

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// skippable begins a frame that zstd skips (RFC 8878, 3.1.2); its size follows.
	skippable = 0x184D2A56
	// headerBytes is the size of the frame that holds a header: always the same,
	// as it is written before what it tells is known.
	headerBytes = 8 + 256
	// maxHeaderBytes is what a reader accepts.
	maxHeaderBytes = 8 + 4096

	deltaFormat  = "vatworkerd heap delta"
	deltaVersion = 1
)

// header is what the file of a delta says of itself, as JSON in a skippable
// frame before the zstd frame.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Hash    string `json:"hash"` // of the heap
	Size    int64  `json:"size"` // of the heap, in bytes
	Base    string `json:"base"` // hash of the base heap
}

func (h header) encode() ([]byte, error) {
	h.Format, h.Version = deltaFormat, deltaVersion
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a snapshot header: %w", err)
	}
	frame := binary.LittleEndian.AppendUint32(nil, skippable)
	frame = binary.LittleEndian.AppendUint32(frame, headerBytes-8)
	frame = append(frame, text...)
	if len(frame) >= headerBytes {
		return nil, fmt.Errorf("cannot encode a snapshot header: it has %d bytes", len(frame))
	}
	frame = append(frame, bytes.Repeat([]byte(" "), headerBytes-1-len(frame))...)
	return append(frame, '\n'), nil
}

// readHeader reads the header of a delta and nothing behind it.
func readHeader(r io.Reader) (header, error) {
	var h header
	var frame [8]byte
	if _, err := io.ReadFull(r, frame[:]); err != nil {
		return h, err
	}
	size := binary.LittleEndian.Uint32(frame[4:])
	if binary.LittleEndian.Uint32(frame[:]) != skippable || size > maxHeaderBytes-8 {
		return h, errors.New("it does not begin with the header of a delta")
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("its header is not as it should be: %w", err)
	}
	if h.Format != deltaFormat || h.Version != deltaVersion {
		return h, fmt.Errorf("its format is %.40q, version %d; this program reads %q, version %d", h.Format, h.Version, deltaFormat, deltaVersion)
	}
	if err := checkHash(h.Base); err != nil {
		return h, fmt.Errorf("its base is not as it should be: %w", err)
	}
	if h.Size < 0 || h.Size > maxContentBytes {
		return h, fmt.Errorf("it says that its content has %d bytes", h.Size)
	}
	return h, nil
}
