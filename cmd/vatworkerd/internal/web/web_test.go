package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/control"
	"vatworkerd/pipeproto"
	"vatworkerd/workerlogs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeDaemon has vats that stand still. Real ones are shown in the tests of
// cmd/vatworkerd.
type fakeDaemon struct {
	looks, lists atomic.Int64

	mu   sync.Mutex // guards the rest
	look watch.Look
	vats []pipeproto.VatStatus
	err  error
	busy error
}

func (d *fakeDaemon) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *fakeDaemon) Look(context.Context) (watch.Look, error) {
	d.looks.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.look, d.err
}

func (d *fakeDaemon) Vats(context.Context, int) (watch.Vats, error) {
	d.lists.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	return watch.Vats{At: time.Now(), List: d.vats}, errors.Join(d.err, d.busy)
}

func (d *fakeDaemon) Detail(_ context.Context, vatID string) (watch.Detail, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range d.vats {
		if v.VatID == vatID {
			return watch.Detail{Vat: v, Log: []workerlogs.Entry{{Text: hostile, Source: "vat", Level: "log"}}, Snapshots: []pipeproto.SnapshotInfo{
				{Position: 4, UncompressedSize: 10_100_000, StoredSize: 1_400_000, Hash: "abc", InUse: true},
			}}, d.err
		}
	}
	return watch.Detail{}, pipeproto.Errorf(pipeproto.CodeNotFound, "there is no vat %q", vatID)
}

// hostile is text of a vat that must do nothing in a page.
const hostile = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[2J\u202e"

func newFake(vats int) *fakeDaemon {
	d := &fakeDaemon{}
	bounds := []int64{1000, 1_000_000}
	d.look = watch.Look{At: time.Now(), Holder: &pipeproto.Holder{PID: 70, Command: hostile}, Live: pipeproto.Live{
		PID: 77, Started: time.Now().Add(-time.Hour).UnixMicro(), Host: hostile, Height: 12, Engine: "stock", MaxOnline: 50,
		Counts:     pipeproto.Counts{Vats: int64(vats), Online: 1},
		Deliveries: pipeproto.Histogram{Bounds: bounds, Counts: []int64{2, 3, 1}, Sum: 9_000_000, Max: 5_000_000},
		PageIns:    pipeproto.Histogram{Bounds: bounds, Counts: []int64{0, 3, 0}, Sum: 90_000, Max: 50_000},
		Workers:    []pipeproto.LiveWorker{{VatID: "v1", Name: hostile, PID: 101, RSSBytes: 45_700_000}},
		Warnings:   []pipeproto.Warned{{At: 1, Message: hostile}},
	}}
	for i := 1; i <= vats; i++ {
		d.vats = append(d.vats, pipeproto.VatStatus{VatID: fmt.Sprintf("v%d", i), Name: fmt.Sprintf("vat%d", i), State: "running"})
	}
	d.vats[0].Name, d.vats[0].LastError, d.vats[0].PauseReason, d.vats[0].State = hostile, hostile, hostile, hostile
	return d
}

// site is a server of a test, and who asks it.
type site struct {
	t      *testing.T
	server *Server
	client *http.Client
}

func serve(t *testing.T, d watch.Daemon) *site {
	t.Helper()
	server, err := Listen(Options{Address: "127.0.0.1:0", Daemon: d})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, server: server, client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// get asks for a page; change may change the request.
func (s *site) get(path string, change ...func(*http.Request)) (status int, text string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, strings.TrimSuffix(s.server.URL(), "/")+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		s.t.Errorf("%s: policy %q", path, csp)
	}
	return resp.StatusCode, string(body)
}

var pagePaths = []string{"/", "/vats", "/vats?sort=memory&state=online&q=v", "/vats?sort=&state=&reverse=1", "/vats/v1", "/troubles"}

func TestPages(t *testing.T) {
	s := serve(t, newFake(20))
	for _, path := range pagePaths {
		status, text := s.get(path)
		if status != http.StatusOK || !strings.Contains(text, "</html>") {
			t.Errorf("%s: %d\n%s", path, status, text)
		}
		for _, bad := range []string{"<script", "<img", "\x1b", "\u202e", "ZgotmplZ", "<no value>"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %q is in the page", path, bad)
			}
		}
		join := "?"
		if strings.Contains(path, "?") {
			join = "&"
		}
		status, text = s.get(path + join + "format=json")
		var doc map[string]any
		if err := json.Unmarshal([]byte(text), &doc); err != nil || status != http.StatusOK || len(doc) < 4 {
			t.Errorf("%s as JSON: %d, %v", path, status, err)
		}
		if _, ok := doc["Choice"]; ok {
			t.Errorf("%s as JSON: it has what is only the page's", path)
		}
		if strings.Contains(text, "\x1b") || strings.Contains(text, "\u202e") {
			t.Errorf("%s as JSON: text that a terminal obeys", path)
		}
	}
	for _, query := range []string{"sort=odd", "state=odd", "sort=vat&state=%1b%5b31m"} {
		status, text := s.get("/vats?" + query)
		if status != http.StatusBadRequest || !strings.Contains(text, "it is one of ") || strings.Contains(text, "\x1b") {
			t.Errorf("%s: %d\n%s", query, status, text)
		}
		if status, text := s.get("/vats?format=json&" + query); status != http.StatusBadRequest || !strings.Contains(text, `"code": "bad-request"`) {
			t.Errorf("%s as JSON: %d\n%s", query, status, text)
		}
	}
	if _, text := s.get("/vats?q=vat12"); !strings.Contains(text, ">vat12<") || strings.Contains(text, ">vat13<") {
		t.Error("the list is not filtered")
	}
	if _, text := s.get("/vats?sort=vat&reverse=1"); strings.Index(text, ">vat20<") > strings.Index(text, ">vat3<") {
		t.Error("the list is not turned around")
	}
	if _, text := s.get("/"); !strings.Contains(text, `http-equiv="refresh"`) {
		t.Error("the page does not ask again")
	}
	if _, text := s.get("/?refresh=off"); strings.Contains(text, `http-equiv="refresh"`) {
		t.Error("the page does not keep still")
	}
}

