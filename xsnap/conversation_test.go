package xsnap

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// A deadWorker is a Worker whose process has ended, all that it ever said being
// at hand.
func deadWorker(t testing.TB, said []byte) *Worker {
	t.Helper()
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	exited := make(chan struct{})
	close(exited)
	w := &Worker{
		proc: &process{reaped: true, exited: exited}, closeGrace: time.Hour,
		wire: &stockWire{
			commands: frameWriter{fd: rawFD(null.Fd())},
			replies:  newFrameReader(bytes.NewReader(said), netstrings(), 1<<20),
		},
	}
	w.Rename("v1:dead")
	return w
}

// checkedHandler demands of each call what Handlers are promised.
type checkedHandler struct {
	t     *testing.T
	calls int
}

var errEnough = errors.New("enough")

func (h *checkedHandler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	h.calls++
	switch {
	case h.calls > 100:
		return nil, errEnough
	case !json.Valid(vso):
		return nil, ErrNoSyscall
	}
	return json.RawMessage(`["ok",null]`), nil
}

func (h *checkedHandler) Console(source, level string, args []json.RawMessage) { h.check(args) }
func (h *checkedHandler) TestLog(args []json.RawMessage)                       { h.check(args) }

func (h *checkedHandler) check(args []json.RawMessage) {
	for _, arg := range args {
		if !json.Valid(arg) {
			h.t.Fatalf("an argument is %q", arg)
		}
	}
}

// FuzzConversation: whatever a worker says, every command ends, with a result
// that has all it must have or with an error of a kind that callers decide on.
func FuzzConversation(f *testing.F) {
	ok, vatError := good(`["ok",null,null]`), good(`["error","Error: no",null]`)
	get := netstring(`?["syscall",["vatstoreGet","k"]]`)
	for _, seed := range []string{
		"", "0:,", netstring("."), netstring(".") + ok, netstring(".") + netstring("."), ok, ok + ok, vatError,
		get + ok, get + get + vatError, get, good(""), good(`["dispatchReady"]`), good(`["err","Error","no"]`), good(`["ok"]`), good(`[]`), good(`[7]`),
		good(`{"ok":1}`), good(strings.Repeat("[", 20000)), netstring("!Error: x"), netstring("x"), netstring(`?["testLog","a",1,{}]`) + ok,
		netstring(`?["sourcedConsole","vat","log",1,"two",[3]]`) + ok, netstring(`?["sourcedConsole"]`), netstring(`?{}`), netstring(`?`),
		netstring(`?["syscall",["send",}]]`), netstring("?[\"syscall\",[\"\xff\"]]") + ok, netstring(`?["syscall",` + strings.Repeat("[", 20000) + `]]`),
		netstring(".{\"currentHeapCount\":1,\"compute\":99999999999999999999,\"allocate\":3,\"timestamps\":[]}\x01x"), netstring(".\x01"),
		good("3"), good("-3"), good("99999999999999999999"), "1048577:", "1048576:x", "5:.", "01:.,", ok[:len(ok)-1],
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		h := &checkedHandler{t: t}
		checkKind(t, deadWorker(t, said).Ready())
		checkKind(t, deadWorker(t, said).Evaluate([]byte("1"), h))
		_, err := deadWorker(t, said).SetBundle("v1", []byte("{}"), nil, h)
		checkKind(t, err)
		w := deadWorker(t, said)
		for range 3 { // one after the other, as long as there is something to be had
			res, err := w.Deliver(json.RawMessage(boydDelivery), h)
			checkKind(t, err)
			if err == nil && (res.Meter == nil || res.WorkerGone || res.Status != StatusOK && res.Status != StatusError) {
				t.Fatalf("a delivery ended with %+v", res)
			}
		}
	})
}

// checkKind demands a typed error.
func checkKind(t *testing.T, err error) {
	t.Helper()
	var protocol *ProtocolError
	var exit *ExitError
	var setup *VatSetupError
	switch {
	case err == nil, errors.As(err, &protocol), errors.As(err, &exit), errors.As(err, &setup), errors.Is(err, errEnough):
	case strings.Contains(err.Error(), "worker is gone since an earlier command"):
	default:
		t.Fatalf("%T: %v", err, err)
	}
}
