// Package jsonline writes values as lines of JSON that may be looked at on a
// terminal.
package jsonline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Append appends a value as JSON, and a newline. Characters that do not show as
// themselves are escapes, so that the texts of vats in it cannot touch a terminal.
func Append(line []byte, value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return line, fmt.Errorf("cannot encode a line: %w", err)
	}
	return escape(line, b.Bytes()), nil
}

// escape appends JSON: in it, what is beyond ASCII is inside a string.
func escape(line, text []byte) []byte {
	for len(text) > 0 {
		n := plain(text)
		line = append(line, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			break
		}
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case unicode.IsPrint(r):
			line = utf8.AppendRune(line, r)
		case r < 0x10000:
			line = fmt.Appendf(line, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			line = fmt.Appendf(line, `\u%04x\u%04x`, high, low)
		}
	}
	return line
}

// plain is how many bytes text begins with that stay as they are. Encoded JSON
// has no control characters but the newline at its end, and DEL.
func plain(text []byte) int {
	for i, c := range text {
		if c >= 0x7f {
			return i
		}
	}
	return len(text)
}
