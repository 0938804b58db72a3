package top

import "vatworkerd/cmd/vatworkerd/internal/screen"

// helpPage lists the keys.
func helpPage(p *page) {
	p.add(bold("Keys"))
	p.add()
	for _, key := range []struct{ name, does string }{
		{"↑ ↓  k j", "select a vat; also page up, page down, home, end"},
		{"enter", "open the vat: history, snapshots, errors, log"},
		{"esc", "back; in the list, all vats again"},
		{"/", "show vats whose name or ID has what is typed; esc shows all"},
		{"f F", "show vats in one state only: the next, the one before"},
		{"< >", "sort by the column to the left, or to the right"},
		{"o", "turn the order around"},
		{"p  r", "pause the vat, resume it"},
		{"s  u", "suspend the vat, unsuspend it"},
		{"q  ctrl+c", "end"},
	} {
		p.add(bold(fit(key.name, 12, screen.Left)), plain(key.does))
	}
	p.add()
	p.add(dim("A vat whose state has a * is pinned: it keeps its worker."))
	p.add(dim("The process that stays with the database (run --stay) does what changes vats."))
}
