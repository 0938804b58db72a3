package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vatworkerd/internal/blockhost"
	"vatworkerd/internal/testrig"
)

func TestMain(m *testing.M) {
	ServeHost()
	goleak.VerifyTestMain(m)
}

// TestSoak is the short form: few vats, few workers, seconds. `make soak` has the
// long one.
func TestSoak(t *testing.T) {
	dir := t.TempDir()
	daemon := filepath.Join(dir, "vatworkerd")
	if out, err := exec.Command("go", "build", "-o", daemon, "vatworkerd/cmd/vatworkerd").CombinedOutput(); err != nil {
		t.Fatalf("cannot build vatworkerd: %v\n%s", err, out)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	build := testrig.BuildDir(t)
	var progress bytes.Buffer
	line := &Line{Out: &progress}
	o := Options{
		Blocks: 12, Vats: 12, Pool: 2, CalmPool: 5, Seed: uint64(time.Now().UnixNano()), Faults: true,
		Dir: dir, Host: []string{exe}, Daemon: daemon, Engine: filepath.Dir(testrig.Engine(t).Engine),
		Bundles: filepath.Dir(testrig.Bundle(t, "soak")), Cache: filepath.Join(build, "base"), Tell: line.Show,
	}
	t.Setenv("GORACE", "atexit_sleep_ms=0") // hosts are this binary
	t.Logf("seed %d", o.Seed)
	report, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := report.Write(&text); err != nil {
		t.Fatal(err)
	}
	t.Log(text.String())
	if !report.OK() || report.Height != o.Blocks {
		t.Errorf("height %d, problems: %q", report.Height, report.Problems)
	}
	document, err := json.Marshal(report)
	if err != nil || !bytes.Contains(document, []byte(`"problems":[]`)) {
		t.Errorf("%s, %v", document, err)
	}
	if !strings.HasPrefix(progress.String(), "soak: disturbed") {
		t.Errorf("progress %q", progress.String())
	}
}

func TestWhatHostsTellIsCompared(t *testing.T) {
	block := func(height int64, hash string) blockhost.Line {
		return blockhost.Line{Kind: blockhost.KindBlock, Height: height, Text: hash}
	}
	out := func(height int64, text string) blockhost.Line {
		return blockhost.Line{Kind: blockhost.KindOutput, Height: height, Text: text}
	}
	for name, c := range map[string]struct {
		a, b []blockhost.Line
		want string
	}{
		"equal":             {[]blockhost.Line{block(1, "x"), out(1, "o"), out(1, "o"), block(2, "y")}, []blockhost.Line{block(1, "x"), out(1, "o"), block(2, "y")}, ""},
		"one not told":      {[]blockhost.Line{block(2, "y")}, []blockhost.Line{block(1, "x"), block(2, "y")}, ""},
		"another hash":      {[]blockhost.Line{block(1, "x"), block(2, "y")}, []blockhost.Line{block(1, "z"), block(2, "y")}, "part at block 1"},
		"another height":    {[]blockhost.Line{block(1, "x")}, []blockhost.Line{block(1, "x"), block(2, "y")}, "at height 1"},
		"a lost block":      {[]blockhost.Line{block(2, "y"), block(1, "x")}, []blockhost.Line{block(1, "x")}, "a committed block is lost"},
		"a changed block":   {[]blockhost.Line{block(1, "x"), block(1, "y")}, []blockhost.Line{block(1, "y")}, "then y"},
		"an output missing": {[]blockhost.Line{block(1, "x"), out(1, "o")}, []blockhost.Line{block(1, "x")}, "in one run only"},
		"an output extra":   {[]blockhost.Line{block(1, "x")}, []blockhost.Line{block(1, "x"), out(1, "o")}, "0 outputs have left, and 1"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newTold(), newTold()
			for _, line := range c.a {
				a.hear(line)
			}
			for _, line := range c.b {
				b.hear(line)
			}
			err := a.compare(b)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestGrowthIsSeen(t *testing.T) {
	const samples = 2 * steadySamples
	grow := func(bytes int64, files int) *watch {
		w := newWatch()
		l := &life{role: "daemon"}
		for i := range samples {
			l.steady = append(l.steady, usage{50 << 20, 40})
			l.steady[i].resident += int64(i) * bytes / samples
			l.steady[i].descriptors += i * files / samples
		}
		w.lives = append(w.lives, l)
		return w
	}
	for name, c := range map[string]struct {
		bytes int64
		files int
		want  string
	}{
		"flat":        {8 << 20, 4, ""},
		"memory":      {300 << 20, 0, "memory"},
		"descriptors": {0, 200, "descriptors"},
	} {
		g, ok := grow(c.bytes, c.files).growth("daemon", 2)
		if !ok || (g.StillGrowing == "") != (c.want == "") || !strings.Contains(g.StillGrowing, c.want) {
			t.Errorf("%s: %+v, %v", name, g, ok)
		}
	}
	if _, ok := newWatch().growth("host", 2); ok {
		t.Error("a process that nobody saw has grown")
	}
}

func TestReport(t *testing.T) {
	r := Report{
		Seed: 7, Vats: 300, Pools: [2]int{8, 5}, Height: 90, Hash: "ab12", Starts: 3, Faults: map[string]int64{"worker killed": 21, "host killed": 2},
		Answered: 50, Refused: 4, Outputs: 6, OutputTwice: 1, Took: [2]time.Duration{5 * time.Minute, 200 * time.Second},
		Growth:   []Growth{{Role: "calm daemon", Lived: 190 * time.Second, FirstBytes: 50e6, LastBytes: 51.5e6, FirstFiles: 60, LastFiles: 61}},
		Problems: []string{},
	}
	want := `seed              7
vats              300, pools of 8 and 5
blocks            90 in 5:00, then in 3:20 undisturbed
activity hash     ab12
starts            3
host killed       2
worker killed     21
control requests  50 answered, 4 not: nobody was there, or busy
outputs           6, 1 came more than once
calm daemon       50.0 MB to 51.5 MB, 60 to 61 descriptors in 3:10
result            all is as it must be
`
	var text strings.Builder
	if err := r.Write(&text); err != nil || text.String() != want {
		t.Errorf("got\n%s\nwant\n%s(%v)", text.String(), want, err)
	}
	r.Problems = []string{"one thing", "and another"}
	text.Reset()
	if err := r.Write(&text); err != nil || r.OK() || !strings.HasSuffix(text.String(), "result            one thing\n                  and another\n") {
		t.Errorf("got\n%s(%v)", text.String(), err)
	}
}

func TestEveryActionMayHappen(t *testing.T) {
	for _, a := range actions() {
		if a.weight < 1 || a.do == nil {
			t.Errorf("%q is never done", a.name)
		}
	}
	if got := (Work{Vats: 25}).creating(); got != 3 {
		t.Errorf("25 vats are made in %d blocks", got)
	}
	t.Logf("%d kinds of actions, %d of faults", len(actions()), len(faults(Options{Silence: 1, OwnDisk: true})))
}
