package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// results are the raw numbers of a run, as they are kept in build/bench.
type results struct {
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Quick   bool      `json:"quick"`
	Machine machine   `json:"machine"`
	Samples []sample  `json:"samples"`
	Same    []string  `json:"same"`             // what was compared between the systems and found equal
	Scales  []scale   `json:"scales,omitempty"` // by number of vats
	// Notes are further facts about a measure, by its ID.
	Notes map[string]string `json:"notes,omitempty"`
}

func (r *results) note(measure, text string) {
	if r.Notes == nil {
		r.Notes = map[string]string{}
	}
	r.Notes[measure] = text
}

// machine says where the numbers are from.
type machine struct {
	CPUs     int       `json:"cpus"`
	CPU      string    `json:"cpu"`
	Kernel   string    `json:"kernel"`
	Commit   string    `json:"commit"`
	Node     string    `json:"node"`
	Packages string    `json:"packages"`
	Loads    []float64 `json:"loads"` // load average of one minute before each scenario
}

// sample is one measurement, in the measure's unit.
type sample struct {
	Measure string  `json:"measure"`
	Column  string  `json:"column"`
	Value   float64 `json:"value"`
}

func (r *results) of(measure, column string) []float64 {
	var values []float64
	for _, s := range r.Samples {
		if s.Measure == measure && s.Column == column {
			values = append(values, s.Value)
		}
	}
	return values
}

// merge takes over from other what this run has not measured, so that single
// scenarios can be run again.
func (r *results) merge(other *results) {
	have := map[string]bool{}
	for _, s := range r.Samples {
		have[s.Measure] = true
	}
	for _, s := range other.Samples {
		if !have[s.Measure] {
			r.Samples = append(r.Samples, s)
		}
	}
	r.keepScales(other)
	for id, text := range other.Notes {
		if !have[id] {
			r.note(id, text)
		}
	}
	for _, line := range other.Same {
		if !slices.Contains(r.Same, line) {
			r.Same = append(r.Same, line)
		}
	}
}

// keepScales takes over stores of other sizes than this run has made.
func (r *results) keepScales(other *results) {
	for _, s := range other.Scales {
		same := func(mine scale) bool { return mine.Form.Vats == s.Form.Vats }
		if !slices.ContainsFunc(r.Scales, same) {
			r.Scales = append(r.Scales, s)
		}
	}
	slices.SortFunc(r.Scales, func(a, b scale) int { return a.Form.Vats - b.Form.Vats })
}

func (r *results) save(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

func loadResults(path string) (*results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(results)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return r, nil
}

// describeMachine asks the system; what it cannot tell stays empty.
func describeMachine(p place) machine {
	return machine{
		CPUs: runtime.NumCPU(), CPU: cpuModel(), Kernel: firstLine("uname", "-sr"),
		Commit: firstLine("git", "-C", p.root, "describe", "--always", "--dirty"),
		Node:   firstLine("node", "--version"), Packages: peerPackages(p),
	}
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// peerPackages names the packages of the JavaScript system with their versions.
func peerPackages(p place) string {
	var names []string
	for _, name := range []string{"swingset-vat", "swing-store", "xsnap"} {
		text, err := os.ReadFile(filepath.Join(p.peer, "node_modules", "@agoric", name, "package.json"))
		if err != nil {
			continue
		}
		var about struct{ Name, Version string }
		if json.Unmarshal(text, &about) == nil {
			names = append(names, about.Name+" "+about.Version)
		}
	}
	return strings.Join(names, ", ")
}

// loadAverage is that of the last minute, 0 if it cannot be read.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	var load float64
	_, _ = fmt.Sscan(string(text), &load)
	return load
}

// median of a list that is not empty.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// quantile gives the value below which the share q of a sorted list lies.
func quantile[T cmp.Ordered](sorted []T, q float64) T {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
