package top

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// Daemon is what the screen looks at, and where it asks for changes.
type Daemon interface {
	watch.Daemon
	// Do pauses, resumes, suspends or unsuspends a vat, by the command of that name.
	// The error's text is for people.
	Do(ctx context.Context, verb, vatID string) error
}

// Options say what is shown and how often.
type Options struct {
	Daemon   Daemon
	Interval time.Duration
	Vats     int // how many are listed
	SortBy   string
	State    string
	Palette  screen.Palette
}

func (o Options) choice() chosen { return chosen{sortBy: o.SortBy, state: o.State} }

// Once gives one frame as text, of two looks that are an interval apart.
func Once(ctx context.Context, o Options, width int) (string, error) {
	s := seen{history: watch.NewHistory(historyPoints)}
	for i := range 2 {
		if i > 0 {
			select {
			case <-time.After(o.Interval):
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		look, err := o.Daemon.Look(ctx)
		if err != nil {
			return "", err
		}
		s.looked(look, nil, look.At)
		s.listed(o.Daemon.Vats(ctx, o.Vats))
	}
	c := o.choice()
	return strings.Join(frame(&s, &c, o.Palette, size{width: width}), "\n") + "\n", nil
}

// Run shows the screen until a key or ctx ends it. The terminal is then as it
// was.
func Run(ctx context.Context, o Options, in io.Reader, out io.Writer, environment []string) error {
	m := &model{ctx: ctx, o: o, choice: o.choice()}
	m.seen.history = watch.NewHistory(historyPoints)
	p := tea.NewProgram(m, tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(environment), tea.WithoutSignalHandler())
	stop := context.AfterFunc(ctx, p.Quit)
	defer stop()
	_, err := p.Run()
	return err
}

// What the model is told. Each kind of looking goes on by itself: the next look
// is an interval after the last.
type (
	lookedMsg struct {
		look watch.Look
		err  error
		at   time.Time
	}
	listedMsg struct {
		vats watch.Vats
		err  error
	}
	detailedMsg struct {
		opened int // the opening of a vat that it is for
		detail watch.Detail
		err    error
	}
	didMsg struct {
		action action
		err    error
	}
	lookAgainMsg   struct{}
	listAgainMsg   struct{}
	detailAgainMsg struct{ opened int }
)

// model is bubbletea's, in which one goroutine has all of it.
type model struct {
	ctx    context.Context
	o      Options
	seen   seen
	choice chosen
	size   size
	opened int // counts the openings of vats
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return tea.Batch(m.look, m.list) }

// View implements tea.Model.
func (m *model) View() tea.View {
	text := ""
	if m.size.height > 0 {
		text = strings.Join(frame(&m.seen, &m.choice, m.o.Palette, m.size), "\n")
	}
	v := tea.NewView(text)
	v.AltScreen = true
	return v
}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.size = size{width: msg.Width, height: msg.Height}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	case lookedMsg:
		m.seen.looked(msg.look, msg.err, msg.at)
		return m, m.after(lookAgainMsg{})
	case listedMsg:
		m.seen.listed(msg.vats, msg.err)
		return m, m.after(listAgainMsg{})
	case detailedMsg:
		if msg.opened != m.opened {
			return m, nil
		}
		if m.seen.detailError = msg.err; msg.err == nil {
			m.seen.detail = &msg.detail
		}
		return m, m.after(detailAgainMsg{msg.opened})
	case didMsg:
		m.did(msg)
		return m, nil
	case lookAgainMsg:
		return m, m.look
	case listAgainMsg:
		return m, m.list
	case detailAgainMsg:
		return m, m.detail(msg.opened)
	}
	return m, nil
}

func (m *model) after(msg tea.Msg) tea.Cmd {
	return tea.Tick(m.o.Interval, func(time.Time) tea.Msg { return msg })
}

func (m *model) look() tea.Msg {
	look, err := m.o.Daemon.Look(m.ctx)
	return lookedMsg{look, err, time.Now()}
}

func (m *model) list() tea.Msg {
	vats, err := m.o.Daemon.Vats(m.ctx, m.o.Vats)
	return listedMsg{vats, err}
}

// detail looks at the opened vat, if it is still that opening.
func (m *model) detail(opened int) tea.Cmd {
	vatID := m.choice.open
	if opened != m.opened || vatID == "" {
		return nil
	}
	return func() tea.Msg {
		detail, err := m.o.Daemon.Detail(m.ctx, vatID)
		return detailedMsg{opened, detail, err}
	}
}

func (m *model) do(a action) tea.Cmd {
	return func() tea.Msg { return didMsg{a, m.o.Daemon.Do(m.ctx, a.verb, a.vatID)} }
}

func (m *model) did(msg didMsg) {
	c := &m.choice
	c.running = nil
	c.said, c.saidBad = msg.action.String()+": done", msg.err != nil
	if msg.err != nil {
		c.said = "cannot " + msg.action.String() + ": " + msg.err.Error()
	}
}

// next gives the element after, or before, the one that is chosen.
func next(all []string, chosen string, step int) string {
	i := slices.Index(all, chosen)
	return all[(i+step+len(all))%len(all)]
}
