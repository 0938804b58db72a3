package supervisor

import "sync"

// bounds are what all workers together may take of this machine.
type bounds struct {
	workers int
	bytes   int64 // 0 = no limit
}

// census counts the worker processes that live, whoever has them: online vats,
// those on their way in, spares, both of a vat whose snapshot is being taken. A
// worker that was given to the reaper counts no more. Safe for concurrent use.
type census struct {
	bounds bounds

	mu      sync.Mutex // guards the rest, and the bytes of the seats
	workers int
	weighed int   // workers whose memory is known
	bytes   int64 // that they take
}

// seat is the place of one worker in the census.
type seat struct {
	census *census
	bytes  int64 // 0 until the worker is weighed
	beside bool  // it counts by its memory only
	left   bool
}

// take gives a seat whether or not there is room.
func (c *census) take() *seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.workers++
	return &seat{census: c}
}

// takeIfFits gives a seat if another worker, of the size that is usual here, is
// within bounds; nil if not.
func (c *census) takeIfFits() *seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hasRoom() {
		return nil
	}
	c.workers++
	return &seat{census: c}
}

// takeBeside gives a seat for a worker of no vat's, if there is memory for it;
// nil if not.
func (c *census) takeBeside() *seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hasMemory() {
		return nil
	}
	return &seat{census: c, beside: true}
}

// lacksMemory tells whether it is memory that another worker would have to wait
// for.
func (c *census) lacksMemory() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.hasMemory()
}

// hasRoom tells what takeIfFits goes by; mu is held.
func (c *census) hasRoom() bool { return c.workers < c.bounds.workers && c.hasMemory() }

// hasMemory tells whether another worker of the usual size is within bounds; mu
// is held.
func (c *census) hasMemory() bool {
	usual := int64(0)
	if c.weighed > 0 {
		usual = c.bytes / int64(c.weighed)
	}
	return c.bounds.bytes == 0 || c.bytes+usual <= c.bounds.bytes
}

// over tells whether the workers take more memory than they may.
func (c *census) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bounds.bytes > 0 && c.bytes > c.bounds.bytes
}

// figures gives how many workers there are and what memory they take.
func (c *census) figures() (workers int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.workers, c.bytes
}

// weigh notes the memory that the seat's worker takes now.
func (s *seat) weigh(bytes int64) {
	s.census.mu.Lock()
	defer s.census.mu.Unlock()
	if !s.left {
		s.forget()
		s.remember(bytes)
	}
}

// leave gives the seat back; once more is harmless.
func (s *seat) leave() {
	s.census.mu.Lock()
	defer s.census.mu.Unlock()
	if s.left {
		return
	}
	s.left = true
	if !s.beside {
		s.census.workers--
	}
	s.forget()
}

// remember and forget add and take away the seat's weight; mu is held.
func (s *seat) remember(bytes int64) {
	if s.bytes = bytes; bytes > 0 {
		s.census.weighed++
		s.census.bytes += bytes
	}
}

func (s *seat) forget() {
	if s.bytes > 0 {
		s.census.weighed--
		s.census.bytes -= s.bytes
	}
	s.bytes = 0
}
