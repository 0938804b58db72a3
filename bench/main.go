// Command bench measures vatworkerd against the JavaScript system and against
// what the engine and the machine allow, and writes bench/RESULTS.md.
// bench/README.md says how every figure is taken.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 6 && args[0] == firstDelivery {
		return serveFirst(args[1], args[2], args[3], args[4], args[5])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	root := flags.String("root", ".", "directory of the repository")
	quick := flags.Bool("quick", os.Getenv("BENCH_QUICK") != "", "the quick form (environment: BENCH_QUICK=1)")
	only := flags.String("only", "", "only scenarios whose names contain one of these, with commas; the other numbers are kept")
	render := flags.Bool("render", false, "measure nothing; write the table again from the numbers kept")
	rounds := flags.Int("rounds", 0, "rounds of each scenario (default: what the scenario has)")
	large := flags.Bool("scale", false, "a store of many vats instead of the scenarios; -vats, -active, -pool, -messages and -skew change it")
	form := wholeScale()
	flags.IntVar(&form.Vats, "vats", form.Vats, "with -scale: registered vats")
	flags.IntVar(&form.Active, "active", form.Active, "with -scale: vats that get messages")
	flags.IntVar(&form.Pool, "pool", form.Pool, "with -scale: workers")
	flags.IntVar(&form.Messages, "messages", form.Messages, "with -scale: messages in all")
	flags.Float64Var(&form.Skew, "skew", form.Skew, "with -scale: how unevenly they are spread (exponent of a Zipf distribution, above 1)")
	profile := flags.String("profile", "", "directory for profiles of this process (host.pprof) and of vatworkerd serve (ours, native: cpu.pprof of the last one)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := findPlace(*root)
	if err != nil {
		return err
	}
	o := output{raw: filepath.Join(p.out, "results.json"), table: filepath.Join(p.root, "bench", "RESULTS.md")}
	if *quick {
		o = output{raw: filepath.Join(p.out, "quick", "results.json"), table: filepath.Join(p.out, "quick", "RESULTS.md")}
	}
	if *render {
		r, err := loadResults(o.raw)
		if err != nil {
			return err
		}
		return o.write(r)
	}
	if *large {
		return measureScale(p, o, form, *profile)
	}
	return measureAll(p, o, *quick, *only, *rounds, *profile)
}

// output says where the numbers go.
type output struct {
	raw   string
	table string
}

func measureAll(p place, o output, quick bool, only string, rounds int, profileDir string) (err error) {
	b, err := newBench(p, quick)
	if err != nil {
		return err
	}
	if profileDir != "" {
		finish, err := b.profile(profileDir)
		if err != nil {
			return errors.Join(err, b.close())
		}
		defer finish()
	}
	defer func() { err = errors.Join(err, b.close()) }()
	runErr := b.runAll(chosen(b.scenarios(), only), rounds)
	if before, err := loadResults(o.raw); err == nil {
		if only != "" || runErr != nil {
			b.results.merge(before)
		}
		b.results.keepScales(before)
	}
	if runErr != nil {
		return errors.Join(fmt.Errorf("%w (what the processes printed is in %s)", runErr, b.log.Name()), b.results.save(o.raw))
	}
	return o.write(b.results)
}

func (o output) write(r *results) error {
	if err := r.save(o.raw); err != nil {
		return err
	}
	if err := writeReport(r, o.table); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "bench: the table is %s, the numbers are %s\n", o.table, o.raw)
	return nil
}

func chosen(all []scenario, only string) []scenario {
	if only == "" {
		return all
	}
	words := strings.Split(only, ",")
	return slices.DeleteFunc(all, func(s scenario) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(s.name, word) })
	})
}
