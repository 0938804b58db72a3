package xsnap

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// kilobytes sums the lines of a worker's memory map that begin with key.
func kilobytes(t *testing.T, w *Worker, key string) (sum int) {
	t.Helper()
	text, err := os.ReadFile(proc(w, "smaps"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

func needHugePages(t *testing.T) {
	t.Helper()
	if !detectHugePages() {
		mode, err := os.ReadFile(hugePagesMode)
		t.Skipf("this system gives no huge pages to those who ask: %q, %v", mode, err)
	}
}

// Who asks gets huge pages, contained or not, and takes no more memory for it.
func TestHugePages(t *testing.T) {
	needHugePages(t)
	for _, policy := range []Sandbox{SandboxOff, SandboxAuto} {
		t.Run(policy.String(), func(t *testing.T) {
			r := newRig(t).contained(policy)
			without := r.fromBase()
			r.huge = true
			with := r.fromBase()
			if n := kilobytes(t, without, "AnonHugePages"); n != 0 {
				t.Errorf("%d kB of huge pages without asking", n)
			}
			// Memory may be too fragmented for all of the 8 MB of slots.
			if n := kilobytes(t, with, "AnonHugePages"); n == 0 {
				t.Error("no huge pages")
			}
			if a, b := kilobytes(t, without, "Rss"), kilobytes(t, with, "Rss"); b > a+4096 {
				t.Errorf("%d kB in memory, %d without huge pages", b, a)
			}
		})
	}
}

func TestHugePagesChangeNothing(t *testing.T) {
	needHugePages(t)
	r := newRig(t).contained(SandboxAuto)
	bundle := trialBundle(t)
	want := liveALittle(t, r.fromBase(), bundle)
	r.huge = true
	if got := liveALittle(t, r.fromBase(), bundle); !got.equal(want) {
		t.Error("a worker on huge pages differs")
	}
	for method, code := range map[string]int{"hog": ExitNotEnoughMemory, "recurse": ExitStackOverflow, "spin": ExitTooMuchComputation} {
		r.huge = false
		want := faultOf(t, r.vat, method)
		r.huge = true
		if got := faultOf(t, r.vat, method); got != want || got.code != code {
			t.Errorf("%s: %+v, without huge pages %+v", method, got, want)
		}
	}
}

// Where the system has nothing to give, nothing is asked for.
func TestHugePagesWhereThereAreNone(t *testing.T) {
	s := newSpawner(t)
	for _, c := range []struct {
		given, wanted bool
		want          int
	}{{false, false, 1}, {false, true, 1}, {true, false, 1}, {true, true, 2}} {
		s.hugePages = c.given
		around := s.surroundingsOf(StartOptions{HugePages: c.wanted})
		if len(around.env) != c.want || len(around.read) != 2*(c.want-1) {
			t.Errorf("%+v: %+v", c, around)
		}
	}
}
