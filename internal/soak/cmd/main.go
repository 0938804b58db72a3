// Command cmd is `make soak`: see package soak.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/internal/soak"
)

// Exit codes, as those of vatworkerd.
const (
	exitFailed = 1
	exitUsage  = 2
)

type flags struct {
	o      soak.Options
	top    string
	disk   int64
	asJSON bool
	keep   bool
}

func main() {
	soak.ServeHost()
	var f flags
	flag.DurationVar(&f.o.Duration, "duration", 5*time.Minute, "how long the disturbed run goes on; the calm one takes about as long")
	flag.IntVar(&f.o.Vats, "vats", 300, "how many vats there are")
	flag.IntVar(&f.o.Pool, "pool", 8, "workers at a time in the disturbed run")
	flag.IntVar(&f.o.CalmPool, "calm-pool", 5, "workers at a time in the calm run")
	flag.Uint64Var(&f.o.Seed, "seed", 0, "repeats a soak; 0 = another one each time")
	flag.BoolVar(&f.o.Faults, "faults", true, "disturb the first run")
	flag.DurationVar(&f.o.Silence, "silence", 10*time.Second, "after how long a stopped worker counts as dead; 0 = none is stopped for good")
	flag.Int64Var(&f.disk, "disk", 4096, "megabytes of a disk in memory that is filled up now and then; 0 = none; it needs the right to mount")
	flag.StringVar(&f.top, "top", ".", "where build/ is")
	flag.BoolVar(&f.asJSON, "json", false, "one JSON document on stdout")
	flag.BoolVar(&f.keep, "keep", false, "keep the databases")
	flag.Parse()
	if flag.NArg() > 0 || f.o.Vats < 1 || f.o.Pool < 1 || f.o.CalmPool < 1 || f.o.Duration <= 0 || f.disk < 0 {
		fmt.Fprintln(os.Stderr, "soak: vats, pools and duration must be above 0, and there are no arguments besides the flags")
		os.Exit(exitUsage)
	}
	if f.o.Seed == 0 {
		f.o.Seed = rand.Uint64()
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	report, err := f.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "soak: %v (seed %d)\n", err, f.o.Seed)
		os.Exit(exitFailed)
	}
	if f.asJSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		err = report.Write(os.Stdout)
	}
	if err != nil || !report.OK() {
		os.Exit(exitFailed)
	}
}

func (f flags) run(ctx context.Context) (report soak.Report, err error) {
	if f.o.Dir, err = os.MkdirTemp("", "vatworkerd-soak-"); err != nil {
		return report, err
	}
	if !f.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(f.o.Dir)) }()
	} else {
		fmt.Fprintf(os.Stderr, "soak: the databases are kept in %s\n", f.o.Dir)
	}
	if f.disk > 0 && f.o.Faults {
		unmount, problem := soak.MountDisk(f.o.Dir, f.disk<<20)
		if problem != nil {
			fmt.Fprintf(os.Stderr, "soak: %v; the disk never gets full\n", problem)
		} else {
			f.o.OwnDisk = true
			defer func() { err = errors.Join(err, unmount()) }()
		}
	}
	if err := f.find(); err != nil {
		return report, err
	}
	_, problem := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS)
	line := &soak.Line{Out: os.Stderr, Terminal: problem == nil}
	f.o.Tell = line.Show
	defer line.End()
	return soak.Run(ctx, f.o)
}

// find gives the soak the programs it runs. The daemon is built for it.
func (f *flags) find() error {
	top, err := filepath.Abs(f.top)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	build := filepath.Join(top, "build")
	f.o.Host, f.o.Daemon = []string{exe}, filepath.Join(f.o.Dir, "vatworkerd")
	f.o.Engine, f.o.Bundles, f.o.Cache = filepath.Join(build, "engine"), filepath.Join(build, "bundles"), filepath.Join(build, "base")
	if out, err := exec.Command("go", "build", "-o", f.o.Daemon, "vatworkerd/cmd/vatworkerd").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build vatworkerd: %w\n%s", err, out)
	}
	return nil
}
