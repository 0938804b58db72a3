package top

import (
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/pipeproto"
)

// seen is what has come from the daemon so far.
type seen struct {
	now     watch.Look
	hasLook bool
	gone    error     // why there is no daemon now; nil while there is one
	goneAt  time.Time // since when
	history *watch.History

	vats, before watch.Vats
	rows         []watch.Row
	vatsError    error // why the list is not of now

	detail      *watch.Detail // of the opened vat
	detailError error
}

// Points of the history: rates are of the last two, page-in times of all.
const historyPoints = 60

// looked takes a look, or the lack of one at a time.
func (s *seen) looked(look watch.Look, err error, at time.Time) {
	if err != nil {
		if s.gone == nil {
			s.goneAt = at
		}
		s.gone = err
		return
	}
	if s.hasLook && s.now.Live.Started != look.Live.Started {
		s.vats, s.before = watch.Vats{}, watch.Vats{}
	}
	s.now, s.hasLook, s.gone = look, true, nil
	s.history.Add(watch.PointOf(look))
	s.rows = watch.Rows(s.now, s.vats, s.before)
}

// listed takes a list of the vats.
func (s *seen) listed(vats watch.Vats, err error) {
	s.vatsError = err
	if err != nil {
		return
	}
	s.before, s.vats = s.vats, vats
	s.rows = watch.Rows(s.now, s.vats, s.before)
}

func (s *seen) rates() watch.Rates {
	before, last, ok := s.history.Last()
	if !ok {
		return watch.Rates{}
	}
	return watch.Between(before, last)
}

// chosen is what the keys have chosen so far.
type chosen struct {
	sortBy   string
	reverse  bool
	state    string
	text     string
	typing   bool   // the keys go to text
	selected string // vat ID
	first    int    // the first row on the screen
	open     string // ID of the vat that is shown alone; "" = the list
	scroll   int    // of that
	help     bool
	ask      *action // that waits for a yes
	running  *action
	said     string // what became of the last action
	saidBad  bool
}

// action is something to be done to a vat.
type action struct {
	verb, vatID, name string
}

func (a action) String() string { return a.verb + " " + a.vatID + " " + screen.Escape(a.name) }

// shown gives the rows that are not filtered out, in order.
func (s *seen) shown(c *chosen) []watch.Row {
	rows := watch.Filter(s.rows, c.state, c.text)
	watch.Sort(rows, c.sortBy, c.reverse)
	return rows
}

// row finds a vat.
func (s *seen) row(vatID string) (watch.Row, bool) {
	for _, row := range s.rows {
		if row.Vat.VatID == vatID {
			return row, true
		}
	}
	return watch.Row{}, false
}

// selectedIndex gives the place of the selected vat among rows. One that is not
// there any more leaves the selection to the first.
func (c *chosen) selectedIndex(rows []watch.Row) int {
	for i, row := range rows {
		if row.Vat.VatID == c.selected {
			return i
		}
	}
	return 0
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// busyText gives the words of a daemon that is busy.
func busyText(err error) string { return pipeproto.ErrorOf(err).Message }
