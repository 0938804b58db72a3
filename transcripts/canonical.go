package transcripts

import "bytes"

// canonicalScanner recognises JSON that is surely spelled as V8 spells it, so
// that most texts need no rewriting. It may say no to a text that is.
type canonicalScanner struct {
	text []byte
	at   int
}

// fewKeys is up to how many keys of an object are compared pairwise.
const fewKeys = 16

func (s *canonicalScanner) next(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *canonicalScanner) value(depth int) bool {
	if depth > maxDepth || s.at >= len(s.text) {
		return false
	}
	switch s.text[s.at] {
	case '"':
		_, ok := s.str()
		return ok
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	}
	for _, word := range [...]string{"null", "true", "false"} {
		if len(s.text)-s.at >= len(word) && string(s.text[s.at:s.at+len(word)]) == word {
			s.at += len(word)
			return true
		}
	}
	return s.integer()
}

// integer takes integers that a double holds exactly and prints as they are.
func (s *canonicalScanner) integer() bool {
	minus := s.next('-')
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	n := s.at - start
	if n == 0 || n > 15 || s.text[start] == '0' && (n > 1 || minus) {
		return false
	}
	return s.at == len(s.text) || bytes.IndexByte([]byte(",]}"), s.text[s.at]) >= 0
}

func (s *canonicalScanner) array(depth int) bool {
	s.at++
	if s.next(']') {
		return true
	}
	for {
		if !s.value(depth + 1) {
			return false
		}
		if s.next(']') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

func (s *canonicalScanner) object(depth int) bool {
	s.at++
	if s.next('}') {
		return true
	}
	var keys [fewKeys][]byte
	for n := 0; n < fewKeys; n++ {
		if s.at >= len(s.text) || s.text[s.at] != '"' {
			return false
		}
		key, ok := s.str()
		if !ok || len(key) > 0 && key[0] >= '0' && key[0] <= '9' {
			return false
		}
		for _, k := range keys[:n] {
			if bytes.Equal(k, key) {
				return false
			}
		}
		keys[n] = key
		if !s.next(':') || !s.value(depth+1) {
			return false
		}
		if s.next('}') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
	return false
}

// str takes a string whose escapes are the short ones, and gives what is
// between its quotes.
func (s *canonicalScanner) str() ([]byte, bool) {
	s.at++
	start := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[start : s.at-1], true
		case c < 0x20:
			return nil, false
		case c == '\\':
			if s.at+1 >= len(s.text) || !isShortEscape(s.text[s.at+1]) {
				return nil, false
			}
			s.at += 2
		default:
			s.at++
		}
	}
	return nil, false
}

func isShortEscape(c byte) bool {
	switch c {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}
