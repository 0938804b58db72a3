package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"

	"vatworkerd/internal/procs"
	"vatworkerd/internal/testrig"
	"vatworkerd/pipeproto"
)

// hostileHost has a real `vatworkerd serve` at its pipe. It makes its frames by
// hand, so that it need not keep to the protocol.
type hostileHost struct {
	t        *testing.T
	cmd      *exec.Cmd
	in, out  *os.File // to the daemon, from the daemon
	requests uint64   // how many it has made
	asked    string   // the type of the daemon's last request
	deaf     bool     // it reads no more
	stderr   bytes.Buffer

	watching sync.WaitGroup
	exited   chan struct{} // closed when the daemon is gone
	peak     int64         // bytes of memory the daemon had at most; once watching is done
}

// serving starts the daemon on a database that a run has left.
func serving(t *testing.T, bin, db string) *hostileHost {
	t.Helper()
	toR, toW, err := os.Pipe()
	must(t, err)
	fromR, fromW, err := os.Pipe()
	must(t, err)
	h := &hostileHost{t: t, in: toW, out: fromR, exited: make(chan struct{})}
	h.cmd = exec.Command(bin, "serve", "--db", db, "--engine", ownEngine(t, filepath.Dir(db)), "--cache", filepath.Join(testrig.BuildDir(t), "base"))
	h.cmd.ExtraFiles, h.cmd.Stderr = []*os.File{toR, fromW}, &h.stderr
	must(t, h.cmd.Start())
	must(t, errors.Join(toR.Close(), fromW.Close()))
	h.watching.Go(h.weigh)
	return h
}

// weigh looks, as long as the daemon lives, at the most memory it has had.
func (h *hostileHost) weigh() {
	for {
		select {
		case <-h.exited:
			return
		case <-time.After(time.Millisecond):
		}
		if peak, ok := procs.PeakResident(h.cmd.Process.Pid); ok {
			h.peak = peak
		}
	}
}

// end closes the pipe, hears the daemon to its end and waits for it.
func (h *hostileHost) end() (code int, stderr, said string) {
	h.t.Helper()
	must(h.t, h.in.Close())
	var heard bytes.Buffer
	if !h.deaf {
		_, _ = io.Copy(&heard, h.out)
	}
	must(h.t, h.out.Close())
	_ = h.cmd.Wait()
	close(h.exited)
	h.watching.Wait()
	return h.cmd.ProcessState.ExitCode(), h.stderr.String(), heard.String()
}

// write sends bytes; a daemon that has hung up takes none.
func (h *hostileHost) write(p []byte) { _, _ = h.in.Write(p) }

// frame makes a frame of the four elements of an envelope.
func frame(kind pipeproto.Kind, id uint64, msgType string, body any) []byte {
	packed, err := msgpack.Marshal([]any{uint8(kind), id, msgType, body})
	if err != nil {
		panic(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(packed))), packed...)
}

// begun is the start of a frame of so many bytes, up to its body.
func begun(size uint32, msgType string) []byte {
	head := binary.BigEndian.AppendUint32(nil, size)
	head = append(head, 0x94, byte(pipeproto.KindRequest), 100, 0xa0|byte(len(msgType)))
	return append(head, msgType...)
}

// request sends a well-formed request and gives its id.
func (h *hostileHost) request(msgType string, body any) uint64 {
	h.requests++
	h.write(frame(pipeproto.KindRequest, h.requests, msgType, body))
	return h.requests
}

// next reads what the daemon says, events left out.
func (h *hostileHost) next() pipeproto.Message {
	h.t.Helper()
	for {
		var length [4]byte
		if _, err := io.ReadFull(h.out, length[:]); err != nil {
			h.t.Fatalf("the daemon is silent: %v", err)
		}
		body := make([]byte, binary.BigEndian.Uint32(length[:]))
		_, err := io.ReadFull(h.out, body)
		must(h.t, err)
		said, err := pipeproto.ParseMessage(body)
		must(h.t, err)
		if said.Kind != pipeproto.KindEvent {
			return said
		}
	}
}

// wants reads the daemon's next message, which must be of a kind and type.
func (h *hostileHost) wants(kind pipeproto.Kind, msgType string) pipeproto.Message {
	h.t.Helper()
	said := h.next()
	h.asked = string(said.Type)
	if said.Kind != kind || string(said.Type) != msgType {
		h.t.Fatalf("the daemon sends %v %s, want %v %s", said.Kind, said.Type, kind, msgType)
	}
	return said
}

// hello is what a good host begins with.
func (h *hostileHost) hello(height int64) {
	h.t.Helper()
	h.request(pipeproto.ReqHello, pipeproto.Hello{Version: pipeproto.Version, Peer: "a host", MaxFrameBytes: pipeproto.DefaultMaxFrameBytes, Height: height})
	h.wants(pipeproto.KindReply, pipeproto.ReqHello)
}

