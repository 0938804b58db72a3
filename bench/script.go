package main

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// script is what bare/bare.c plays to one engine: the frames that a transcript
// says the engine was sent, and marks between which it takes the time.
type script struct {
	text  []byte
	marks int
}

func (s *script) frame(parts ...string) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	s.text = append(strconv.AppendInt(s.text, int64(size), 10), ':')
	for _, p := range parts {
		s.text = append(s.text, p...)
	}
	s.text = append(s.text, ',')
}

// mark ends a lap, of which the first begins before the engine is started.
func (s *script) mark() {
	s.frame("#")
	s.marks++
}

// ready waits until the engine answers.
func (s *script) ready() { s.frame("R") }

// save lets the engine write its heap.
func (s *script) save() { s.frame("w@7") }

// setBundle gives an engine with the base snapshot its vat.
func (s *script) setBundle(vatID string, bundle []byte) {
	s.frame(`?["setBundle","`, vatID, `",`, string(bundle), `,{"enableDisavow":false,"relaxDurabilityRules":false}]`)
}

// items deliver transcript items, whose syscalls are answered as they were.
// Those that are no deliveries are left out.
func (s *script) items(texts []string) error {
	for _, text := range texts {
		if err := s.item(text); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) item(text string) error {
	var item struct {
		D  json.RawMessage
		SC []struct{ R json.RawMessage }
	}
	var kind []json.RawMessage
	if err := json.Unmarshal([]byte(text), &item); err != nil {
		return fmt.Errorf("cannot read a transcript item: %w", err)
	}
	if err := json.Unmarshal(item.D, &kind); err != nil || len(kind) == 0 {
		return fmt.Errorf("cannot read a transcript item's delivery %.80s: %v", item.D, err)
	}
	switch string(kind[0]) {
	case `"initialize-worker"`, `"load-snapshot"`, `"save-snapshot"`, `"shutdown-worker"`:
		return nil
	}
	s.frame(`?["deliver",`, string(item.D), `]`)
	for _, syscall := range item.SC {
		s.frame("/", string(syscall.R))
	}
	return nil
}

// syscallsOf counts the syscalls of a transcript item.
func syscallsOf(text string) int {
	var item struct{ SC []json.RawMessage }
	if json.Unmarshal([]byte(text), &item) != nil {
		return -1
	}
	return len(item.SC)
}
