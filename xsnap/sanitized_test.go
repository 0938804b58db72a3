package xsnap

import (
	"debug/elf"
	"maps"
	"slices"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
)

// The tests here have the native worker built with AddressSanitizer and
// UndefinedBehaviorSanitizer. What these report, the rig finds. Its workers are
// not contained: ASan wants terabytes of addresses, and more system calls.

func TestSanitized(t *testing.T) {
	runAll(t, testsOfMemory(), map[string]func(*testing.T){
		"WrongRequests": TestWrongRequests,
		"WrongAnswers":  TestWrongAnswers,
	})
}

func TestSanitizedForked(t *testing.T) {
	runAll(t, map[string]func(*testing.T){
		"SnapshotAndGoOn":           TestSnapshotAndGoOn,
		"HandlerErrorEndsTheWorker": TestHandlerErrorEndsTheWorker,
		"ConsoleAndTestLog":         TestConsoleAndTestLog,
		"ManyWorkers":               TestManyWorkers,
		"NoDescriptorsLeft":         TestNoDescriptorsLeft,
	})
}

// TestSanitizedIsSanitized: or its reports would be missed.
func TestSanitizedIsSanitized(t *testing.T) {
	program, err := elf.Open(testrig.SanitizedEngine(t).Engine)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	libraries, err := program.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"libasan.", "libubsan."} {
		if !slices.ContainsFunc(libraries, func(library string) bool { return strings.HasPrefix(library, name) }) {
			t.Errorf("it has %s, none is %s", libraries, name)
		}
	}
}

// builds are the release build, and the sanitized one in both its ways.
func builds(t *testing.T) []*contestant {
	return []*contestant{
		{name: "native", rig: nativeRig(t)},
		{name: "sanitized", rig: rigOn(t, testrig.SanitizedEngine(t))},
		{name: "sanitized, forked", rig: rigOn(t, testrig.SanitizedEngine(t)).forking()},
	}
}

// TestSanitizedConformance is TestConformance with the release build in the
// stock worker's place: heaps, computrons and syscalls are the same.
func TestSanitizedConformance(t *testing.T) {
	c := newContest(t, 3, builds(t)...)
	vats := workouts()
	for _, name := range slices.Sorted(maps.Keys(vats)) {
		c.startVat(vatBundle(t, name))
		c.exercise(25, vats[name])
	}
	for _, one := range c.all {
		one.end(t)
	}
}

func TestSanitizedFaults(t *testing.T) {
	c := newContest(t, 4, builds(t)...)
	for _, fault := range []string{"spin", "recurse", "hog", "overflow"} {
		t.Run(fault, func(t *testing.T) {
			c.t = t
			c.startVat(vatBundle(t, "workout"))
			c.snapshot(true)
			c.deliver(message(fault))
		})
	}
}

func TestSanitizedMachine(t *testing.T) {
	native, sanitized := newMachine(t, nativeRig(t)), newMachine(t, rigOn(t, testrig.SanitizedEngine(t)))
	compareMachines(t, native, sanitized)
	if want, got := native.output(), sanitized.output(); got != want {
		t.Errorf("native printed\n%s\nsanitized\n%s", want, got)
	}
}
