package top

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cockroachdb/datadriven"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/pipeproto"
	"vatworkerd/workerlogs"
)

// fakeDaemon has vats that stand still, but for what the tests change. What real
// ones look like is tested in cmd/vatworkerd.
type fakeDaemon struct {
	look  watch.Look
	vats  watch.Vats
	did   []string
	fails error
}

func (d *fakeDaemon) Look(context.Context) (watch.Look, error)      { return d.look, d.fails }
func (d *fakeDaemon) Vats(context.Context, int) (watch.Vats, error) { return d.vats, d.fails }

func (d *fakeDaemon) Detail(_ context.Context, vatID string) (detail watch.Detail, err error) {
	for _, v := range d.vats.List {
		if v.VatID == vatID {
			detail.Vat = v
		}
	}
	detail.Spans = make([]pipeproto.SpanInfo, 3)
	detail.Snapshots = []pipeproto.SnapshotInfo{
		{Position: 4, UncompressedSize: 10_100_000, StoredSize: 1_400_000, Hash: strings.Repeat("ab", 32)},
		{Position: 200, UncompressedSize: 10_900_000, StoredSize: 1_500_000, Hash: strings.Repeat("cd", 32), InUse: true},
	}
	detail.Log = []workerlogs.Entry{
		{Time: noon.Local(), Source: "vat", Level: "log", Text: "hello"},
		{Time: noon.Local(), Source: "vat", Level: "error", Text: "hostile \x1b[2J\u202etext\n"},
	}
	return detail, d.fails
}

func (d *fakeDaemon) Do(_ context.Context, verb, vatID string) error {
	d.did = append(d.did, verb+" "+vatID)
	return d.fails
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.Local)

// newFake gives a daemon of n vats, of which the first three are special.
func newFake(n int) *fakeDaemon {
	d := &fakeDaemon{}
	d.look = watch.Look{At: noon, Holder: &pipeproto.Holder{PID: 70}, Live: pipeproto.Live{
		PID: 77, Started: noon.Add(-90 * time.Minute).UnixMicro(), Host: "a host", Height: 1234, OpenBlock: true, MaxOnline: 50, Spares: 2, ComingIn: 1, Pinned: []string{"alice"},
		MaxMemoryBytes: 2_000_000_000, Counts: pipeproto.Counts{Vats: int64(n), Online: 2, Paused: 1, Suspended: 1, Queued: 5, Held: 12},
		Totals:  pipeproto.Totals{Deliveries: 1000, Computrons: 1e9, Cranks: 1100, Blocks: 30, PageOuts: 6},
		PageIns: pipeproto.Histogram{Bounds: []int64{10_000, 100_000}, Counts: []int64{0, 9, 1}, Sum: 600_000, Max: 300_000},
		Workers: []pipeproto.LiveWorker{
			{VatID: "v2", Name: "alice", PID: 102, RSSBytes: 64_200_000, Up: 3_600_000_000, Busy: true},
			{VatID: "v1", Name: "bootstrap", PID: 101, RSSBytes: 45_700_000, Up: 5_000_000_000, Idle: 95_000_000},
		},
	}}
	d.vats = watch.Vats{At: noon, List: []pipeproto.VatStatus{
		{VatID: "v1", Name: "bootstrap", State: "running", Deliveries: 21, Position: 24},
		{VatID: "v2", Name: "alice", State: "running", Pinned: true, Deliveries: 100_000, Computrons: 36_104_221, Incarnation: 2, Position: 210, SpanHash: strings.Repeat("12", 32)},
		{VatID: "v3", Name: "evil \x1b[31m\u202e", State: "paused", Paused: true, PauseReason: "too loud", Held: 12, LastError: "it threw"},
	}}
	for i := 4; i <= n; i++ {
		d.vats.List = append(d.vats.List, pipeproto.VatStatus{VatID: fmt.Sprintf("v%d", i), Name: fmt.Sprintf("vat%d", i), State: "running"})
	}
	d.vats.List[3].State, d.vats.List[3].Suspended, d.vats.List[3].SuspendReason = "suspended", true, "restarted"
	return d
}

// works lets two seconds pass, in which something was done.
func (d *fakeDaemon) works() {
	d.look.At, d.vats.At = d.look.At.Add(2*time.Second), d.vats.At.Add(2*time.Second)
	d.look.Live.Totals.Deliveries += 25
	d.look.Live.Totals.Computrons += 2_469_000
	d.look.Live.Totals.Cranks += 30
	d.vats.List = append([]pipeproto.VatStatus{}, d.vats.List...)
	d.vats.List[1].Deliveries += 25
	d.vats.List[1].Computrons += 2_469_000
	d.look.Live.Doing = &pipeproto.Doing{Request: "run", RequestFor: 1_500_000, Step: "delivery", StepFor: 200_000, VatID: "v2", Name: "alice", Position: 210}
}