func TestWhatIsNotThere(t *testing.T) {
	d := newFake(3)
	s := serve(t, d)
	for path, want := range map[string]string{"/nothing": "there is no such page", "/vats/v99": "there is no vat", "/vats/v99?format=json": `"not-found"`, "/pages/vat.html": "no such page"} {
		if status, text := s.get(path); status != http.StatusNotFound || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	d.set(func() { d.err = &control.NobodyError{Path: "db/vats.sock", Err: errors.New("gone")} })
	time.Sleep(lookAge) // what was seen may be shown for so long
	for _, path := range pagePaths {
		if status, text := s.get(path); status != http.StatusServiceUnavailable || !strings.Contains(text, "no daemon listens at db/vats.sock") {
			t.Errorf("%s without a daemon: %d %s", path, status, text)
		}
	}
	if status, text := s.get("/metrics"); status != http.StatusOK || !strings.Contains(text, "vatworkerd_daemon_up 0\n") || strings.Contains(text, "height") {
		t.Errorf("metrics without a daemon: %d %s", status, text)
	}
}

func TestBusyDaemon(t *testing.T) {
	d := newFake(3)
	d.busy = pipeproto.Errorf(pipeproto.CodeBusy, "vatworkerd is busy: run for 9.0 s")
	s := serve(t, d)
	if status, text := s.get("/vats"); status != http.StatusOK || !strings.Contains(text, "not of now: vatworkerd is busy") || !strings.Contains(text, "v1") {
		t.Errorf("%d %s", status, text)
	}
}

func TestHealth(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakeDaemon)
		status int
		text   string
	}{
		"well":            {func(*fakeDaemon) {}, 200, "ok, height 12, 0 alarms"},
		"a worker hangs":  {func(d *fakeDaemon) { d.look.Live.Alarms = []pipeproto.Alarm{{Kind: "worker"}} }, 200, "1 alarm"},
		"the block lost":  {func(d *fakeDaemon) { d.look.Live.Alarms = []pipeproto.Alarm{{Kind: "block", Message: "it is lost"}} }, 503, "it is lost"},
		"panic":           {func(d *fakeDaemon) { d.look.Live.Panic = "critical\x1b" }, 503, `panic: critical\x1b`},
		"panic before":    {func(d *fakeDaemon) { d.look.Holder.Panic = "critical" }, 503, "panic: critical"},
		"nobody is there": {func(d *fakeDaemon) { d.err = errors.New("gone") }, 503, "there is no daemon: gone"},
	} {
		d := newFake(3)
		c.change(d)
		if status, text := serve(t, d).get("/healthz"); status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

// A page of another site must not read what is served here, by having its own
// name resolved to this address; and nothing can be changed.
func TestGuard(t *testing.T) {
	s := serve(t, newFake(3))
	port := fmt.Sprint(s.server.listener.Addr().(*net.TCPAddr).Port)
	for host, want := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "[::1]:" + port: 200, "LOCALHOST:" + port: 200,
		"evil.example:" + port: 421, "127.0.0.1": 421, "127.0.0.1.evil.example:" + port: 421, "localhost:1": 421, "10.0.0.1:" + port: 421,
	} {
		if status, _ := s.get("/", func(r *http.Request) { r.Host = host }); status != want {
			t.Errorf("Host %q: %d, not %d", host, status, want)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "ODD"} {
		if status, _ := s.get("/", func(r *http.Request) { r.Method = method }); status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, status)
		}
	}
}

