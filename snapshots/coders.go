package snapshots

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"vatworkerd/snapshots/internal/delta"
)

const (
	// level is chosen by the measurements in docs/snapshots.md.
	level = zstd.SpeedDefault
	// windowBytes is how far back a file of ours refers.
	windowBytes = 4 << 20
	// maxWindowBytes is what a reader is ready to hold of the content; files that
	// ask for more are refused.
	maxWindowBytes = 8 << 20
	// encoderJobs 1 compresses in the goroutine that gives it the bytes, which is
	// beside the one that has them from the engine.
	encoderJobs = 1
)

// coders keeps encoders and one decoder at rest between snapshots: making their
// tables anew costs more than a small snapshot. Encoders, of 10 MB each, are
// collected when they rest for long.
type coders struct {
	encoders sync.Pool

	lock    sync.Mutex // guards the rest
	decoder *decoder
}

func (c *coders) takeEncoder() (*zstd.Encoder, error) {
	if enc, ok := c.encoders.Get().(*zstd.Encoder); ok {
		return enc, nil
	}
	return newEncoder(level, encoderJobs)
}

func newEncoder(level zstd.EncoderLevel, jobs int) (*zstd.Encoder, error) {
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(level),
		zstd.WithEncoderConcurrency(jobs),
		zstd.WithWindowSize(windowBytes))
	if err != nil {
		return nil, fmt.Errorf("cannot make a snapshot encoder: %w", err)
	}
	return enc, nil
}

// giveEncoder keeps enc for the next snapshot. Reset waits for its goroutine.
func (c *coders) giveEncoder(enc *zstd.Encoder) {
	enc.Reset(nil)
	c.encoders.Put(enc)
}

// decoder is what reading a snapshot takes, its memory above all.
type decoder struct {
	zstd  *zstd.Decoder
	delta *delta.Decoder // of those that are deltas
}

func (c *coders) takeDecoder() (*decoder, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if dec := c.decoder; dec != nil {
		c.decoder = nil
		return dec, nil
	}
	unpacker, err := newDecoder()
	if err != nil {
		return nil, err
	}
	return &decoder{zstd: unpacker, delta: delta.NewDecoder(nil, nil)}, nil
}

// newDecoder makes a decoder without goroutines of its own, whose memory a
// hostile file cannot raise above the window.
func newDecoder() (*zstd.Decoder, error) {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindowBytes),
		zstd.WithDecoderMaxMemory(maxContentBytes))
	if err != nil {
		return nil, fmt.Errorf("cannot make a snapshot decoder: %w", err)
	}
	return dec, nil
}

func (c *coders) giveDecoder(dec *decoder) {
	if err := dec.zstd.Reset(nil); err != nil {
		dec.zstd.Close()
		return
	}
	dec.delta.Reset(nil, nil)
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.decoder != nil {
		dec.zstd.Close()
		return
	}
	c.decoder = dec
}
