package screen

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "hello, world", "hello, world"},
		{"backslash", `a\nb`, `a\nb`},
		{"newline", "a\nb\r\nc", `a\nb\r\nc`},
		{"tab", "a\tb", `a\tb`},
		{"ESC", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"OSC title", "\x1b]0;pwned\x07", `\x1b]0;pwned\x07`},
		{"C1 CSI", "\u009b31m", `\x9b31m`},
		{"NEL", "a\u0085b", `a\x85b`},
		{"DEL and NUL", "\x7f\x00", `\x7f\x00`},
		{"line separator", "a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"bidi override", "abc\u202edef\u2066x\u2069", `abc\u202edef\u2066x\u2069`},
		{"marks", "\u200e\u200f\u061c", `\u200e\u200f\u061c`},
		{"zero width space, BOM", "a\u200bb\ufeffc", `a\u200bb\ufeffc`},
		{"soft hyphen", "a\u00adb", `a\xadb`},
		{"filler", "a\u3164b\u115f", `a\u3164b\u115f`},
		{"tags", "a\U000e0041", `a\U000e0041`},
		{"invalid UTF-8", "a\xff\xfeb", `a\xff\xfeb`},
		{"private use", "\ue000", `\ue000`},
		{"letters", "žluťoučký 日本語 🎉 👩‍🚀 ❤️", "žluťoučký 日本語 🎉 👩‍🚀 ❤️"},
	} {
		if got := Escape(c.in); got != c.want {
			t.Errorf("%s: Escape(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestEscapedTextIsOneHarmlessLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		for _, r := range Escape(in) {
			if r != '\u200d' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)) {
				t.Fatalf("Escape(%q) lets %U through", in, r)
			}
		}
	})
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"short", 10, "short"}, {"a longer text", 8, "a longe…"}, {"日本語", 4, "日…"},
	} {
		if got := Clip(c.in, c.width); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
	}
}

func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		Bytes(0): "0 B", Bytes(999): "999 B", Bytes(1000): "1.0 kB", Bytes(999_949): "999.9 kB", Bytes(999_950): "1.0 MB",
		Bytes(13_421_772): "13.4 MB", Bytes(2_000_000_000): "2.0 GB", Bytes(5e15): "5000.0 TB",
		Count(0): "0", Count(999): "999", Count(1000): "1,000", Count(36_104_221): "36,104,221", Count(-1234): "-1,234",
		Millis(400): "0.4 ms", Millis(41_200): "41 ms", Elapsed(12300 * time.Millisecond): "12.3 s",
		Plural(1, "vat"): "1 vat", Plural(0, "vat"): "0 vats", Plural(2000, "vat"): "2,000 vats",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTableAlignsWideNames(t *testing.T) {
	table := Table{Columns: []Column{{"NAME", Left}, {"N", Right}, {"NOTE", Left}}}
	table.Add(Cell{Text: "日本"}, Cell{Text: "7"}, Cell{Text: "x"})
	table.Add(Cell{Text: "bob\x1b[2J"}, Cell{Text: "1,234"})
	var plain, colored bytes.Buffer
	if err := table.Write(&plain, Palette{}, "  "); err != nil {
		t.Fatal(err)
	}
	want := "  NAME            N  NOTE\n  日本            7  x\n  bob\\x1b[2J  1,234\n"
	if plain.String() != want {
		t.Errorf("got\n%swant\n%s", plain.String(), want)
	}
	if err := table.Write(&colored, Palette{On: true}, "  "); err != nil {
		t.Fatal(err)
	}
	if stripped := strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "").Replace(colored.String()); stripped != want {
		t.Errorf("colours change the alignment:\n%s", stripped)
	}
}

func TestProgress(t *testing.T) {
	now := time.Unix(0, 0)
	clock := func() time.Time { return now }
	run := func(terminal bool) string {
		var b bytes.Buffer
		p := &Progress{Out: &b, Terminal: terminal, Now: clock}
		for i := range int64(5) {
			p.Step("rehearse", i, 4)
			now = now.Add(3 * time.Second)
			if i == 2 {
				p.Clear()
			}
		}
		p.Step("rehearse", 4, 4)
		p.Stop()
		return b.String()
	}
	if got, want := run(false), "rehearse  2/4  6.0 s\nrehearse  4/4  12.0 s\n"; got != want {
		t.Errorf("plain: got %q, want %q", got, want)
	}
	var brief bytes.Buffer
	p := &Progress{Out: &brief, Now: clock}
	p.Step("verify", 0, 1)
	p.Step("verify", 1, 1)
	if brief.Len() > 0 {
		t.Errorf("short work is told of in a pipe: %q", &brief)
	}
	onTerminal := run(true)
	if n := strings.Count(onTerminal, "\n"); n != 1 || !strings.HasSuffix(onTerminal, "4/4  12.0 s\n") {
		t.Errorf("terminal: %q", onTerminal)
	}
}

func TestWriteJSONKeepsValuesAndHidesControls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.String().Draw(t, "text") + "\u009b\u202e\x7f<&>\U000e0041"
		var b bytes.Buffer
		if err := WriteJSON(&b, in); err != nil {
			t.Fatal(err)
		}
		var out string
		if err := json.Unmarshal(b.Bytes(), &out); err != nil || out != in {
			t.Fatalf("%q comes back as %q (%v)", in, out, err)
		}
		if text := strings.TrimSuffix(b.String(), "\n"); Escape(text) != text {
			t.Fatalf("%q is not safe to print", text)
		}
	})
}
