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
		q := new(Dir).NewQueue(rapid.SampledFrom([]int{1, 7, 1000, 3 * queueChunkBytes}).Draw(rt, "limit"))
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
		got, err := readQueue(q, rapid.SampledFrom([]string{"whole", "halves", "pieces"}).Draw(rt, "read"))
		if err != nil || !bytes.Equal(got, data) {
			rt.Fatalf("read %d bytes, want %d: %v", len(got), len(data), err)
		}
		if err := <-wrote; err != nil {
			rt.Fatal(err)
		}
	})
}

func readQueue(q *Queue, how string) ([]byte, error) {
	switch how {
	case "halves":
		return io.ReadAll(iotest.HalfReader(q))
	case "pieces":
		var all bytes.Buffer
		_, err := q.WriteTo(&all)
		return all.Bytes(), err
	}
	return io.ReadAll(q)
}

func TestQueueDoesNotWaitBelowItsLimit(t *testing.T) {
	q := new(Dir).NewQueue(3 * queueChunkBytes)
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
	q := new(Dir).NewQueue(10)
	_, _ = q.Write([]byte("rest"))
	q.CloseWithError(broken)
	_ = q.Close() // the first end counts
	if got, err := io.ReadAll(q); len(got) != 0 || err != broken {
		t.Errorf("after CloseWithError: %q, %v", got, err)
	}
	q = new(Dir).NewQueue(10)
	wrote := make(chan error)
	go func() {
		_, err := q.Write(make([]byte, 100)) // waits, for the queue is full
		wrote <- err
	}()
	q.StopReading(broken)
	if err := <-wrote; err != broken {
		t.Errorf("after StopReading: %v", err)
	}
	if _, err := q.Read(make([]byte, 1)); err != broken {
		t.Errorf("a Read after StopReading: %v", err)
	}
	q = new(Dir).NewQueue(10)
	_, _ = q.Write([]byte("rest"))
	r, w := io.Pipe()
	r.CloseWithError(broken)
	if _, err := q.WriteTo(w); err != broken {
		t.Errorf("to a writer that fails: %v", err)
	}
}
