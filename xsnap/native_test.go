package xsnap

import (
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
)

// TestNative has the native worker pass the tests of the stock engine: newRig
// tells by the test's name which of them is meant.
func TestNative(t *testing.T) {
	runAll(t, testsOfMemory(), map[string]func(*testing.T){
		"SignalInMidDelivery":       TestSignalInMidDelivery,
		"KillOfStoppedWorker":       TestKillOfStoppedWorker,
		"LargeSyscall":              TestLargeSyscall,
		"ManyWorkers":               TestManyWorkers,
		"Wrap":                      TestWrap,
		"BaseCache":                 TestBaseCache,
		"BaseCacheFailures":         TestBaseCacheFailures,
		"NothingIsInherited":        TestNothingIsInherited,
		"GroupAndLimits":            TestGroupAndLimits,
		"Pinning":                   TestPinning,
		"StartFailures":             TestStartFailures,
		"StartWithOwnSpawner":       TestStartWithOwnSpawner,
		"NoDescriptorsLeft":         TestNoDescriptorsLeft,
		"WorkerDiesWithParent":      TestWorkerDiesWithParent,
		"ClosedSpawnerKills":        TestClosedSpawnerKills,
		"ContainmentChangesNothing": TestContainmentChangesNothing,
		"ContainedFaults":           TestContainedFaults,
		"DamagedSnapshotContained":  TestDamagedSnapshotUnderContainment,
		"MemoryMapStaysReadable":    TestMemoryMapStaysReadable,
		"Degraded":                  TestDegraded,
		"InheritedFileDoesNotGrow":  TestInheritedFileDoesNotGrow,
		"ContainedStatus":           TestContainedStatus,
		"ContainedDiesWithSpawner":  TestContainedDiesWithSpawner,
		"ContainedStartFailures":    TestContainedStartFailures,
		"ContainedStartsAtOnce":     TestContainedStartsAtOnce,
	})
}

// testsOfMemory are those in which a worker could make a mistake with its memory:
// TestSanitized runs them again.
func testsOfMemory() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"BaseSnapshotChangesNothing":     TestBaseSnapshotChangesNothing,
		"SnapshotAndGoOn":                TestSnapshotAndGoOn,
		"ReplacementWhileSnapshotStream": TestReplacementWhileSnapshotStreams,
		"SnapshotDestinationFails":       TestSnapshotDestinationFails,
		"BadSnapshotsAreRefused":         TestBadSnapshotsAreRefused,
		"CloseOfStoppedWorker":           TestCloseOfStoppedWorker,
		"HandlerErrorEndsTheWorker":      TestHandlerErrorEndsTheWorker,
		"ConsoleAndTestLog":              TestConsoleAndTestLog,
		"SetBundleFailures":              TestSetBundleFailures,
		"EvaluateFailures":               TestEvaluateFailures,
		"Ask":                            TestAsk,
	}
}

func runAll(t *testing.T, lists ...map[string]func(*testing.T)) {
	for _, list := range lists {
		for name, test := range list {
			t.Run(name, test)
		}
	}
}

func TestNativeEngineIsKnown(t *testing.T) {
	eng, err := IdentifyEngine(testrig.NativeEngine(t).Engine)
	if err != nil {
		t.Fatal(err)
	}
	stock, err := IdentifyEngine(testrig.Engine(t).Engine)
	if err != nil {
		t.Fatal(err)
	}
	if eng.Kind != EngineNative || eng.Kind.String() != "native" || stock.Kind != EngineStock || stock.Kind.String() != "stock" {
		t.Errorf("kinds are %v and %v", eng.Kind, stock.Kind)
	}
	if !eng.HeapArea || stock.HeapArea {
		t.Errorf("it is the native worker that finds its heap in memory: %t, %t", eng.HeapArea, stock.HeapArea)
	}
	// Both are of one package.
	if _, rest, _ := strings.Cut(eng.Version, " "); "xsnap "+rest != stock.Version {
		t.Errorf("versions are %q and %q", eng.Version, stock.Version)
	}
}

// nativeRig is newRig on the native worker.
func nativeRig(t testing.TB) *rig {
	t.Helper()
	return rigOn(t, testrig.NativeEngine(t))
}
