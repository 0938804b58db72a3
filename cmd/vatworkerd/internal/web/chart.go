package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
)

// Size of a chart and of its margins, in units that browsers scale.
const (
	chartWide, chartHigh = 640.0, 190.0
	marginLeft           = 70.0
	marginBottom         = 24.0
	marginTop            = 10.0
	marginRight          = 10.0
	maxBarWide           = 80.0
)

// series is one line of a chart.
type series struct {
	Name   string
	Values []float64
}

// lineChart shows values over time. Lines are told apart by dashes as well as by
// colour.
type lineChart struct {
	Title  string
	At     []time.Time
	Series []series
	Format func(float64) string
}

func (c lineChart) top() float64 {
	highest := 0.0
	for _, s := range c.Series {
		for _, v := range s.Values {
			highest = math.Max(highest, v)
		}
	}
	return roundUp(highest)
}

// roundUp gives the next 1, 2 or 5 with zeros.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 5} {
		if v <= step*power {
			return step * power
		}
	}
	return 10 * power
}

// Words says in one sentence what the chart shows.
func (c lineChart) Words() string {
	var parts []string
	for _, s := range c.Series {
		if len(s.Values) == 0 {
			continue
		}
		highest := 0.0
		for _, v := range s.Values {
			highest = math.Max(highest, v)
		}
		parts = append(parts, fmt.Sprintf("%s %s now, %s at most", s.Name, c.Format(s.Values[len(s.Values)-1]), c.Format(highest)))
	}
	return strings.Join(parts, "; ")
}

// SVG draws the chart.
func (c lineChart) SVG() template.HTML {
	if len(c.At) < 2 {
		return `<p class="quiet">There is something to draw after ten seconds.</p>`
	}
	top := c.top()
	var b strings.Builder
	openChart(&b, c.Title+": "+c.Words())
	for _, share := range []float64{0, 0.5, 1} {
		gridLine(&b, share, c.Format(share*top))
	}
	label := func(x float64, anchor string, at time.Time) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, chartHigh-6, anchor, at.Local().Format(time.TimeOnly))
	}
	label(marginLeft, "start", c.At[0])
	label(chartWide-marginRight, "end", c.At[len(c.At)-1])
	for i, s := range c.Series {
		fmt.Fprintf(&b, `<polyline class="line line%d" points="%s"/>`, i, c.points(s, top))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // numbers, and text that openChart escapes
}

func (c lineChart) points(s series, top float64) string {
	begin, span := c.At[0], c.At[len(c.At)-1].Sub(c.At[0]).Seconds()
	var b strings.Builder
	for i, v := range s.Values {
		x := marginLeft + (chartWide-marginLeft-marginRight)*c.At[i].Sub(begin).Seconds()/math.Max(span, 1)
		fmt.Fprintf(&b, "%.1f,%.1f ", x, high(v/top))
	}
	return strings.TrimSpace(b.String())
}

// high is the height on the drawing of a share of the whole.
func high(share float64) float64 {
	return chartHigh - marginBottom - share*(chartHigh-marginBottom-marginTop)
}

func openChart(b *strings.Builder, words string) {
	fmt.Fprintf(b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, chartWide, chartHigh, template.HTMLEscapeString(words))
}

func gridLine(b *strings.Builder, share float64, label string) {
	y := high(share)
	fmt.Fprintf(b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, marginLeft, chartWide-marginRight, y, y)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`, marginLeft-6, y+4, template.HTMLEscapeString(label))
}

// barChart shows numbers side by side, with their names below.
type barChart struct {
	Title string
	Bars  []bar
}

type bar struct {
	Name  string
	Value int64
}

// Words says in one sentence what the chart shows.
func (c barChart) Words() string {
	var parts []string
	for _, bar := range c.Bars {
		if bar.Value > 0 {
			parts = append(parts, screen.Count(bar.Value)+" "+bar.Name)
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// SVG draws the chart.
func (c barChart) SVG() template.HTML {
	highest := 1.0
	for _, bar := range c.Bars {
		highest = math.Max(highest, float64(bar.Value))
	}
	top := roundUp(highest)
	var b strings.Builder
	openChart(&b, c.Title+": "+c.Words())
	gridLine(&b, 0, "0")
	gridLine(&b, 1, screen.Count(int64(top)))
	step := (chartWide - marginLeft - marginRight) / float64(max(1, len(c.Bars)))
	for i, bar := range c.Bars {
		x, y, wide := marginLeft+float64(i)*step, high(float64(bar.Value)/top), math.Min(step*0.7, maxBarWide)
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, x+(step-wide)/2, y, wide, high(0)-y)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x+step/2, chartHigh-6, template.HTMLEscapeString(bar.Name))
		if bar.Value > 0 {
			fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x+step/2, y-2, screen.Count(bar.Value))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // numbers, and text that is escaped
}
