package frames

import (
	"bufio"
	"fmt"
	"os"
	"sync"
	"time"

	"vatworkerd/internal/jsonline"
)

// Types of lines in a file.
const (
	lineWorker = "worker"
	lineFrame  = "frame"
	lineEnd    = "end"
)

// workerLine introduces a worker.
type workerLine struct {
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	Worker
}

// frameLine is a frame.
type frameLine struct {
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	PID  int       `json:"pid"`
	Dir  string    `json:"dir"` // "to" or "from" the worker
	Size int       `json:"size"`
	Torn bool      `json:"torn,omitempty"`
	Data []byte    `json:"data"` // base64
}

// End is how a recording has ended.
type End struct {
	Frames int64 `json:"frames"`
	Bytes  int64 `json:"bytes"` // of the frames
	// Full: it ended because its file had reached its bound.
	Full bool `json:"full"`
}

type endLine struct {
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	End
}

// directions are the names of the directions in files.
var directions = [...]string{ToWorker: "to", FromWorker: "from"}

// Recording is a file that frames are written to, whole. Those who add frames
// wait for the disk. Safe for concurrent use.
type Recording struct {
	mu    sync.Mutex // guards the rest
	file  *os.File
	out   *bufio.Writer
	left  int64 // bytes that the file may still take
	known map[int]bool
	end   End
	err   error // the first
	ended bool
}

// Create begins a recording in a new file that takes up to so many bytes.
func Create(path string, bytes int64) (*Recording, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot record frames: %w", err)
	}
	return &Recording{file: file, out: bufio.NewWriterSize(file, 64<<10), left: bytes, known: map[int]bool{}}, nil
}

func (r *Recording) worker(w Worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known[w.PID] {
		r.known[w.PID] = true
		r.put(workerLine{Type: lineWorker, Time: time.Now().UTC(), Worker: w})
	}
}

func (r *Recording) frame(pid int, f Frame, before []byte, content [][]byte, after string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.end.Full {
		return
	}
	data := append(make([]byte, 0, f.Size), before...)
	for _, part := range content {
		data = append(data, part...)
	}
	data = append(data, after...)
	if r.put(frameLine{Type: lineFrame, Time: f.Time.UTC(), PID: pid, Dir: directions[f.Direction], Size: f.Size, Torn: f.Torn, Data: data}) {
		r.end.Frames++
		r.end.Bytes += int64(f.Size)
	}
}

// put writes a line, if there is room for it.
func (r *Recording) put(line any) bool {
	if r.ended || r.err != nil {
		return false
	}
	text, err := jsonline.Append(nil, line)
	if err == nil && int64(len(text)) > r.left {
		r.end.Full = true
		return false
	}
	r.left -= int64(len(text))
	if err == nil {
		_, err = r.out.Write(text)
	}
	r.err = err
	return err == nil
}

// Close ends the recording. A second one gives the same.
func (r *Recording) Close() (End, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return r.end, r.err
	}
	r.left = 1 << 20 // the last line has room
	r.put(endLine{Type: lineEnd, Time: time.Now().UTC(), End: r.end})
	r.ended = true
	for _, err := range []error{r.out.Flush(), r.file.Close()} {
		if r.err == nil && err != nil {
			r.err = fmt.Errorf("cannot record frames: %w", err)
		}
	}
	return r.end, r.err
}

// Save writes the last frames of a worker to a new file.
func Save(path string, t *Tape) error {
	w, all := t.Last()
	r, err := Create(path, 1<<30)
	if err != nil {
		return err
	}
	r.worker(w)
	for _, f := range all {
		r.mu.Lock()
		r.put(frameLine{Type: lineFrame, Time: f.Time.UTC(), PID: w.PID, Dir: directions[f.Direction], Size: f.Size, Torn: f.Torn, Data: f.Bytes})
		r.end.Frames++
		r.end.Bytes += int64(f.Size)
		r.mu.Unlock()
	}
	_, err = r.Close()
	return err
}
