package manpage

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Page is what a page says besides its commands.
type Page struct {
	Root        *cobra.Command
	Environment []Entry
	ExitCodes   []Entry
	SeeAlso     string
}

// Entry is a term and what it means.
type Entry struct{ Term, Meaning string }

// Write writes the page in the man macros. The same program gives the same bytes:
// there is no date in it.
func (p Page) Write(w io.Writer) error {
	var b builder
	name := p.Root.Name()
	b.macro("TH", strings.ToUpper(name), "1", "", name, "")
	b.macro("SH", "NAME")
	b.text(name + " - " + p.Root.Short)
	b.macro("SH", "SYNOPSIS")
	b.usage(name + " COMMAND [FLAG…] [ARGUMENT…]")
	b.macro("SH", "DESCRIPTION")
	b.text(p.Root.Long)
	b.macro("SH", "COMMANDS")
	b.commands(p.Root)
	b.macro("SH", "FLAGS FOR ALL COMMANDS")
	b.flags(p.Root.PersistentFlags())
	b.entries("ENVIRONMENT", p.Environment)
	b.entries("EXIT STATUS", p.ExitCodes)
	b.macro("SH", "SEE ALSO")
	b.text(p.SeeAlso)
	_, err := io.WriteString(w, b.String())
	return err
}

// builder collects lines.
type builder struct{ strings.Builder }

// commands writes the commands below cmd that can be run, each with its flags.
func (b *builder) commands(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.Hidden || sub.Name() == "help" {
			continue
		}
		if !sub.HasSubCommands() {
			b.macro("SS", strings.TrimPrefix(sub.CommandPath(), sub.Root().Name()+" ")+strings.TrimPrefix(sub.Use, sub.Name()))
			b.text(sub.Short + ".")
			if sub.Long != "" {
				b.macro("PP")
				b.text(sub.Long)
			}
			b.flags(sub.LocalNonPersistentFlags())
		}
		b.commands(sub)
	}
}

func (b *builder) flags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if value != "" {
			term += " " + strings.ToUpper(value)
		}
		if isWorthTelling(f) {
			usage += fmt.Sprintf(" (default: %s)", f.DefValue)
		}
		b.entry(Entry{term, usage})
	})
}

// isWorthTelling tells defaults that say something.
func isWorthTelling(f *pflag.Flag) bool {
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
		return false
	}
	return true
}

func (b *builder) entries(title string, entries []Entry) {
	b.macro("SH", title)
	for _, e := range entries {
		b.entry(e)
	}
}

func (b *builder) entry(e Entry) {
	b.macro("TP")
	b.usage(e.Term)
	b.text(e.Meaning)
}

// usage writes a line that is to be typed, bold.
func (b *builder) usage(line string) { b.WriteString(`\fB` + escape(line) + `\fR` + "\n") }

// text writes paragraphs; lines that are indented stay as they are.
func (b *builder) text(text string) {
	asItIs := false
	for line := range strings.SplitSeq(text, "\n") {
		if indented := strings.HasPrefix(line, " "); indented != asItIs {
			asItIs = indented
			b.macro(map[bool]string{true: "nf", false: "fi"}[asItIs])
		}
		if line == "" {
			b.macro("PP")
			continue
		}
		b.WriteString(escape(line) + "\n")
	}
	if asItIs {
		b.macro("fi")
	}
}

// macro writes a request with its arguments.
func (b *builder) macro(name string, args ...string) {
	b.WriteString("." + name)
	for _, arg := range args {
		b.WriteString(` "` + strings.ReplaceAll(escape(arg), `"`, `\(dq`) + `"`)
	}
	b.WriteString("\n")
}

// escape makes text that roff shows as it stands: what it would take for a
// request, a hyphen or a byte of another character set.
func escape(text string) string {
	var b strings.Builder
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		b.WriteString(`\&`)
	}
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r > 0x7e:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
