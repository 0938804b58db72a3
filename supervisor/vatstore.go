package supervisor

import (
	"encoding/json"

	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// vatstore is the storage of one vat, as its syscalls see it: inside a crank, or in
// a draft of which nothing comes. The draft keeps errors.
type vatstore struct {
	draft  *store.Draft
	prefix string
}

func vatstorePrefix(vatID string) string { return prefixVatstore + vatID + "." }

func vatstoreOf(draft *store.Draft, vatID string) vatstore {
	return vatstore{draft, vatstorePrefix(vatID)}
}

func (v vatstore) get(key string) string {
	value, _ := v.draft.Get(v.prefix + key)
	return value
}
func (v vatstore) set(key, value string) { v.draft.Set(v.prefix+key, value) }
func (v vatstore) remove(key string)     { v.draft.Delete(v.prefix + key) }
func (v vatstore) nextKey(prior string) (string, bool) {
	key, ok := v.draft.NextKey(v.prefix+prior, v.prefix)
	if !ok {
		return "", false
	}
	return key[len(v.prefix):], true
}

// answerVatstore runs one vatstore syscall; ok is false when its arguments are
// not what the syscall takes.
func answerVatstore(v vatstore, name string, args []json.RawMessage) (reply json.RawMessage, ok bool) {
	words, ok := stringsOf(args)
	want := 1
	if name == "vatstoreSet" {
		want = 2
	}
	if !ok || len(words) != want {
		return nil, false
	}
	switch name {
	case "vatstoreGet":
		// An empty value reads as absent, as in the JavaScript kernel.
		if value := v.get(words[0]); value != "" {
			return okString(value), true
		}
	case "vatstoreGetNextKey":
		if key, found := v.nextKey(words[0]); found {
			return okString(key), true
		}
	case "vatstoreSet":
		v.set(words[0], words[1])
	case "vatstoreDelete":
		v.remove(words[0])
	}
	return json.RawMessage(okNull), true
}

func isVatstore(name string) bool {
	switch name {
	case "vatstoreGet", "vatstoreSet", "vatstoreDelete", "vatstoreGetNextKey":
		return true
	}
	return false
}

// parseSyscall takes a vat syscall object apart.
func parseSyscall(vso json.RawMessage) (name string, args []json.RawMessage, ok bool) {
	var fields []json.RawMessage
	if json.Unmarshal(vso, &fields) != nil || len(fields) == 0 || json.Unmarshal(fields[0], &name) != nil {
		return "", nil, false
	}
	return name, fields[1:], true
}

func stringsOf(args []json.RawMessage) ([]string, bool) {
	words := make([]string, len(args))
	for i, arg := range args {
		if len(arg) == 0 || arg[0] != '"' || json.Unmarshal(arg, &words[i]) != nil {
			return nil, false
		}
	}
	return words, true
}

// okNull is the answer to every syscall that returns nothing.
const okNull = `["ok",null]`

func okString(value string) json.RawMessage { return resultOf("ok", transcripts.JSString(value)) }

func resultOf(status string, value []byte) json.RawMessage {
	reply := append([]byte(`["`+status+`",`), value...)
	return append(reply, ']')
}

// illegalSyscall is what the JavaScript kernel answers a syscall it cannot
// translate; the vat does not outlive the crank.
const illegalSyscall = "syscall translation error: prepare to die"

func refusal() json.RawMessage { return json.RawMessage(`["error","` + illegalSyscall + `"]`) }
