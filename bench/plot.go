package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Plots are read without colour: bars differ by pattern, lines by dashes and
// markers, and every value is written beside its bar.

// writePlots writes the plots and refers to them.
func writePlots(text *strings.Builder, r *results, dir string) error {
	for _, p := range []struct{ file, about, svg string }{
		{"faster.svg", "How many times better than the JavaScript system; the line is what is required", fasterPlot(r)},
		{"deliveries.svg", "Time of a delivery by its number of syscalls", barPlot(r, "ms for each delivery", []string{"deliver-null", "deliver-5", "deliver-60"})},
		{"page-in.svg", "Page-in by size of the heap", linePlot(r, "page-in, ms", "heap, MB", points("pagein-", 8, 13, 50, 150))},
		{"stored.svg", "Bytes kept of a snapshot by size of the heap", linePlot(r, "stored, bytes", "heap, MB", points("stored-", 8, 13, 50, 150))},
		{"restart-all.svg", "restart-all by number of vats", linePlot(r, "restart-all, ms", "vats", points("restartall-", 1e3, 1e5, 1e6))},
	} {
		if p.svg == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, p.file), []byte(p.svg), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(text, "![%s](plots/%s)\n\n", p.about, p.file)
	}
	return nil
}

const (
	plotWidth  = 760.0
	leftEdge   = 300.0
	rightEdge  = plotWidth - 130 // leaves room for the last value
	barHeight  = 16.0
	lineHeight = 380.0
)

// svg collects the elements of a picture on white, in black.
type svg struct{ strings.Builder }

func (s *svg) add(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

func (s *svg) text(x, y float64, anchor, text string) {
	s.add(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, text)
}

func (s *svg) finish(height float64) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="sans-serif" font-size="12">
<defs>
<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="white"/><circle cx="3" cy="3" r="1.2"/></pattern>
<pattern id="lines" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="white"/><rect width="2" height="6"/></pattern>
<pattern id="grid" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="white"/><path d="M0 3h6M3 0v6" stroke="black"/></pattern>
</defs>
<rect width="100%%" height="100%%" fill="white"/>
%s</svg>
`, plotWidth, height, plotWidth, height, s.String())
}

// style is how a column looks.
type style struct {
	fill, dash, marker string
	below              bool // its values stand below the line
}

func styles() map[string]style {
	return map[string]style{
		peerColumn:   {fill: "url(#dots)", dash: "2 3", marker: "square"},
		oursColumn:   {fill: "#444", dash: "", marker: "circle"},
		nativeColumn: {fill: "url(#grid)", dash: "12 3 2 3", marker: "diamond", below: true},
		limitColumn:  {fill: "url(#lines)", dash: "8 4", marker: "triangle"},
	}
}

// scaleOf maps values to x, by their logarithm.
func scaleOf(least, most float64) func(float64) float64 {
	least, most = math.Log10(least), math.Log10(most)
	return func(v float64) float64 {
		return leftEdge + (rightEdge-leftEdge)*(math.Log10(v)-least)/(most-least)
	}
}

// fasterPlot has a bar for each measure the peer has too.
func fasterPlot(r *results) string {
	type bar struct {
		measure
		ratio float64
	}
	var bars []bar
	least, most := 1.0, 10.0
	for _, m := range measures() {
		if ratio := m.faster(r, oursColumn); ratio > 0 {
			bars = append(bars, bar{m, ratio})
			least, most = min(least, ratio), max(most, ratio, m.Need.OverPeer)
		}
	}
	if len(bars) == 0 {
		return ""
	}
	var s svg
	x := scaleOf(least*0.9, most*1.3)
	y := 30.0
	for _, b := range bars {
		s.text(leftEdge-8, y+12, "end", b.Title)
		s.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="url(#lines)" stroke="black"/>`, min(x(1), x(b.ratio)), y, math.Abs(x(b.ratio)-x(1)), barHeight)
		required := b.Need.OverPeer
		if b.Need.PeerShare > 0 {
			required = 1 / b.Need.PeerShare
		}
		label := figure(b.ratio) + " ×"
		if required > 0 {
			s.add(`<path d="M%.1f %.1f v%.1f" stroke="black" stroke-width="3"/>`, x(required), y-3, barHeight+6)
			label += fmt.Sprintf(" (of %s)", figure(required))
		}
		s.text(max(x(b.ratio), x(1), x(max(required, 1)))+6, y+12, "start", label)
		y += barHeight + 10
	}
	s.add(`<path d="M%.1f 20 V%.1f" stroke="black" stroke-dasharray="2 2"/>`, x(1), y)
	s.text(x(1), 14, "middle", "the same")
	return s.finish(y + 14)
}

