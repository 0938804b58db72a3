package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// peer is the JavaScript system, in a process of its own (peer/peer.mjs).
type peer struct {
	place  place
	stderr io.Writer

	cmd      *exec.Cmd
	requests *os.File
	replies  *os.File
	lines    *bufio.Reader
	dir      string // of the open store
}

func (p *peer) name() string { return "peer" }

// peerReply has the fields of all replies of peer.mjs; a request fills its own.
type peerReply struct {
	Error   string    `json:"error"`
	Micros  float64   `json:"micros"`
	Each    []float64 `json:"each"`
	Results []string  `json:"results"`

	Position     int64  `json:"position"`
	SpanHash     string `json:"spanHash"`
	SnapshotHash string `json:"snapshotHash"`

	Items []string `json:"items"`

	SnapshotStored int64 `json:"snapshotStored"`
	SnapshotSize   int64 `json:"snapshotSize"`
}

func (r peerReply) took() time.Duration { return microseconds(r.Micros) }

func microseconds(n float64) time.Duration { return time.Duration(n * float64(time.Microsecond)) }

// start starts the process if it does not run.
func (p *peer) start() error {
	if p.cmd != nil {
		return nil
	}
	theirRequests, ourRequests, err := os.Pipe()
	if err != nil {
		return err
	}
	ourReplies, theirReplies, err := os.Pipe()
	if err != nil {
		return errors.Join(err, theirRequests.Close(), ourRequests.Close())
	}
	cmd := exec.Command("node", p.place.driver(), p.place.peer, filepath.Join(p.place.out, "cache"))
	cmd.ExtraFiles = []*os.File{theirRequests, theirReplies}
	cmd.Stdout, cmd.Stderr = p.stderr, p.stderr
	err = cmd.Start()
	err = errors.Join(err, theirRequests.Close(), theirReplies.Close())
	if err != nil {
		return errors.Join(err, ourRequests.Close(), ourReplies.Close())
	}
	p.cmd, p.requests, p.replies = cmd, ourRequests, ourReplies
	p.lines = bufio.NewReader(ourReplies)
	_, err = p.read("start")
	return err
}

// ask sends one request and waits for its reply.
func (p *peer) ask(verb string, args map[string]any) (peerReply, error) {
	if err := p.start(); err != nil {
		return peerReply{}, err
	}
	request := map[string]any{"verb": verb}
	for key, value := range args {
		request[key] = value
	}
	line, err := json.Marshal(request)
	if err != nil {
		return peerReply{}, err
	}
	if _, err := p.requests.Write(append(line, '\n')); err != nil {
		return peerReply{}, fmt.Errorf("cannot ask the JavaScript system to %s: %w", verb, err)
	}
	return p.read(verb)
}

func (p *peer) read(verb string) (peerReply, error) {
	var reply peerReply
	line, err := p.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &reply)
	}
	if err == nil && reply.Error != "" {
		err = errors.New(reply.Error)
	}
	if err != nil {
		return reply, fmt.Errorf("the JavaScript system cannot %s: %w", verb, err)
	}
	return reply, nil
}

func (p *peer) open(dir, config string, maxOnline int) error {
	p.dir = dir
	_, err := p.ask("open", map[string]any{"dir": dir, "config": config, "maxOnline": maxOnline})
	return err
}

func (p *peer) run(messages []message) (ran, error) {
	list := make([][3]any, len(messages))
	for i, m := range messages {
		list[i] = m.list()
	}
	reply, err := p.ask("run", map[string]any{"messages": list})
	return ran{Took: reply.took(), Results: reply.Results}, err
}

// snapshot takes one of every vat that has had a delivery: the JavaScript system
// cannot be asked for less.
func (p *peer) snapshot(...string) (time.Duration, error) {
	reply, err := p.ask("snapshots", nil)
	return reply.took(), err
}

func (p *peer) progress(vat string) (progress, error) {
	reply, err := p.ask("vat", map[string]any{"name": vat})
	return progress{Position: reply.Position, SpanHash: reply.SpanHash, SnapshotHash: reply.SnapshotHash}, err
}

func (p *peer) stored(vat string) (storedSnapshot, error) {
	reply, err := p.ask("stored", map[string]any{"name": vat, "dir": p.dir})
	return storedSnapshot{Size: reply.SnapshotSize, Stored: reply.SnapshotStored}, err
}

// transcript gives the items of a vat's current span.
func (p *peer) transcript(vat string) ([]string, error) {
	reply, err := p.ask("transcript", map[string]any{"name": vat})
	return reply.Items, err
}

// heap writes the heap of a vat's newest snapshot to a file.
func (p *peer) heap(vat, file string) error {
	_, err := p.ask("heap", map[string]any{"name": vat, "file": file})
	return err
}

func (p *peer) close() error {
	if p.dir == "" {
		return nil
	}
	p.dir = ""
	_, err := p.ask("close", nil)
	return err
}

func (p *peer) end() error {
	if p.cmd == nil {
		return nil
	}
	err := errors.Join(p.requests.Close(), p.replies.Close(), p.cmd.Wait())
	p.cmd = nil
	return err
}
