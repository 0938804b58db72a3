package top

import (
	"errors"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// press does what a key says.
func (m *model) press(key tea.KeyPressMsg) tea.Cmd {
	c := &m.choice
	if key.String() == "ctrl+c" {
		return tea.Quit
	}
	switch {
	case c.typing:
		c.typeKey(key)
		return nil
	case c.ask != nil:
		return m.answer(key.String() == "y")
	case c.help:
		c.help = false
		return nil
	}
	c.said = ""
	if cmd, isKnown := m.act(key.String()); isKnown {
		return cmd
	}
	if c.open != "" {
		m.pressOpen(key.String())
		return nil
	}
	return m.pressList(key.String())
}

// typeKey changes the text that vats are found by.
func (c *chosen) typeKey(key tea.KeyPressMsg) {
	switch key.String() {
	case "enter":
		c.typing = false
	case "esc":
		c.typing, c.text = false, ""
	case "backspace":
		_, last := utf8.DecodeLastRuneInString(c.text)
		c.text = c.text[:len(c.text)-last]
	default:
		c.text += key.Text
	}
}

// act does what a key says that means the same everywhere.
func (m *model) act(key string) (cmd tea.Cmd, isKnown bool) {
	verbs := map[string]string{"p": "pause", "r": "resume", "s": "suspend", "u": "unsuspend"}
	verb, isVerb := verbs[key]
	switch {
	case key == "q":
		return tea.Quit, true
	case key == "?":
		m.choice.help = true
		return nil, true
	case isVerb:
		m.offer(verb)
		return nil, true
	}
	return nil, false
}

// errNobodyStays is why vats cannot be changed.
var errNobodyStays = errors.New("only their kernel host can do that, and no process stays with the vats (run --stay)")

// offer asks whether to do something to the vat in question.
func (m *model) offer(verb string) {
	c := &m.choice
	row, ok := m.seen.row(c.open)
	if c.open == "" {
		rows := m.seen.shown(c)
		if ok = len(rows) > 0; ok {
			row = rows[c.selectedIndex(rows)]
		}
	}
	if !ok || c.running != nil {
		return
	}
	a := action{verb: verb, vatID: row.Vat.VatID, name: row.Vat.Name}
	if m.seen.now.Holder == nil {
		m.did(didMsg{a, errNobodyStays})
		return
	}
	c.ask = &a
}

func (m *model) answer(yes bool) tea.Cmd {
	c := &m.choice
	a := *c.ask
	c.ask = nil
	if !yes {
		return nil
	}
	c.running = &a
	return m.do(a)
}

func (m *model) pressOpen(key string) {
	c := &m.choice
	page := max(1, m.size.height-3)
	switch key {
	case "esc", "enter", "backspace", "left":
		c.open = ""
	case "up", "k":
		c.scroll--
	case "down", "j":
		c.scroll++
	case "pgup":
		c.scroll -= page
	case "pgdown", "space":
		c.scroll += page
	case "home":
		c.scroll = 0
	}
}

func (m *model) pressList(key string) tea.Cmd {
	c := &m.choice
	switch key {
	case "/":
		c.typing = true
	case "esc":
		c.text, c.state = "", watch.Every
	case "f":
		c.state = next(watch.States(), c.state, 1)
	case "F":
		c.state = next(watch.States(), c.state, -1)
	case "<", "left":
		c.sortBy = next(m.sortKeys(), c.sortBy, -1)
	case ">", "right":
		c.sortBy = next(m.sortKeys(), c.sortBy, 1)
	case "o":
		c.reverse = !c.reverse
	case "enter":
		return m.openSelected()
	default:
		m.move(key)
	}
	return nil
}

// sortKeys gives the keys of the columns that are shown, from the left.
func (m *model) sortKeys() []string {
	var keys []string
	for _, column := range columnsFor(m.size.width) {
		if column.key != "" {
			keys = append(keys, column.key)
		}
	}
	return keys
}

// move moves the selection.
func (m *model) move(key string) {
	page := max(1, m.size.height/2)
	steps := map[string]int{"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -page, "pgdown": page, "space": page, "home": -1 << 30, "end": 1 << 30}
	c := &m.choice
	rows := m.seen.shown(c)
	if steps[key] == 0 || len(rows) == 0 {
		return
	}
	at := max(0, min(len(rows)-1, c.selectedIndex(rows)+steps[key]))
	c.selected = rows[at].Vat.VatID
}

func (m *model) openSelected() tea.Cmd {
	c := &m.choice
	rows := m.seen.shown(c)
	if len(rows) == 0 {
		return nil
	}
	c.selected = rows[c.selectedIndex(rows)].Vat.VatID
	c.open, c.scroll = c.selected, 0
	m.seen.detail, m.seen.detailError = nil, nil
	m.opened++
	return m.detail(m.opened)
}
