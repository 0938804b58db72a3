package jsonline

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzAppend(f *testing.F) {
	for _, text := range []string{"", "plain", "a\nb\x00", "\x7f\u009b1m", "\u202e<&>", "é\U000e0041\ue000\U0001f600", "\u2028\ufeff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		line, err := Append([]byte("before"), map[string]any{"text": text, "raw": json.RawMessage(`"` + "\u202e\x7f" + `"`)})
		if err != nil {
			t.Fatal(err)
		}
		body, ended := strings.CutSuffix(strings.TrimPrefix(string(line), "before"), "\n")
		for _, r := range body {
			if !ended || r != utf8.RuneError && !unicode.IsPrint(r) {
				t.Fatalf("%q has %q", line, r)
			}
		}
		var got struct{ Text, Raw string }
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Text != text || got.Raw != "\u202e\x7f" {
			t.Fatalf("%q comes back as %q, %v", text, got, err)
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	if line, err := Append([]byte("x"), func() {}); err == nil || string(line) != "x" {
		t.Errorf("%q, %v", line, err)
	}
}
