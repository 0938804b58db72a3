package capdata

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSingleSlot(t *testing.T) {
	for _, c := range []struct{ body, want, problem string }{
		{`#"$0.Alleged: alice"`, "ko21", ""},
		{`#"$0"`, "ko21", ""},
		{`#"&1"`, "kp40", ""},
		{`{"@qclass":"slot","index":0}`, "ko21", ""},
		{`{"@qclass":"slot","iface":"x","index":1}`, "kp40", ""},
		{`#["$0"]`, "", ""},
		{`#"!$0"`, "", ""},
		{`#{"@slot":"ko21"}`, "", ""},
		{`"$0"`, "", ""},
		{`#null`, "", ""},
		{`#"$2"`, "", "slot 2 of 2"},
		{`#"$x"`, "", "no index"},
		{`#"$1"`, "", "other kind"},
		{`#"&0"`, "", "other kind"},
		{`#["&9"]`, "", "slot 9"},
		{`#"*"`, "", "keeps for later"},
		{`#`, "", "no JSON"},
		{``, "", "empty"},
	} {
		got, err := SingleSlot(CapData{Body: c.body, Slots: []string{"ko21", "kp40"}})
		checkProblem(t, c.body, err, c.problem)
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.body, got, c.want)
		}
	}
}

func checkProblem(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: got the error %v, want %q", what, err, want)
	}
}

func TestMethod(t *testing.T) {
	for body, want := range map[string]string{
		`#["hi",[]]`:                             "hi",
		`#["!#hi",[]]`:                           "#hi",
		`#["%Symbol.x",[]]`:                      "[Symbol.x]",
		`#["#undefined",[]]`:                     "<funcall>",
		`#["+5",[]]`:                             unintelligible,
		`#[7,[]]`:                                unintelligible,
		`#[{"a":1},[]]`:                          unintelligible,
		`#[]`:                                    "<funcall>",
		`["#hi",[]]`:                             "#hi",
		`[{"@qclass":"undefined"},[]]`:           "<funcall>",
		`[{"@qclass":"symbol","name":"a"},[]]`:   "[a]",
		`[{"@qclass":"@@asyncIterator"},[]]`:     "[Symbol.asyncIterator]",
		`[{"@qclass":"bigint","digits":"1"},[]]`: "<invalid method type>",
		`nonsense`:                               "<unknown>",
		`null`:                                   "<unknown>",
	} {
		if got := Method(CapData{Body: body}); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

func TestLegible(t *testing.T) {
	for body, want := range map[string]string{
		`#{"#error":"as asked","name":"TypeError"}`:         "TypeError: as asked",
		`{"@qclass":"error","message":"#x","name":"Error"}`: "Error: #x",
		`#"!#text"`:    "#text",
		`#[1,"+2"]`:    `[1,"2"]`,
		`#"(reserved"`: `{"@undecodable":"the string \"(reserved\" begins with a character that smallcaps keeps for later"}`,
		`#{"#error":"e","name":"Error","errorId":"error:liveSlots:v1#70001"}`: "Error: e",
	} {
		if got := Legible(CapData{Body: body}); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for text, problem := range map[string]string{
		`{"@bigint":5}`:        "write",
		`{"@bigint":"-0"}`:     "write",
		`{"@slot":""}`:         "no name",
		`12345678901234567890`: `{"@bigint": "12345678901234567890"}`,
		`1e999`:                "too large",
		`[1,]`:                 "no JSON",
		`[1`:                   "no JSON",
		`{"a":1} x`:            "no JSON",
		`nul`:                  "no JSON",
		`{"a"}`:                "no JSON",
		strings.Repeat("[", 6000) + strings.Repeat("]", 6000): "nested deeper",
	} {
		_, err := FromJSON(json.RawMessage(text))
		checkProblem(t, text, err, problem)
	}
	for body, problem := range map[string]string{
		`#{"#tag":"t","payload":1,"x":2}`:              "unknown property",
		`#{"#tag":"#NaN","payload":"#wrong"}`:          "unknown constant",
		`#{"#wrong":1}`:                                "neither",
		`#{"$0":1}`:                                    "neither",
		`#{"#error":5,"name":"Error"}`:                 "must be strings",
		`#{"#error":"a","message":"b","name":"Error"}`: "two messages",
		`#{"#error":"a","name":"Error","cause":"*"}`:   "keeps for later",
		`#"+0x10"`:                     "no BigInt",
		`{"@qclass":"ibid","index":0}`: `unknown @qclass "ibid"`,
		`{"@qclass":5}`:                "no string",
		`{"@qclass":"slot"}`:           "no index",
		`{"@qclass":"hilbert"}`:        "no original",
		`{"@qclass":"hilbert","original":1,"rest":[]}`: "no record",
		`{"@qclass":"symbol"}`:                         "no string",
		`{"@qclass":"bigint","digits":5.5}`:            "no BigInt",
	} {
		_, err := Decode(CapData{Body: body})
		checkProblem(t, body, err, problem)
	}
	for _, args := range []string{`#{}`, `[]`, `#"x"`} {
		if _, err := MethArgs("m", CapData{Body: args}); err == nil {
			t.Errorf("MethArgs takes %s", args)
		}
	}
}

// anyJSON draws plain JSON values whose numbers and keys survive JavaScript.
func anyJSON(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(),
		rapid.SampledFrom([]string{"$0", "#undefined", "!", "+1", "-", "&0", "%x"}).AsAny(),
		// Adding 0 makes 0 of -0, which smallcaps does not know.
		rapid.Map(rapid.Float64Range(-1e30, 1e30), func(f float64) any { return f + 0 }), rapid.Int32().AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	keys := rapid.OneOf(rapid.String(), rapid.StringMatching(`[!-/0-9@#$a-c]{0,4}`)).Filter(func(s string) bool {
		return !strings.HasPrefix(s, "@")
	})
	return rapid.OneOf(append(leaves,
		rapid.SliceOfN(anyJSON(depth-1), 0, 4).AsAny(),
		rapid.MapOfN(keys, anyJSON(depth-1), 0, 4).AsAny())...)
}

func TestDecodeUndoesFromJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(anyJSON(3).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := FromJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Decode(data)
		if err != nil {
			t.Fatalf("cannot decode %s: %v", data.Body, err)
		}
		again, err := FromJSON(plain)
		if err != nil || again.Body != data.Body {
			t.Fatalf("%s becomes %s, then %s, then %s (%v)", text, data.Body, plain, again.Body, err)
		}
		if want := normal(t, text); want != normal(t, plain) {
			t.Fatalf("%s comes back as %s", text, plain)
		}
	})
}

// normal is JSON as encoding/json sorts and spells it.
func normal(t *rapid.T, text []byte) string {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(out), "-0,", "0,")
}

func TestAppendStringReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		var back string
		if err := json.Unmarshal(AppendString(nil, s), &back); err != nil || back != s {
			t.Fatalf("%q comes back as %q (%v)", s, back, err)
		}
	})
	if got := string(AppendString(nil, "a\xff<\x7f")); got != "\"a\ufffd<\x7f\"" {
		t.Errorf("got %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range readGolden(f).Rich {
		for _, data := range c.Encodings {
			f.Add(data.Body)
		}
	}
	f.Add(`#{"#error":"a","name":"b","cause":{"#error":"c","name":"d"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		data := CapData{Body: body, Slots: []string{"ko21", "kp40"}}
		plain, err := Decode(data)
		if (err == nil) != json.Valid(plain) {
			t.Fatalf("%q decodes to %q, %v", body, plain, err)
		}
		if !json.Valid(ToJSON(data)) {
			t.Fatalf("%q is shown as %q", body, ToJSON(data))
		}
		slot, slotErr := SingleSlot(data)
		if (err == nil) != (slotErr == nil) || slot != "" && slot != "ko21" && slot != "kp40" {
			t.Fatalf("%q is the single slot %q, %v", body, slot, slotErr)
		}
		_, _ = Method(data), Legible(data)
	})
}

func FuzzFromJSON(f *testing.F) {
	for _, c := range readGolden(f).Plain {
		f.Add([]byte(c.text))
	}
	f.Add([]byte(`{"@slot":"ko1","iface":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		data, err := FromJSON(text)
		if err != nil {
			return
		}
		if _, err := Decode(data); err != nil {
			t.Fatalf("%q becomes %s, which does not decode: %v", text, data.Body, err)
		}
	})
}
