package top

import (
	"strings"

	"vatworkerd/cmd/vatworkerd/internal/screen"
)

// part is a part of a line: untrusted text in a style.
type part struct {
	text  string
	style screen.Style
}

func plain(text string) part { return part{text: text} }
func bold(text string) part  { return part{text: text, style: screen.Bold} }
func dim(text string) part   { return part{text: text, style: screen.Dim} }

// page is lines that fit a width.
type page struct {
	palette screen.Palette
	width   int
	lines   []string
}

// add adds a line; what does not fit is cut off.
func (p *page) add(parts ...part) { p.lines = append(p.lines, p.line(parts...)) }

func (p *page) line(parts ...part) string {
	var b strings.Builder
	left := p.width
	for _, part := range parts {
		if left <= 0 {
			break
		}
		text := screen.Clip(part.text, left)
		left -= screen.Width(text)
		b.WriteString(p.palette.Paint(part.style, text))
	}
	return strings.TrimRight(b.String(), " ")
}

// whole adds a line in one style over the whole width.
func (p *page) whole(style screen.Style, text string) {
	line := p.palette.Paint(style, fit(text, p.width, screen.Left))
	p.lines = append(p.lines, strings.TrimRight(line, " "))
}

// field adds a line with a name before it.
func (p *page) field(name string, parts ...part) {
	p.add(append([]part{dim(fit(name, fieldColumns, screen.Left))}, parts...)...)
}

// fieldColumns is the width of a field's name.
const fieldColumns = 10

// fit makes text exactly so wide.
func fit(text string, width int, align screen.Align) string {
	text = screen.Clip(text, width)
	fill := strings.Repeat(" ", max(0, width-screen.Width(text)))
	if align == screen.Right {
		return fill + text
	}
	return text + fill
}
