package capdata

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// AppendString appends s as JSON.stringify writes it. Bytes that are no UTF-8
// become U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	written := 0
	for at := 0; at < len(s); {
		if c := s[at]; c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			at++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[at:])
		if r >= utf8.RuneSelf && (r != utf8.RuneError || size > 1) {
			at += size
			continue
		}
		b = append(b, s[written:at]...)
		b = appendEscape(b, r)
		at += size
		written = at
	}
	b = append(b, s[written:]...)
	return append(b, '"')
}

func appendEscape(b []byte, r rune) []byte {
	switch r {
	case utf8.RuneError:
		return utf8.AppendRune(b, r)
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
}
