package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// scaleScenario is the small form, within the others.
func (b *bench) scaleScenario() scenario {
	return scenario{
		name: "scale", rounds: 1, quick: 1, columns: []string{oursColumn},
		prepare: func() error { return nil },
		turn: func(string) error {
			r, err := b.runScale(b.smallScale(), func(string) {})
			b.results.Scales = append(b.results.Scales, r)
			return err
		},
		finish: func() error { return nil },
	}
}

// measureScale is `make scale`: its numbers join those of the other scenarios.
func measureScale(p place, o output, form scaleForm, profileDir string) (err error) {
	if form.Active < 2 || form.Active > form.Vats || form.Pool < 1 || form.Skew <= 1 {
		return errors.New("cannot do that: -active must be between 2 and -vats, -pool at least 1, -skew above 1")
	}
	b, err := newBench(p, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if profileDir != "" {
		finish, err := b.profile(profileDir)
		if err != nil {
			return err
		}
		defer finish()
	}
	r, err := b.runScale(form, sayStep())
	if err != nil {
		return fmt.Errorf("%w (what the processes printed is in %s)", err, b.log.Name())
	}
	if err := os.MkdirAll(filepath.Dir(o.raw), 0o700); err != nil {
		return err
	}
	b.results.Scales = []scale{r}
	all, err := loadResults(o.raw)
	if err != nil {
		return o.write(b.results)
	}
	b.results.keepScales(all)
	all.Scales = b.results.Scales
	return o.write(all)
}

// sayStep tells how far it is: rewritten on a terminal, else at times.
func sayStep() func(string) {
	info, err := os.Stderr.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	calls := 0
	return func(what string) {
		if calls++; terminal {
			fmt.Fprintf(os.Stderr, "\r\033[Kscale: %s", what)
		} else if calls%10 == 0 {
			fmt.Fprintf(os.Stderr, "scale: %s\n", what)
		}
	}
}

func writeScale(text *strings.Builder, s scale) {
	f := s.Form
	count := func(n int) string { return figure(float64(n)) }
	fmt.Fprintf(text, "## A store of %s vats\n\n%s registered vats, %s of them sent %s messages (Zipf, exponent %g), in blocks of %d, by a pool of %d workers; "+
		"the smallest vat there can be, first snapshot after 3 entries, the others after 200. %s, commit %s, load average before: %.1f.\n\n",
		count(f.Vats), count(f.Vats), count(s.Started), count(f.Messages), f.Skew, scaleBlock, f.Pool, s.Day, s.Commit, s.Load)
	text.WriteString("| | |\n|---|--:|\n")
	row := func(what, format string, args ...any) {
		fmt.Fprintf(text, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	row("registering them, in requests and blocks of 1,000", "%s s, %s vats a second", figure(s.RegisterSeconds), figure(float64(f.Vats)/s.RegisterSeconds))
	row("disk for a registered vat, host and daemon", "%s bytes", figure(s.DiskPerVat))
	row("largest write-ahead logs", "%s MiB", figure(float64(s.LogPeakBytes)/(1<<20)))
	row("resident memory then, host and daemon", "%d MiB, %d MiB", s.HostMemory[0], s.DaemonMemory[0])
	row("status with the first 100 vats", "%s ms", figure(s.StatusMillis))
	row("messages a second, starts, page-ins and snapshots included", "%s", figure(float64(f.Messages)/s.RunSeconds))
	row("deliveries to the active vats, their starts and snapshots' included", "%s", figure(float64(s.Deliveries)))
	row("first incarnations started; page-ins", "%s; %s", count(s.Started), count(s.PageIns))
	row("page-in, p50, p90, p99, most", "%s, %s, %s, %s ms", figure(s.PageInMillis[0]), figure(s.PageInMillis[1]), figure(s.PageInMillis[2]), figure(s.PageInMillis[3]))
	row("resident memory at the most, host and daemon", "%d MiB, %d MiB", s.HostMemory[1], s.DaemonMemory[1])
	row("disk for an active vat, snapshot included", "%s bytes", figure(s.DiskPerActive))
	row("daemon started again, to the first delivery", "%s ms", figure(s.ReopenMillis))
	row("restart-all", "%s ms", figure(s.RestartMillis))
	text.WriteByte('\n')
}
