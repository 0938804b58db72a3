package frames

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Recorded is a frame of a file.
type Recorded struct {
	Frame
	Worker Worker
}

// maxLineBytes bounds a line; the longest frame in base64 is shorter.
const maxLineBytes = 2 << 30

// Open reads a file of frames, and calls f with each in order. end is nil if the
// file has none, since whoever wrote it goes on or was killed. Lines that are
// torn are skipped; a file without any line of ours is an error.
func Open(path string, f func(Recorded) error) (end *End, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read frames: %w", err)
	}
	defer file.Close()
	r := reading{workers: map[int]Worker{}, f: f}
	in := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := readLine(in)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read frames: %w", err)
		}
		if err := r.line(line); err != nil {
			return nil, err
		}
	}
	if r.lines == 0 {
		return nil, fmt.Errorf("%s has no frames: it is no recording", path)
	}
	return r.end, nil
}

// readLine gives a line, also the last one without an end.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil || err == io.EOF && len(line) > 0:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxLineBytes:
			return nil, errors.New("a line is too long")
		}
	}
}

// reading is how far a file was read.
type reading struct {
	workers map[int]Worker
	lines   int
	end     *End
	f       func(Recorded) error
}

func (r *reading) line(text []byte) error {
	var kind struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(text, &kind) != nil {
		return nil
	}
	switch kind.Type {
	case lineWorker:
		var l workerLine
		if json.Unmarshal(text, &l) == nil {
			r.workers[l.PID] = l.Worker
			r.lines++
		}
	case lineFrame:
		var l frameLine
		direction := -1
		if json.Unmarshal(text, &l) == nil {
			direction = slices.Index(directions[:], l.Dir)
		}
		if direction < 0 || len(l.Data) > l.Size {
			return nil
		}
		r.lines++
		return r.f(Recorded{
			Frame:  Frame{Time: l.Time, Direction: Direction(direction), Size: l.Size, Bytes: l.Data, Torn: l.Torn},
			Worker: r.workers[l.PID],
		})
	case lineEnd:
		var l endLine
		if json.Unmarshal(text, &l) == nil {
			r.end = &l.End
			r.lines++
		}
	}
	return nil
}
