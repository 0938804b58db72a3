package screen

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes untrusted text safe to show: everything that could move the
// cursor, end the line, change the terminal's state or reorder what is read
// (control characters of both ranges, bidirectional overrides, invisible
// format characters, private-use characters, invalid UTF-8) is written as a
// visible escape such as \x1b or \u202e. The result is one line.
func Escape(text string) string {
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case safe(r):
			b.WriteRune(r)
		default:
			b.WriteString(escapeRune(r))
		}
		i += size
	}
	return b.String()
}

// Clip is Escape, cut to at most width columns with an ellipsis.
func Clip(text string, width int) string {
	escaped := Escape(text)
	if Width(escaped) <= width {
		return escaped
	}
	return widths.Truncate(escaped, width, "…")
}

func isPlain(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func escapeRune(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// safe tells whether a character shows as itself and nothing more.
func safe(r rune) bool {
	const zeroWidthJoiner = '\u200d' // part of many emoji, moves nothing
	if r == ' ' || r == zeroWidthJoiner {
		return true
	}
	if unicode.Is(unicode.Variation_Selector, r) {
		return true
	}
	return unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}
