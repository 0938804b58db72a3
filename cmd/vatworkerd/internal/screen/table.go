package screen

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// widths measures text the same way everywhere, whatever the locale says.
var widths = &runewidth.Condition{StrictEmojiNeutral: true}

// Width is the columns that escaped text takes.
func Width(text string) int { return widths.StringWidth(text) }

// Align says to which side a column's cells are set.
type Align uint8

// The two sides.
const (
	Left Align = iota
	Right
)

// Column is a column of a table.
type Column struct {
	Title string
	Align Align
}

// Cell is a cell's untrusted text and its style.
type Cell struct {
	Text  string
	Style Style
}

// Table lines up cells. text/tabwriter cannot: it counts the bytes of colours
// and takes every character for one column wide, which names of vats need not be.
type Table struct {
	Columns []Column
	rows    [][]Cell
}

// Add adds a row; missing cells are empty.
func (t *Table) Add(cells ...Cell) {
	row := make([]Cell, len(t.Columns))
	for i, cell := range cells {
		cell.Text = Escape(cell.Text)
		row[i] = cell
	}
	t.rows = append(t.rows, row)
}

// Len is how many rows there are.
func (t *Table) Len() int { return len(t.rows) }

// Write writes a header line and the rows, each line indented.
func (t *Table) Write(w io.Writer, p Palette, indent string) error {
	header := make([]Cell, len(t.Columns))
	wide := make([]int, len(t.Columns))
	for i, column := range t.Columns {
		header[i] = Cell{Text: column.Title, Style: Bold}
		wide[i] = Width(column.Title)
		for _, row := range t.rows {
			wide[i] = max(wide[i], Width(row[i].Text))
		}
	}
	var b strings.Builder
	for _, row := range append([][]Cell{header}, t.rows...) {
		b.WriteString(t.line(row, wide, p, indent))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) line(row []Cell, wide []int, p Palette, indent string) string {
	var b strings.Builder
	b.WriteString(indent)
	pending := 0 // spaces owed; a line never ends in spaces
	for i, cell := range row {
		fill := wide[i] - Width(cell.Text)
		if t.Columns[i].Align == Right {
			pending += fill
			fill = 0
		}
		if cell.Text != "" {
			b.WriteString(strings.Repeat(" ", pending))
			b.WriteString(p.Paint(cell.Style, cell.Text))
			pending = 0
		}
		pending += fill + 2
	}
	b.WriteByte('\n')
	return b.String()
}
