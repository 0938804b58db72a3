package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/kernelhost"
)

// finding is what doctor found out about one thing.
type finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// doctorDoc is the document of `doctor`.
type doctorDoc struct {
	Findings      []finding `json:"findings"`
	Failed        int       `json:"failed"`
	ExplicitFlags *int64    `json:"explicitFlags,omitempty"` // records that were rewritten
}

func (a *app) doctorCommand() *cobra.Command {
	var writeFlags bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check this machine, the engine and (with --db) a database", Args: noArguments,
		Long: "doctor checks what vats need to run here, and says what to change and what that would gain. It\n" +
			"starts a worker of each engine and compares its heap with the one that it has everywhere. With --db\n" +
			"it also looks at the disk, opens the database and reads every heap snapshot; verify checks all of\n" +
			"it. It changes nothing, unless --write-explicit-flags asks it to write both flags into the records\n" +
			"of vats from before there were flags.",
	}
	cmd.Flags().BoolVar(&writeFlags, "write-explicit-flags", false, "write the suspended and paused flags into records that lack them")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if writeFlags || a.db != "" {
			if err := a.needVats(); err != nil {
				return err
			}
		}
		var doc doctorDoc
		if err := a.checkMachine(cmd.Context(), &doc); err != nil {
			return err
		}
		if a.db != "" {
			doc.Findings = append(doc.Findings, checkDisk(a.path(a.db)))
			if err := a.examine(cmd.Context(), writeFlags, &doc); err != nil {
				return err
			}
		}
		return a.diagnosed(doc)
	}
	return cmd
}

// checkMachine looks at all that is there without a database.
func (a *app) checkMachine(ctx context.Context, doc *doctorDoc) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	total, err := totalMemory(ownCgroup())
	if err != nil {
		return err
	}
	doc.Findings = append(doc.Findings, checkKernel(), a.checkEngine())
	doc.Findings = append(doc.Findings, a.testEngines(ctx)...)
	doc.Findings = append(doc.Findings, checkBundler(), a.checkCPU(), a.checkDescriptors(), a.pool.checkProcesses(ownCgroup()))
	doc.Findings = append(doc.Findings, a.workers.findings()...)
	doc.Findings = append(doc.Findings, a.pool.checkMemory(total), a.workers.checkHugePages(hugePagesFile))
	return ctx.Err()
}

// found makes a finding of a check's outcome.
func found(check, detail string, err error) finding {
	if err == nil {
		return finding{Check: check, OK: true, Detail: detail}
	}
	f := failureOf(err)
	return finding{Check: check, Detail: f.Error(), Hint: f.told.Hint}
}

// checkBundler looks for what bundles vat sources; ready bundles do without.
func checkBundler() finding {
	path, err := exec.LookPath("node")
	if err == nil {
		path += ", " + bundleScript()
		_, err = os.Stat(bundleScript())
	}
	if err != nil {
		return finding{Check: "bundler", OK: true, Detail: fmt.Sprintf("sources (sourceSpec) cannot be bundled, ready bundles (bundleSpec) can be used: %v", err)}
	}
	return found("bundler", path, nil)
}

func (a *app) checkCPU() finding {
	cpu, err := parseCPU(a.cpu)
	if cpu < 0 {
		return found("cpu", "deliveries and workers use any CPU", err)
	}
	return found("cpu", fmt.Sprintf("deliveries and workers share CPU %d", cpu), err)
}

// examine checks a database, and writes its flags out if it was asked to.
func (a *app) examine(ctx context.Context, writeFlags bool, doc *doctorDoc) error {
	open := a.withView
	if writeFlags {
		open = a.withKernel
	}
	return open(ctx, func(s *session) error {
		st, err := s.see.Status(s.ctx, "", noVat)
		if err != nil {
			return err
		}
		doc.Findings = append(doc.Findings, checkDatabase(st))
		checks, err := s.see.SnapshotVerify(s.ctx, "")
		if err != nil {
			return err
		}
		bad := finding{Check: "snapshots", OK: true, Detail: screen.Plural(int64(len(checks)), "heap snapshot") + " sound"}
		for _, check := range checks {
			if check.Problem != "" {
				bad = finding{Check: "snapshots", Detail: check.Problem, Hint: "`vatworkerd snapshot verify` lists them all; a vat whose transcript reaches back far enough mends its own"}
			}
		}
		doc.Findings = append(doc.Findings, bad)
		if !writeFlags {
			return nil
		}
		n, err := s.kernel.WriteExplicitFlags(s.ctx)
		if err != nil {
			return err
		}
		doc.ExplicitFlags = &n
		return s.kernel.Commit(s.ctx)
	})
}

func checkDatabase(st kernelhost.Status) finding {
	if st.Panic != "" {
		return finding{Check: "database", Detail: "panic: " + st.Panic}
	}
	return found("database", fmt.Sprintf("height %s, %s", screen.Count(st.Height), vatTotals(st.Counts)), nil)
}

// diagnosed shows the findings; a bad one fails the command.
func (a *app) diagnosed(doc doctorDoc) error {
	table := screen.Table{Columns: []screen.Column{{Title: "CHECK"}, {Title: ""}, {Title: "FOUND"}}}
	for _, f := range doc.Findings {
		verdict := screen.Cell{Text: "ok", Style: screen.Green}
		if !f.OK {
			doc.Failed++
			verdict = screen.Cell{Text: "bad", Style: screen.Red}
		}
		table.Add(screen.Cell{Text: f.Check}, verdict, screen.Cell{Text: f.Detail})
		if f.Hint != "" {
			table.Add(screen.Cell{}, screen.Cell{}, screen.Cell{Text: "hint: " + f.Hint, Style: screen.Dim})
		}
	}
	if err := a.show(doc, table); err != nil {
		return err
	}
	if doc.ExplicitFlags != nil && !a.json {
		fmt.Fprintf(a.stdout, "\nflags written into %s\n", screen.Plural(*doc.ExplicitFlags, "record"))
	}
	if doc.Failed > 0 {
		return failed{}
	}
	return nil
}
