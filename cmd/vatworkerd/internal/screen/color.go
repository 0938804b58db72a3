package screen

import "hash/fnv"

// Style is how text stands out.
type Style string

// Styles, as SGR parameters. Only the 16 basic colours, so that the user's
// own palette keeps them readable.
const (
	Plain   Style = ""
	Bold    Style = "1"
	Dim     Style = "2"
	Reverse Style = "7"
	Red     Style = "31"
	Green   Style = "32"
	Yellow  Style = "33"
)

// tags are the colours vats are told apart by; red, green and yellow mean something.
var tags = [...]Style{"36", "35", "34", "96", "95", "94", "33;2", "32;2"}

// Palette applies styles, or none.
type Palette struct{ On bool }

// Paint gives text in a style.
func (p Palette) Paint(s Style, text string) string {
	if !p.On || s == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// Tag gives text in the colour of its owner, the same in every run.
func (p Palette) Tag(owner, text string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(owner))
	return p.Paint(tags[h.Sum32()%uint32(len(tags))], text)
}
