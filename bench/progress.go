package main

import (
	"fmt"
	"os"
	"time"
)

// runAll runs the scenarios in turn. rounds, unless 0, replaces their own.
func (b *bench) runAll(scenarios []scenario, rounds int) error {
	p := newProgress(b, scenarios, rounds)
	defer p.end()
	for _, s := range scenarios {
		count := b.roundsOf(s, rounds)
		if count == 0 {
			continue
		}
		b.results.Machine.Loads = append(b.results.Machine.Loads, loadAverage())
		p.show(s.name, "preparing")
		if err := s.prepare(); err != nil {
			return fmt.Errorf("cannot prepare %s: %w", s.name, err)
		}
		for round := range count {
			for _, column := range s.columns {
				p.show(s.name, fmt.Sprintf("round %d of %d, %s", round+1, count, column))
				if err := s.turn(column); err != nil {
					return fmt.Errorf("cannot measure %s of %s: %w", s.name, column, err)
				}
			}
		}
		if err := s.finish(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		p.done(s, count)
	}
	b.results.Seconds = time.Since(b.results.Began).Seconds()
	return nil
}

func (b *bench) roundsOf(s scenario, rounds int) int {
	own := s.rounds
	if b.quick {
		own = s.quick
	}
	if own > 1 && rounds > 0 {
		return rounds
	}
	return own
}

// progress is one line on stderr: rewritten on a terminal, one for each
// scenario elsewhere.
type progressLine struct {
	began    time.Time
	terminal bool
	total    float64 // expected seconds of all scenarios
	past     float64 // of those that are done
	cost     map[string]float64
	last     string
}

// Seconds that scenarios took, once, on two idle CPUs: prepare and one round.
// Only their proportions matter.
func costs() map[string][2]float64 {
	return map[string][2]float64{
		"fresh worker": {1, 4}, "syscall round trip": {0, 6}, "createVat": {6, 4}, "delivery": {6, 6}, "8 vats": {22, 12},
		"page-in": {22, 18}, "snapshot": {18, 14}, "transcript": {6, 16}, "restart-8": {25, 6}, "restart-50": {130, 18}, "restart-all": {1, 120}, "scale": {0, 60},
	}
}

func newProgress(b *bench, scenarios []scenario, rounds int) *progressLine {
	p := &progressLine{began: time.Now(), cost: map[string]float64{}}
	info, err := os.Stderr.Stat()
	p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	for _, s := range scenarios {
		if count := b.roundsOf(s, rounds); count > 0 {
			c := costs()[s.name]
			p.cost[s.name] = c[0] + c[1]*float64(count)
			p.total += p.cost[s.name]
		}
	}
	return p
}

func (p *progressLine) show(name, what string) {
	line := fmt.Sprintf("bench: %3.0f%% %s: %s%s", 100*p.past/p.total, name, what, p.left())
	if p.terminal {
		fmt.Fprintf(os.Stderr, "\r\033[K%s", line)
		return
	}
	if p.last != name {
		fmt.Fprintln(os.Stderr, line)
	}
	p.last = name
}

// left estimates the time that is left, once a scenario has told how fast this
// machine is.
func (p *progressLine) left() string {
	if p.past == 0 {
		return ""
	}
	left := time.Duration(float64(time.Since(p.began)) * (p.total - p.past) / p.past)
	return fmt.Sprintf(", about %s left", left.Round(10*time.Second))
}

func (p *progressLine) done(s scenario, _ int) { p.past += p.cost[s.name] }

func (p *progressLine) end() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}
