package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"vatworkerd/xsnap"
)

// bench is one run of the benchmark.
type bench struct {
	place    place
	quick    bool
	work     string // directory of this run, removed at its end
	log      *os.File
	images   map[string]xsnap.Image // by column
	spawner  *xsnap.Spawner
	base     *xsnap.BaseCache
	results  *results
	profiles string   // directory for profiles, "" for none
	systems  []system // all that were made; ended at the latest by close
}

// newBench makes what the scenarios share. Nothing in it is measured.
func newBench(p place, quick bool) (*bench, error) {
	b := &bench{place: p, quick: quick, results: &results{Began: time.Now(), Quick: quick, Machine: describeMachine(p)}}
	if err := b.sameEngine(); err != nil {
		return nil, err
	}
	if err := removeOldRuns(p.out); err != nil {
		return nil, err
	}
	var err error
	if b.work, err = os.MkdirTemp(p.out, "run-"); err != nil {
		return nil, err
	}
	if err := b.equip(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// removeOldRuns removes the directories of runs that were interrupted.
func removeOldRuns(out string) error {
	old, err := filepath.Glob(filepath.Join(out, "run-*"))
	for _, dir := range old {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func (b *bench) equip() (err error) {
	// What workers, node and vatworkerd print is kept apart from the progress.
	if b.log, err = os.Create(filepath.Join(b.place.out, "bench.log")); err != nil {
		return err
	}
	if err := b.loadImages(); err != nil {
		return err
	}
	if b.spawner, err = xsnap.NewSpawner(); err != nil {
		return err
	}
	b.base, err = xsnap.NewBaseCache(b.spawner, filepath.Join(b.place.out, "cache"))
	return err
}

// loadImages loads the worker images of our columns.
func (b *bench) loadImages() error {
	b.images = map[string]xsnap.Image{}
	for _, column := range systemColumns()[1:] {
		worker := b.place.workerOf(column)
		beside := func(name string) string { return filepath.Join(filepath.Dir(worker), name) }
		image, err := xsnap.LoadImage(worker, beside("lockdown.bundle"), beside("supervisor.bundle"))
		if err != nil {
			return err
		}
		b.images[column] = image
	}
	return nil
}

func (b *bench) close() error {
	var errs []error
	for _, s := range b.systems {
		errs = append(errs, s.end())
	}
	if b.spawner != nil {
		b.spawner.Close()
	}
	if b.log != nil {
		errs = append(errs, b.log.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.work))...)
}

// sameEngine refuses to compare two different engines.
func (b *bench) sameEngine() error {
	ours, err := os.ReadFile(b.place.enginePath())
	if err != nil {
		return err
	}
	theirs, err := os.ReadFile(b.place.peerEngine())
	if err != nil {
		return err
	}
	if !bytes.Equal(ours, theirs) {
		return fmt.Errorf("%s is not the engine in %s; run: make peer", b.place.peerEngine(), b.place.engine)
	}
	return nil
}

// system makes the system of a column.
func (b *bench) system(column string) system {
	var s system = &ours{place: b.place, label: column, flags: b.columnFlags(column), stderr: b.log}
	if column == peerColumn {
		s = &peer{place: b.place, stderr: b.log}
	}
	b.systems = append(b.systems, s)
	return s
}

// columnFlags are those of a column's serve, besides the defaults.
func (b *bench) columnFlags(column string) []string {
	if b.profiles == "" {
		return nil
	}
	return []string{"--profile", filepath.Join(b.profiles, column)}
}

func (b *bench) sample(measure, column string, value float64) {
	b.results.Samples = append(b.results.Samples, sample{Measure: measure, Column: column, Value: value})
}

// cpu is the one that a worker and its driver share, as `serve --cpu auto` has it.
func (b *bench) cpu() int {
	if runtime.NumCPU() < 2 {
		return -1
	}
	return runtime.NumCPU() - 1
}

// lap is a stretch of a script between two marks.
type lap struct {
	wall time.Duration
	cpu  time.Duration // the worker's
}

// play drives one engine by a script and gives its laps. heap, where the engine
// starts, and save, where it writes its heap, may be "".
func (b *bench) play(s *script, heap, save string) ([]lap, error) {
	path := filepath.Join(b.work, "script")
	if err := os.WriteFile(path, s.text, 0o600); err != nil {
		return nil, err
	}
	args := []string{"play", strconv.Itoa(b.cpu()), path, b.place.enginePath()}
	if heap != "" {
		args = append(args, heap)
	}
	if save != "" {
		args = append(args, save)
	}
	out, err := b.bare(args...)
	if err != nil {
		return nil, err
	}
	var laps []lap
	for line := range strings.Lines(out) {
		var wall, cpu int64
		if _, err := fmt.Sscan(line, &wall, &cpu); err != nil {
			return nil, fmt.Errorf("cannot read what bare printed: %q", line)
		}
		laps = append(laps, lap{wall: time.Duration(wall), cpu: time.Duration(cpu)})
	}
	if len(laps) != s.marks {
		return nil, fmt.Errorf("bare printed %d laps of %d", len(laps), s.marks)
	}
	return laps, nil
}

func (b *bench) bare(args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(b.place.bare, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// basePath is the file of the stock image's base snapshot, made if need be.
func (b *bench) basePath() (string, error) {
	f, err := b.base.Open(b.images[oursColumn])
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// profile profiles this process and every `serve` that is started from now on.
func (b *bench) profile(dir string) (finish func(), err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "host.pprof"))
	if err != nil {
		return nil, err
	}
	b.profiles = dir
	return pprof.StopCPUProfile, pprof.StartCPUProfile(f)
}

// firstLine of what a command prints, "" if it fails.
func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