func TestOnlyThisMachine(t *testing.T) {
	for address, isOpen := range map[string]bool{"0.0.0.0:0": true, ":0": true, "[::]:0": true, "127.0.0.1:0": false, "localhost:0": false, "127.8.8.8:0": false} {
		server, err := Listen(Options{Address: address, Daemon: newFake(1)})
		var refused *NotLoopbackError
		if errors.As(err, &refused) != isOpen {
			t.Errorf("%s: %v", address, err)
		}
		if err == nil {
			_ = server.Close()
		}
	}
	server, err := Listen(Options{Address: "0.0.0.0:0", Anywhere: true, Daemon: newFake(1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	n := namesFor(&net.TCPAddr{IP: net.IPv4zero, Port: 9090}, true)
	for host, want := range map[string]bool{"10.1.2.3:9090": true, "evil.example:9090": false, "10.1.2.3:80": false} {
		if n.has(host) != want {
			t.Errorf("anywhere, Host %q: %t", host, !want)
		}
	}
	if _, err := Listen(Options{Address: "nonsense", Daemon: newFake(1)}); err == nil {
		t.Error("an address without a port is taken")
	}
}

// Many who ask cost the daemon no more than one.
func TestManyAsk(t *testing.T) {
	d := newFake(50)
	s := serve(t, d)
	began := time.Now()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() { s.get("/vats") })
	}
	all.Wait()
	most := int64(time.Since(began)/lookAge) + 2
	if n := d.looks.Load(); n > most {
		t.Errorf("%d looks for 200 pages", n)
	}
	if n := d.lists.Load(); n > most {
		t.Errorf("%d lists for 200 pages", n)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limited(inner, 1)
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	a, b := dial(), dial()
	defer a.Close()
	defer b.Close()
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan net.Conn)
	go func() {
		conn, _ := l.Accept()
		second <- conn
	}()
	select {
	case <-second:
		t.Error("two connections at a time")
	case <-time.After(20 * time.Millisecond): // it can only be too short to find a fault
	}
	_ = first.Close()
	_ = first.Close() // gives back one place only
	_ = (<-second).Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}

// A caller that never finishes its request does not hold up the end.
func TestCloseWithASlowCaller(t *testing.T) {
	server, err := Listen(Options{Address: "127.0.0.1:0", Daemon: newFake(3)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", server.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}