// onScreen is a model without a terminal.
type onScreen struct {
	*model
	daemon *fakeDaemon
}

func newOnScreen(vats int) *onScreen {
	d := newFake(vats)
	m := &model{ctx: context.Background(), o: Options{Daemon: d, Interval: time.Second, Vats: 1000}}
	m.choice = chosen{sortBy: watch.ByVat, state: watch.Every}
	m.seen.history = watch.NewHistory(historyPoints)
	return &onScreen{m, d}
}

// refresh looks at everything.
func (s *onScreen) refresh() {
	look, err := s.daemon.Look(s.ctx)
	s.Update(lookedMsg{look, err, s.daemon.look.At})
	s.Update(s.list())
	if cmd := s.model.detail(s.opened); cmd != nil {
		s.Update(cmd())
	}
}

func (s *onScreen) show() string {
	lines := frame(&s.seen, &s.choice, s.o.Palette, s.size)
	return strings.Join(lines, "\n") + "\n"
}

var keys = map[string]rune{
	"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown, "end": tea.KeyEnd, "home": tea.KeyHome,
	"pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "backspace": tea.KeyBackspace,
}

// press presses keys, and does what they ask for.
func (s *onScreen) press(names ...string) {
	for _, name := range names {
		key := tea.KeyPressMsg{Code: keys[name]}
		if key.Code == 0 {
			key.Code, key.Text = []rune(name)[0], name
		}
		if _, cmd := s.Update(key); cmd != nil {
			s.Update(cmd())
		}
	}
}

func TestScreens(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := newOnScreen(40)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "size":
				var z size
				d.ScanArgs(t, "width", &z.width)
				d.ScanArgs(t, "height", &z.height)
				s.Update(tea.WindowSizeMsg{Width: z.width, Height: z.height})
				s.refresh()
			case "press":
				s.press(strings.Fields(d.Input)...)
			case "works":
				s.daemon.works()
				s.refresh()
			case "alarm":
				s.daemon.look.Live.Alarms = append(s.daemon.look.Live.Alarms, pipeproto.Alarm{Message: d.Input, For: 61_000_000})
				s.refresh()
			case "foreign":
				s.daemon.look.Holder = nil
				s.refresh()
			case "fails":
				s.daemon.fails = errors.New(d.Input)
			case "did":
				return fmt.Sprintln(s.daemon.did)
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			return s.show()
		})
	})
}

// No frame is wider or higher than the terminal, whatever there is to show; no
// text reaches the terminal that could move its cursor.
func TestFramesFit(t *testing.T) {
	s := newOnScreen(300)
	s.daemon.look.Live.Host = strings.Repeat("\x1b[2J語", 100)
	s.daemon.works()
	for _, z := range []size{{80, 24}, {20, 5}, {200, 60}, {1, 1}, {81, 25}} {
		for _, palette := range []screen.Palette{{}, {On: true}} {
			s.o.Palette = palette
			s.Update(tea.WindowSizeMsg{Width: z.width, Height: z.height})
			s.refresh()
			for _, key := range []string{"end", "enter", "down", "esc", "/", "v", "enter", "?", "?", "p", "n"} {
				s.press(key)
				s.fits(t, key)
			}
			s.press("esc")
		}
	}
}

func (s *onScreen) fits(t *testing.T, key string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(s.show(), "\n"), "\n")
	if len(lines) > max(1, s.size.height) {
		t.Errorf("after %s: %d lines on %v", key, len(lines), s.size)
	}
	for _, line := range lines {
		for _, style := range []screen.Style{screen.Bold, screen.Dim, screen.Reverse, screen.Red, screen.Green, screen.Yellow} {
			line = strings.ReplaceAll(line, "\x1b["+string(style)+"m", "")
		}
		line = strings.ReplaceAll(line, "\x1b[0m", "")
		if strings.ContainsAny(line, "\x1b\r\x07\u202e") {
			t.Errorf("after %s: %q reaches the terminal", key, line)
		}
		if screen.Width(line) > s.size.width {
			t.Errorf("after %s: %d columns on %v: %q", key, screen.Width(line), s.size, line)
		}
	}
}

func TestNothingIsDoneUnasked(t *testing.T) {
	s := newOnScreen(10)
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.refresh()
	s.press("p", "n", "s", "esc", "u", "q", "r", "Y")
	if len(s.daemon.did) > 0 {
		t.Errorf("%v was done without a yes", s.daemon.did)
	}
	s.press("down", "p", "y")
	if got := fmt.Sprint(s.daemon.did); got != "[pause v2]" {
		t.Errorf("done: %s", got)
	}
}
