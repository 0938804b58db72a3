package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// writeReport writes the table, and its plots beside it.
func writeReport(r *results, table string) error {
	dir := filepath.Join(filepath.Dir(table), "plots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString("# Measured against the JavaScript system\n\nWritten by `make bench`; [README.md](README.md) says how every figure is taken.\n\n")
	writeMachine(&text, r)
	writeTable(&text, r)
	if err := writePlots(&text, r, dir); err != nil {
		return err
	}
	for _, s := range r.Scales {
		writeScale(&text, s)
	}
	writeHow(&text, r)
	return os.WriteFile(table, []byte(text.String()), 0o644)
}

func writeMachine(text *strings.Builder, r *results) {
	m := r.Machine
	fmt.Fprintf(text, "%s, %d CPUs (%s), %s, node %s, commit %s, %.0f minutes. The JavaScript system: %s, the same engine binary.\n",
		r.Began.Format("2006-01-02"), m.CPUs, m.CPU, m.Kernel, m.Node, m.Commit, r.Seconds/60, m.Packages)
	if r.Quick {
		text.WriteString("This is the quick form: fewer rounds, and without what takes long.\n")
	}
	if busiest := slices.Max(append(m.Loads, 0)); busiest > float64(m.CPUs)+1 {
		fmt.Fprintf(text, "\n> **The machine was busy with other work** (load average %.1f at the worst): single figures are only indicative. "+
			"The columns took turns, so the ratios suffer less.\n", busiest)
	}
	text.WriteByte('\n')
}

func writeTable(text *strings.Builder, r *results) {
	text.WriteString("Medians; in brackets the least and the most of the rounds. *× faster* is the median over the rounds of the JavaScript system's figure over ours " +
		"(of rates: the other way), *× limit* is ours over the limit.\n\n")
	text.WriteString("| measure | unit |")
	for _, c := range columns() {
		fmt.Fprintf(text, " %s |", c.Title)
	}
	text.WriteString(" × faster | × limit | required | |\n|---|---|" + strings.Repeat("--:|", len(columns())+2) + "---|---|\n")
	for _, m := range measures() {
		writeRow(text, r, m)
	}
	text.WriteByte('\n')
}

func writeRow(text *strings.Builder, r *results, m measure) {
	if !m.taken(r) {
		return
	}
	fmt.Fprintf(text, "| %s | %s |", m.Title, m.Unit)
	for _, c := range columns() {
		fmt.Fprintf(text, " %s |", spread(r.of(m.ID, c.ID)))
	}
	needs, met := m.Need.judge(r, m)
	fmt.Fprintf(text, " %s | %s | %s | %s |\n", times(m.faster(r, oursColumn)), times(m.overLimit(r, oursColumn)), needs, met)
}

// spread shows a median with the least and the most.
func spread(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	if len(values) == 1 || slices.Min(values) == slices.Max(values) {
		return figure(values[0])
	}
	return fmt.Sprintf("**%s** (%s … %s)", figure(median(values)), figure(slices.Min(values)), figure(slices.Max(values)))
}

// figure shows three significant digits, and all of a large number.
func figure(v float64) string {
	if v < 1000 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func times(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return figure(ratio)
}

// taken tells whether there are figures of ours.
func (m measure) taken(r *results) bool {
	return len(r.of(m.ID, oursColumn)) > 0 || len(r.of(m.ID, nativeColumn)) > 0
}

// faster says how many times better than the peer a column is, 0 if that is not
// known.
func (m measure) faster(r *results, column string) float64 {
	if m.Rate {
		return ratio(r.of(m.ID, column), r.of(m.ID, peerColumn))
	}
	return ratio(r.of(m.ID, peerColumn), r.of(m.ID, column))
}

// overLimit says how many times the limit a column takes, 0 if that is not known.
func (m measure) overLimit(r *results, column string) float64 {
	if m.Rate {
		return ratio(r.of(m.ID, limitColumn), r.of(m.ID, column))
	}
	return ratio(r.of(m.ID, column), r.of(m.ID, limitColumn))
}

// ratio is the median of the rounds' ratios: what slows the machine down for a
// while slows both. Columns with other numbers of rounds are compared by their
// medians.
func ratio(above, below []float64) float64 {
	if len(above) == 0 || len(below) == 0 {
		return 0
	}
	if len(above) != len(below) {
		return median(above) / median(below)
	}
	each := make([]float64, len(above))
	for i := range each {
		each[i] = above[i] / below[i]
	}
	return median(each)
}

// verdict collects what is required of a measure and whether all of it is met.
type verdict struct {
	texts  []string
	missed bool
}

func (v *verdict) demand(ok bool, format string, args ...any) {
	v.texts = append(v.texts, fmt.Sprintf(format, args...))
	v.missed = v.missed || !ok
}

// judge says what is required and whether it is met.
func (n need) judge(r *results, m measure) (text, met string) {
	var v verdict
	if n.OverPeer > 0 {
		v.demand(m.faster(r, oursColumn) >= n.OverPeer, "≥ %g × faster", n.OverPeer)
	}
	if n.OfLimit > 0 {
		v.demand(m.overLimit(r, oursColumn) <= n.OfLimit, "≤ %g × limit", n.OfLimit)
	}
	if n.PeerShare > 0 {
		v.demand(m.faster(r, oursColumn) >= 1/n.PeerShare, "≤ %g × the peer's", n.PeerShare)
	}
	if n.Below > 0 {
		v.demand(median(r.of(m.ID, oursColumn)) < n.Below, "< %g %s", n.Below, m.Unit)
	}
	if n.FlatOver != "" {
		base := r.of(n.FlatOver, oursColumn)
		v.demand(len(base) > 0 && median(r.of(m.ID, oursColumn)) <= median(base)+flatWithin, "flat (≤ %d %s over 10³)", flatWithin, m.Unit)
	}
	n.Native.judge(r, m, &v)
	switch {
	case len(v.texts) == 0:
		return "", ""
	case v.missed:
		return strings.Join(v.texts, ", "), "**missed**"
	}
	return strings.Join(v.texts, ", "), "met"
}

// judge looks at the native column only, if there is one. What it misses is
// said with its figure, which has no column of ratios.
func (n nativeNeed) judge(r *results, m measure, v *verdict) {
	native := r.of(m.ID, nativeColumn)
	if len(native) == 0 {
		return
	}
	demand := func(got, most float64, what string) {
		v.demand(got > 0 && got <= most, "native ≤ %g%s (%s)", most, what, figure(got))
	}
	if n.AtMost > 0 {
		demand(median(native), n.AtMost, " "+m.Unit)
	}
	if n.OfLimit > 0 {
		demand(m.overLimit(r, nativeColumn), n.OfLimit, " × limit")
	}
	if n.OfStock > 0 {
		demand(ratio(native, r.of(m.ID, oursColumn)), n.OfStock, " × stock")
	}
}

func writeHow(text *strings.Builder, r *results) {
	text.WriteString("## How each figure is taken\n\n")
	for _, m := range measures() {
		if !m.taken(r) {
			continue
		}
		note := ""
		if extra := r.Notes[m.ID]; extra != "" {
			note = " (" + extra + ")"
		}
		fmt.Fprintf(text, "* *%s*, in %s: %s%s.\n", m.Title, m.Unit, m.How, note)
	}
	text.WriteString("\n## The same work\n\nCompared between the systems, and found equal:\n\n")
	for _, line := range r.Same {
		fmt.Fprintf(text, "* %s\n", line)
	}
}
