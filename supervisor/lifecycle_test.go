package supervisor

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the generated part of docs/lifecycle.md anew")

const (
	lifecycleDoc = "../docs/lifecycle.md"
	genBegin     = "<!-- generated from supervisor/lifecycle.go by go test ./supervisor -run Lifecycle -rewrite -->\n"
	genEnd       = "<!-- end of the generated part -->\n"
)

func TestLifecycleDocIsTheTable(t *testing.T) {
	text, err := os.ReadFile(lifecycleDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), genBegin)
	_, after, ok2 := strings.Cut(rest, genEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no generated part", lifecycleDoc)
	}
	want := before + genBegin + renderTable() + "\n" + renderDiagram() + genEnd + after
	if string(text) == want {
		return
	}
	if !*rewrite {
		t.Fatalf("%s does not show the table in lifecycle.go; run: go test ./supervisor -run Lifecycle -rewrite", lifecycleDoc)
	}
	if err := os.WriteFile(lifecycleDoc, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func renderTable() string {
	var b strings.Builder
	b.WriteString("| event |")
	for s := range numStates {
		fmt.Fprintf(&b, " %s |", s)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", int(numStates)) + "\n")
	for e, row := range lifecycle() {
		fmt.Fprintf(&b, "| **%s** |", event(e))
		for s, square := range row {
			b.WriteString(" " + renderCell(state(s), square) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func renderCell(from state, square cell) string {
	if square.refuse == never {
		return "—"
	}
	if square.refuse != "" {
		return "refused: " + square.refuse
	}
	next := "→ " + square.next.String()
	if square.next == from {
		next = "stays"
	}
	var does []string
	for _, do := range square.does {
		does = append(does, do.String())
	}
	if len(does) == 0 {
		return next
	}
	return next + "; " + strings.Join(does, ", ")
}

func renderDiagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> suspended: create\n")
	id := func(s state) string { return strings.ReplaceAll(s.String(), "-", "_") }
	for from := range numStates {
		var order []state
		by := map[state][]string{}
		for e, row := range lifecycle() {
			square := row[from]
			if square.refuse != "" || square.next == from {
				continue
			}
			if by[square.next] == nil {
				order = append(order, square.next)
			}
			by[square.next] = append(by[square.next], event(e).String())
		}
		for _, next := range order {
			fmt.Fprintf(&b, "    %s --> %s: %s\n", id(from), id(next), strings.Join(by[next], ", "))
		}
	}
	b.WriteString("    terminated --> [*]\n```\n")
	return b.String()
}

func TestLifecycleIsTotal(t *testing.T) {
	for e, row := range lifecycle() {
		for s, square := range row {
			if square.refuse == "" && square.next >= numStates {
				t.Errorf("%s in %s leads nowhere", event(e), state(s))
			}
			if square.refuse != "" && len(square.does) > 0 {
				t.Errorf("%s in %s is refused and does something", event(e), state(s))
			}
		}
	}
}

// A vat that failed to start is where the table starts nothing by itself, so
// attempts cannot loop.
func TestLifecycleNeverRetriesAFailedStart(t *testing.T) {
	table := lifecycle()
	for from := range numStates {
		square := table[evStartFailed][from]
		if square.refuse != "" {
			continue
		}
		if square.next != deliberate {
			t.Errorf("a failed start in %s leads to %s", from, square.next)
		}
	}
	if slices.Contains(table[evDeliver][deliberate].does, doStart) {
		t.Error("a delivery starts a deliberately suspended vat")
	}
}

// Whatever moves a vat into a holding state parks its queue, and whatever moves
// it out releases it.
func TestLifecycleParksAndReleases(t *testing.T) {
	for e, row := range lifecycle() {
		for s, square := range row {
			if square.refuse != "" {
				continue
			}
			from, next := state(s), square.next
			if parks := slices.Contains(square.does, doPark); parks != (!from.holds() && next.holds()) {
				t.Errorf("%s in %s: parks = %v", event(e), from, parks)
			}
			if frees := slices.Contains(square.does, doRelease); frees != (from.holds() && !next.holds()) {
				t.Errorf("%s in %s: releases = %v", event(e), from, frees)
			}
			ends := from.hasIncarnation() && (!next.hasIncarnation() || event(e) == evUpgrade)
			if does := slices.Contains(square.does, doEnd); does != ends {
				t.Errorf("%s in %s: ends the incarnation = %v", event(e), from, does)
			}
		}
	}
}
