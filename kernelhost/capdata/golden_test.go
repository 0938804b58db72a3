package capdata

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// golden is testdata/golden.json, written by testdata/golden.mjs.
type golden struct {
	Plain, Special []pair
	Rich           []struct {
		Name      string
		JSON      json.RawMessage
		Encodings []CapData
	}
	Built struct {
		MakeError     []pair
		Disconnection [][]json.RawMessage
		Methargs      [][]json.RawMessage
		Bootstrap     CapData
	}
}

// pair is a text and the capdata of it.
type pair struct {
	text string
	data CapData
}

func (p *pair) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&p.text, &p.data})
}

func readGolden(t testing.TB) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func mustEqual(t *testing.T, what string, got, want CapData) {
	t.Helper()
	if got.Body != want.Body || !slices.Equal(got.Slots, want.Slots) || got.Slots == nil {
		t.Errorf("%s: got %s %q, want %s %q", what, got.Body, got.Slots, want.Body, want.Slots)
	}
}

func mustUnmarshal(t *testing.T, text json.RawMessage, to any) {
	t.Helper()
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}

func TestFromJSONIsWhatMarshalWrites(t *testing.T) {
	g := readGolden(t)
	for _, c := range slices.Concat(g.Plain, g.Special) {
		got, err := FromJSON(json.RawMessage(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		mustEqual(t, c.text, got, c.data)
	}
}

func TestDecodeReadsBothEncodings(t *testing.T) {
	for _, c := range readGolden(t).Rich {
		var want bytes.Buffer
		if err := json.Compact(&want, c.JSON); err != nil {
			t.Fatal(err)
		}
		for _, data := range c.Encodings {
			got, err := Decode(data)
			if err != nil {
				t.Errorf("%s: cannot decode %s: %v", c.Name, data.Body, err)
				continue
			}
			if string(got) != want.String() {
				t.Errorf("%s: %s decodes to %s, want %s", c.Name, data.Body, got, want.String())
			}
		}
	}
}

func TestBuiltAsTheKernelBuilds(t *testing.T) {
	built := readGolden(t).Built
	for _, c := range built.MakeError {
		mustEqual(t, "MakeError "+c.text, MakeError(c.text), c.data)
	}
	for _, c := range built.Disconnection {
		var message string
		var incarnation int64
		var want CapData
		mustUnmarshal(t, c[0], &message)
		mustUnmarshal(t, c[1], &incarnation)
		mustUnmarshal(t, c[2], &want)
		mustEqual(t, "UpgradeDisconnection", UpgradeDisconnection(message, incarnation), want)
	}
	for _, c := range built.Methargs {
		var method, args string
		var want CapData
		mustUnmarshal(t, c[0], &method)
		mustUnmarshal(t, c[1], &args)
		mustUnmarshal(t, c[2], &want)
		encoded, err := FromJSON(json.RawMessage(args))
		if err != nil {
			t.Fatal(err)
		}
		got, err := MethArgs(method, encoded)
		if err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "MethArgs "+method, got, want)
		if Method(got) != method {
			t.Errorf("the method of %s is %s, want %s", got.Body, Method(got), method)
		}
	}
	roots := []Root{{"bob", "ko22"}, {"7", "ko27"}, {"alice", "ko21"}, {"!v", "ko29"}}
	mustEqual(t, "Bootstrap", Bootstrap(roots, nil), built.Bootstrap)
}