// turn has an item come to its turn, and gives the request that asks for it.
func (h *hostileHost) turn(height int64) uint64 {
	h.t.Helper()
	h.hello(height)
	h.request(pipeproto.ReqEnqueue, pipeproto.Enqueue{Items: []pipeproto.Item{{VatID: "v1", Priority: pipeproto.PriorityReap, Payload: []byte("x")}}})
	h.wants(pipeproto.KindReply, pipeproto.ReqEnqueue)
	h.request(pipeproto.ReqRun, pipeproto.Run{})
	return h.wants(pipeproto.KindRequest, pipeproto.ReqTurn).ID
}

// verdict has an item delivered, and gives the request that asks for a verdict.
func (h *hostileHost) verdict(height int64) uint64 {
	h.t.Helper()
	turn := h.turn(height)
	h.write(frame(pipeproto.KindReply, turn, pipeproto.ReqTurn, pipeproto.TurnReply{Delivery: []byte(`["bringOutYourDead"]`)}))
	return h.wants(pipeproto.KindRequest, pipeproto.ReqDelivered).ID
}

// answer replies to the daemon's request.
func (h *hostileHost) answer(id uint64, body any) {
	h.write(frame(pipeproto.KindReply, id, h.asked, body))
}

// neverReads asks and asks, and reads nothing, until the daemon cannot say
// anything and takes nothing any more.
func (h *hostileHost) neverReads() {
	h.deaf = true
	for {
		h.requests++
		must(h.t, h.in.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
		_, err := h.in.Write(frame(pipeproto.KindRequest, h.requests, pipeproto.ReqStatus, pipeproto.Empty{}))
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return // it has hung up
		}
		unread, ioctlErr := unix.IoctlGetInt(int(h.out.Fd()), unix.TIOCINQ)
		must(h.t, ioctlErr)
		if err != nil && unread > 32<<10 {
			return
		}
	}
}

// asksOnly makes requests where it has to answer one.
func (h *hostileHost) asksOnly() {
	for range 5000 {
		h.request(pipeproto.ReqStatus, pipeproto.Empty{})
		h.next()
	}
}

// places are where in the conversation a host that was good turns hostile. The
// id is that of the request which it has to answer there.
var places = map[string]func(h *hostileHost, height int64) (id uint64){
	"before hello":   func(*hostileHost, int64) uint64 { return 0 },
	"idle":           func(h *hostileHost, height int64) uint64 { h.hello(height); return 0 },
	"at the turn":    (*hostileHost).turn,
	"at the verdict": (*hostileHost).verdict,
}

// How a daemon ends, besides with exit code 1 and a line.
const (
	clean   = "with exit code 0 and no line"
	refused = "with exit code 1 and an error frame" // which the host shows its user
)

// waiting is how a daemon ends that has got nothing it could object to, when the
// host goes, by the place.
var waiting = map[string]string{
	"before hello": `"hello" got no answer`, "idle": clean, "at the turn": `"turn" got no answer`, "at the verdict": `"delivered" got no answer`,
}

// A hostileWay is what a host does at each place.
type hostileWay struct {
	act  func(h *hostileHost, id uint64)
	told string            // a part of the daemon's line; empty = as waiting has it
	at   map[string]string // where that is otherwise; empty = not tried there
}

var onlyWhenAsked = map[string]string{"before hello": "", "idle": ""}

