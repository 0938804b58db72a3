package snapshots

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// Whatever the pieces and the limit: what is read is what was written.
func TestQueueKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := NewQueue(rapid.SampledFrom([]int{1, 7, 1000, 3 * queueChunkBytes}).Draw(rt, "limit"))
		n := rapid.IntRange(0, 4000).Draw(rt, "bytes")
		if q.limit > 1000 {
			n *= 500
		}
		data := content(n, 1)
		piece := rapid.IntRange(1, max(1, n)).Draw(rt, "piece")
		wrote := make(chan error, 1)
		go func() {
			for rest := data; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if _, err := q.Write(rest[:min(piece, len(rest))]); err != nil {
					wrote <- err
					return
				}
			}
			wrote <- q.Close()
		}()
		var r io.Reader = q
		if rapid.Bool().Draw(rt, "halves") {
			r = iotest.HalfReader(q)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data) {
			rt.Fatalf("read %d bytes, want %d: %v", len(got), len(data), err)
		}
		if err := <-wrote; err != nil {
			rt.Fatal(err)
		}
	})
}

func TestQueueDoesNotWaitBelowItsLimit(t *testing.T) {
	q := NewQueue(3 * queueChunkBytes)
	for range 3 {
		if _, err := q.Write(make([]byte, queueChunkBytes)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, q); n != 3*queueChunkBytes || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestEndsOfAQueue(t *testing.T) {
	broken := errors.New("broken")
	q := NewQueue(10)
	_, _ = q.Write([]byte("rest"))
	q.CloseWithError(broken)
	_ = q.Close() // the first end counts
	if got, err := io.ReadAll(q); len(got) != 0 || err != broken {
		t.Errorf("after CloseWithError: %q, %v", got, err)
	}
	q = NewQueue(10)
	wrote := make(chan error)
	go func() {
		_, err := q.Write(make([]byte, 100)) // waits, for the queue is full
		wrote <- err
	}()
	q.StopReading(broken)
	if err := <-wrote; err != broken {
		t.Errorf("after StopReading: %v", err)
	}
}
