package top

import (
	"fmt"
	"strings"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// table is the lower part of the screen: the vats. lines is how many there are
// for it; -1 = as many as it takes.
func table(p *page, s *seen, c *chosen, lines int) {
	rows := s.shown(c)
	p.add(listParts(s, c, len(rows))...)
	columns := columnsFor(p.width)
	p.lines = append(p.lines, header(p, columns, c))
	first, end := 0, len(rows)
	selected := c.selectedIndex(rows)
	if lines >= 0 {
		height := max(1, lines-2)
		c.first = max(0, min(c.first, selected, len(rows)-height))
		c.first = max(c.first, selected-height+1)
		first, end = c.first, min(len(rows), c.first+height)
	}
	for i := first; i < end; i++ {
		p.lines = append(p.lines, rowLine(p, columns, rows[i], lines >= 0 && i == selected))
	}
}

// listParts tells which vats are shown, and of when.
func listParts(s *seen, c *chosen, n int) []part {
	parts := []part{dim(fmt.Sprintf("── %s", screen.Plural(int64(n), "vat")))}
	if c.state != watch.Every {
		parts = append(parts, dim(", "), bold(c.state))
	}
	if c.text != "" {
		parts = append(parts, dim(", named "), bold(c.text))
	}
	if s.vats.More {
		parts = append(parts, dim(fmt.Sprintf(", of the first %s and those online", screen.Count(int64(len(s.vats.List))))))
	}
	parts = append(parts, dim(", by "+c.sortBy))
	if c.reverse {
		parts = append(parts, dim(" reversed"))
	}
	if s.vatsError != nil && s.gone == nil {
		age := s.now.At.Sub(s.vats.At)
		if s.vats.At.IsZero() {
			parts = append(parts, part{text: ": " + busyText(s.vatsError), style: screen.Yellow})
		} else {
			parts = append(parts, part{text: fmt.Sprintf(", as of %s ago: %s", screen.Age(age), busyText(s.vatsError)), style: screen.Yellow})
		}
	}
	return append(parts, dim(" ──"))
}

func header(p *page, columns []column, c *chosen) string {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", markColumns))
	for i, column := range columns {
		style := screen.Bold
		if column.key == c.sortBy {
			style = screen.Yellow
		}
		b.WriteString(p.palette.Paint(style, fit(column.title, column.width, column.align)))
		if i < len(columns)-1 {
			b.WriteString(strings.Repeat(" ", gap))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func rowLine(p *page, columns []column, row watch.Row, isSelected bool) string {
	var b strings.Builder
	if isSelected {
		b.WriteString(p.palette.Paint(screen.Bold, "▶ "))
	} else {
		b.WriteString(strings.Repeat(" ", markColumns))
	}
	for i, column := range columns {
		cell := column.cell(row)
		style := cell.style
		if isSelected {
			style = screen.Reverse
		}
		b.WriteString(p.palette.Paint(style, fit(cell.text, column.width, column.align)))
		if i < len(columns)-1 {
			b.WriteString(strings.Repeat(" ", gap))
		}
	}
	return strings.TrimRight(b.String(), " ")
}