// barPlot has a group of bars for each measure, one for each column.
func barPlot(r *results, unit string, ids []string) string {
	titles := map[string]string{}
	for _, m := range measures() {
		titles[m.ID] = m.Title
	}
	least, most := extent(r, ids)
	if most == 0 {
		return ""
	}
	var s svg
	x := scaleOf(least*0.5, most*1.2)
	s.text(leftEdge, 16, "start", unit+", logarithmic")
	y := 30.0
	for _, id := range ids {
		for _, c := range columns() {
			values := r.of(id, c.ID)
			if len(values) == 0 {
				continue
			}
			s.text(leftEdge-8, y+12, "end", titles[id]+": "+c.Title)
			s.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" stroke="black"/>`, leftEdge, y, x(median(values))-leftEdge, barHeight, styles()[c.ID].fill)
			s.text(x(median(values))+6, y+12, "start", figure(median(values)))
			y += barHeight + 4
		}
		y += 12
	}
	return s.finish(y)
}

// extent gives the least and the greatest value of some measures.
func extent(r *results, ids []string) (least, most float64) {
	least = math.Inf(1)
	for _, id := range ids {
		for _, c := range columns() {
			for _, v := range r.of(id, c.ID) {
				least, most = min(least, v), max(most, v)
			}
		}
	}
	return least, most
}

// point is a measure at a place of the x axis.
type point struct {
	measure string
	x       float64
}

func points(prefix string, xs ...float64) []point {
	var list []point
	for _, x := range xs {
		list = append(list, point{fmt.Sprintf("%s%.0f", prefix, x), x})
	}
	return list
}

// linePlot has a line for each column; both axes are logarithmic.
func linePlot(r *results, unit, axis string, points []point) string {
	points = slices.DeleteFunc(points, func(p point) bool { return len(r.of(p.measure, oursColumn)) == 0 })
	if len(points) < 2 {
		return ""
	}
	var ids []string
	for _, p := range points {
		ids = append(ids, p.measure)
	}
	least, most := extent(r, ids)
	var s svg
	lx := scaleOf(points[0].x*0.7, points[len(points)-1].x*1.4)
	x := func(v float64) float64 { return 80 + (lx(v)-leftEdge)*(plotWidth-280)/(rightEdge-leftEdge) }
	low, high := math.Log10(least*0.6), math.Log10(most*1.5)
	y := func(v float64) float64 { return lineHeight - 50 - (lineHeight-90)*(math.Log10(v)-low)/(high-low) }
	s.add(`<path d="M70 30 V%.1f H%.1f" fill="none" stroke="black"/>`, lineHeight-40, plotWidth-180)
	s.text(70, 20, "start", unit+" (both axes logarithmic)")
	s.text((plotWidth-110)/2, lineHeight-6, "middle", axis)
	for _, p := range points {
		s.text(x(p.x), lineHeight-24, "middle", figure(p.x))
	}
	for _, c := range columns() {
		s.line(r, c, points, x, y)
	}
	return s.finish(lineHeight)
}

func (s *svg) line(r *results, c column, points []point, x, y func(float64) float64) {
	look := styles()[c.ID]
	var path []string
	var lastX, lastY float64
	for _, p := range points {
		values := r.of(p.measure, c.ID)
		if len(values) == 0 {
			continue
		}
		lastX, lastY = x(p.x), y(median(values))
		path = append(path, fmt.Sprintf("%.1f %.1f", lastX, lastY))
		s.mark(look.marker, lastX, lastY)
		label := lastY - 9
		if look.below {
			label = lastY + 19
		}
		s.text(lastX, label, "middle", figure(median(values)))
	}
	if len(path) == 0 {
		return
	}
	s.add(`<path d="M%s" fill="none" stroke="black" stroke-dasharray="%s"/>`, strings.Join(path, " L"), look.dash)
	s.text(lastX+14, lastY+4, "start", c.Title)
}

func (s *svg) mark(marker string, x, y float64) {
	switch marker {
	case "square":
		s.add(`<rect x="%.1f" y="%.1f" width="9" height="9" fill="white" stroke="black"/>`, x-4.5, y-4.5)
	case "circle":
		s.add(`<circle cx="%.1f" cy="%.1f" r="5" fill="black"/>`, x, y)
	case "diamond":
		s.add(`<path d="M%.1f %.1f l6 6 l-6 6 l-6 -6 z" fill="white" stroke="black"/>`, x, y-6)
	default:
		s.add(`<path d="M%.1f %.1f l6 10 h-12 z" fill="white" stroke="black"/>`, x, y-6)
	}
}