var hostileWays = map[string]hostileWay{
	// Garbage.
	"ones":     {act: func(h *hostileHost, _ uint64) { h.write(bytes.Repeat([]byte{0xff}, 1<<20)) }, told: "over the limit of 67108864"},
	"zeros":    {act: func(h *hostileHost, _ uint64) { h.write(make([]byte, 1<<20)) }, told: "a frame of length 0"},
	"http":     {act: func(h *hostileHost, _ uint64) { h.write([]byte("GET / HTTP/1.1\r\n\r\n")) }, told: "over the limit of 67108864"},
	"nonsense": {act: func(h *hostileHost, _ uint64) { h.write(append([]byte{0, 0, 0, 9}, "gibberish"...)) }, told: "8 bytes too many"},
	"deep": {act: func(h *hostileHost, _ uint64) {
		h.write(append(begun(7+10_000_000, "run"), bytes.Repeat([]byte{0x91}, 10_000_000)...))
	}, told: "nested"},
	"counts": {act: func(h *hostileHost, _ uint64) { h.write(append(begun(12, "run"), 0xdd, 0xff, 0xff, 0xff, 0xff)) }, told: "claims more than the frame holds"},
	// Too much.
	"largest": {act: func(h *hostileHost, _ uint64) {
		h.write(begun(pipeproto.DefaultMaxFrameBytes, "run"))
		h.write(binary.BigEndian.AppendUint32([]byte{0xc6}, pipeproto.DefaultMaxFrameBytes-12))
		h.write(make([]byte, pipeproto.DefaultMaxFrameBytes-12))
	}, at: map[string]string{"before hello": refused}},
	"too large": {act: func(h *hostileHost, _ uint64) { h.write(begun(pipeproto.DefaultMaxFrameBytes+1, "run")) }, told: "over the limit of 67108864"},
	"events": {act: func(h *hostileHost, _ uint64) {
		for event := range repeated(4000, frame(pipeproto.KindEvent, 0, "news", strings.Repeat("x", 1<<16))) {
			h.write(event)
		}
	}},
	// Too little.
	"half a length": {act: func(h *hostileHost, _ uint64) { h.write([]byte{0, 0}) }, told: "2 of 4 bytes"},
	"half a frame":  {act: func(h *hostileHost, _ uint64) { h.write(begun(pipeproto.DefaultMaxFrameBytes, "run")) }, told: "7 of 67108864 bytes"},
	"nothing":       {act: func(*hostileHost, uint64) {}},
	"never reads": {act: func(h *hostileHost, _ uint64) { h.neverReads() }, told: `"crankAbort" got no answer`,
		// It has come to ask for crankAbort, or not yet when the host goes.
		at: map[string]string{"before hello": refused, "idle": "cannot send the reply", "at the verdict": "got no answer"}},
	// Out of turn.
	"reply": {act: func(h *hostileHost, _ uint64) { h.write(frame(pipeproto.KindReply, 99, "run", pipeproto.Empty{})) }, told: "a reply to request 99"},
	"error": {act: func(h *hostileHost, _ uint64) {
		h.write(frame(pipeproto.KindError, 0, "", pipeproto.Error{Code: "io", Message: "no such thing"}))
	}, told: "refused what it was sent: no such thing"},
	"old id": {act: func(h *hostileHost, _ uint64) { h.write(frame(pipeproto.KindRequest, 1, "run", pipeproto.Empty{})) }, told: "ids must rise",
		at: map[string]string{"before hello": refused}},
	"only asks": {act: func(h *hostileHost, _ uint64) { h.asksOnly() }, at: map[string]string{"before hello": ""}},
	// Wrong answers.
	"other type": {act: func(h *hostileHost, id uint64) { h.write(frame(pipeproto.KindReply, id, "hello", pipeproto.Empty{})) },
		told: `a reply of type "hello"`, at: onlyWhenAsked},
	"other body": {act: func(h *hostileHost, id uint64) { h.answer(id, "seven") }, told: `"crankAbort" got no answer`, at: onlyWhenAsked},
	"no delivery": {act: func(h *hostileHost, id uint64) { h.answer(id, pipeproto.TurnReply{Delivery: []byte("[")}) }, told: `"crankAbort" got no answer`,
		at: map[string]string{"before hello": "", "idle": "", "at the verdict": ""}},
}

// repeated gives a part so many times.
func repeated(n int, part []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for range n {
			if !yield(part) {
				return
			}
		}
	}
}

// want is how the daemon ends; empty if that is not tried.
func (way hostileWay) want(place string) string {
	if told, ok := way.at[place]; ok {
		return told
	}
	if way.told != "" {
		return way.told
	}
	return waiting[place]
}

// maxDaemonMemory is what a daemon may have at most: itself, the largest frame
// and the buffers that grew up to it.
const maxDaemonMemory = 256 << 20

// TestHostileHosts has real daemons served by hosts that do not keep to the
// protocol. Each ends with an exit code and one line, with bounded memory, and
// leaves no worker; the database is in the end what it was.
func TestHostileHosts(t *testing.T) {
	bin, db := program(t), filepath.Join(t.TempDir(), "db")
	cmd, _ := start(t, bin, config(t), db, 2)
	must(t, cmd.Wait())
	before := standing(t, bin, db)
	lives, peak := 0, int64(0)
	for _, place := range slices.Sorted(maps.Keys(places)) {
		for _, name := range slices.Sorted(maps.Keys(hostileWays)) {
			way := hostileWays[name]
			if way.want(place) == "" {
				continue
			}
			t.Run(place+": "+name, func(t *testing.T) {
				h := serving(t, bin, db)
				way.act(h, places[place](h, before.height))
				h.wantEnd(way.want(place))
				lives, peak = lives+1, max(peak, h.peak)
			})
		}
	}
	wantNoProcess(t, filepath.Dir(db))
	if after := standing(t, bin, db); after != before {
		t.Errorf("the databases stand at %v, stood at %v", after, before)
	}
	t.Logf("%d hostile hosts, at most %d MiB in a daemon", lives, peak>>20)
}

// wantEnd ends the conversation and finds that the daemon ends as it should.
func (h *hostileHost) wantEnd(want string) {
	h.t.Helper()
	code, stderr, said := h.end()
	if h.peak == 0 || h.peak > maxDaemonMemory {
		h.t.Errorf("it had %d bytes of memory", h.peak)
	}
	switch want {
	case clean:
		if code != 0 || stderr != "" {
			h.t.Errorf("it ended with code %d and %q", code, stderr)
		}
	case refused:
		if code != 1 || stderr != "" || !h.deaf && !strings.Contains(said, pipeproto.CodeRefused) {
			h.t.Errorf("it ended with code %d and %q, after it said %q", code, stderr, said)
		}
	default:
		if line, more, _ := strings.Cut(stderr, "\n"); code != 1 || more != "" || !strings.HasPrefix(line, "vatworkerd: ") || !strings.Contains(line, want) {
			h.t.Errorf("it ended with code %d and %q, want …%s…", code, stderr, want)
		}
	}
}
