package transcripts

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// jsonValue draws what encoding/json can marshal, with text worth testing.
func jsonValue() *rapid.Generator[any] {
	text := rapid.StringOf(rapid.RuneFrom([]rune("ab01\"\\/\b\f\n\r\t\x00\x1f\x7f<>&é€😀\u2028\u2029\ufeff")))
	return rapid.Custom(func(t *rapid.T) any { return drawValue(t, text, 4) })
}

func drawValue(t *rapid.T, text *rapid.Generator[string], depth int) any {
	kinds := 7
	if depth == 0 {
		kinds = 5
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return text.Draw(t, "text")
	case 3:
		return float64(rapid.Int64().Draw(t, "int"))
	case 4:
		return rapid.Float64Range(-1e300, 1e300).Draw(t, "float")
	case 5:
		out := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			out = append(out, drawValue(t, text, depth-1))
		}
		return out
	}
	out := map[string]any{}
	for range rapid.IntRange(0, 20).Draw(t, "size") {
		out[text.Draw(t, "key")] = drawValue(t, text, depth-1)
	}
	return out
}

// The text is spelled otherwise but means the same, and is stable.
func TestJSRestringifyKeepsTheMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := jsonValue().Draw(t, "value")
		raw, err := json.MarshalIndent(value, " ", "\t")
		if err != nil {
			t.Fatal(err)
		}
		once, err := JSRestringify(raw)
		if err != nil {
			t.Fatal(err)
		}
		var back, want any
		if err := json.Unmarshal(once, &back); err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, want) {
			t.Fatalf("%s became %s", raw, once)
		}
		twice, err := JSRestringify(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s became %s (%v) the second time", once, twice, err)
		}
	})
}

// What the fast path takes, the slow path would give too.
func FuzzJSRestringify(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2,"x\n"]}`, `{"1":0,"0":1}`, `"\ud83d\ude00"`, `-0.0e-7`, `{"a":1,"a":2}`, "\"\xed\xa0\x80\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := JSRestringify(raw)
		if utf8.Valid(raw) && strings.Count(string(raw), "[")+strings.Count(string(raw), "{") < 1000 {
			if valid := json.Valid(raw); valid != (err == nil) {
				t.Fatalf("%q: valid is %t, the error is %v", raw, valid, err)
			}
		}
		if err != nil {
			return
		}
		v, err := parseJS(raw)
		if err != nil {
			t.Fatalf("%q: the fast path took what the slow one refuses: %v", raw, err)
		}
		if slow := v.append(nil, keepOrder); !bytes.Equal(slow, got) {
			t.Fatalf("%q: fast %q, slow %q", raw, got, slow)
		}
	})
}

func TestJSRestringifyLeavesCanonicalTextAlone(t *testing.T) {
	for _, text := range []string{
		`["message","o+0",{"methargs":{"body":"#[\"foo\",[{\"@type\":\"x\"}]]","slots":[]}}]`,
		`["vatstoreSet","vom.o+d6/1","{\"a\":1}"]`, `[-1,0,123456789012345,true,false,null,"é😀"]`,
	} {
		raw := []byte(text)
		got, err := JSRestringify(raw)
		must(t, err)
		if &got[0] != &raw[0] {
			t.Errorf("%s was written anew: %s", raw, got)
		}
	}
}

func TestJSRestringifyRefuses(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2)
	for name, text := range map[string]string{"deep": deep, "not UTF-8": "\"\xff\""} {
		if _, err := JSRestringify([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkJSRestringifyCanonical(b *testing.B) {
	raw := []byte(`["message","o+0",{"methargs":{"body":"#[\"foo\",[` + strings.Repeat(`{\"@type\":\"x\"},`, 250) + `1]]","slots":[]}}]`)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := JSRestringify(raw); err != nil {
			b.Fatal(err)
		}
	}
}
