package xsnap

import (
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
)

// TestNative has the native worker pass the tests of the stock engine: newRig
// tells by the test's name which of them is meant.
func TestNative(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"BaseSnapshotChangesNothing":     TestBaseSnapshotChangesNothing,
		"SnapshotAndGoOn":                TestSnapshotAndGoOn,
		"ReplacementWhileSnapshotStream": TestReplacementWhileSnapshotStreams,
		"SnapshotDestinationFails":       TestSnapshotDestinationFails,
		"BadSnapshotsAreRefused":         TestBadSnapshotsAreRefused,
		"SignalInMidDelivery":            TestSignalInMidDelivery,
		"KillOfStoppedWorker":            TestKillOfStoppedWorker,
		"CloseOfStoppedWorker":           TestCloseOfStoppedWorker,
		"HandlerErrorEndsTheWorker":      TestHandlerErrorEndsTheWorker,
		"ConsoleAndTestLog":              TestConsoleAndTestLog,
		"LargeSyscall":                   TestLargeSyscall,
		"SetBundleFailures":              TestSetBundleFailures,
		"EvaluateFailures":               TestEvaluateFailures,
		"ManyWorkers":                    TestManyWorkers,
		"BaseCache":                      TestBaseCache,
		"BaseCacheFailures":              TestBaseCacheFailures,
		"NothingIsInherited":             TestNothingIsInherited,
		"GroupAndLimits":                 TestGroupAndLimits,
		"Pinning":                        TestPinning,
		"StartFailures":                  TestStartFailures,
		"StartWithOwnSpawner":            TestStartWithOwnSpawner,
		"NoDescriptorsLeft":              TestNoDescriptorsLeft,
		"WorkerDiesWithParent":           TestWorkerDiesWithParent,
		"ClosedSpawnerKills":             TestClosedSpawnerKills,
		"ContainmentChangesNothing":      TestContainmentChangesNothing,
		"ContainedFaults":                TestContainedFaults,
		"DamagedSnapshotContained":       TestDamagedSnapshotUnderContainment,
		"MemoryMapStaysReadable":         TestMemoryMapStaysReadable,
		"Degraded":                       TestDegraded,
		"InheritedFileDoesNotGrow":       TestInheritedFileDoesNotGrow,
		"ContainedStatus":                TestContainedStatus,
		"ContainedDiesWithSpawner":       TestContainedDiesWithSpawner,
		"ContainedStartFailures":         TestContainedStartFailures,
		"ContainedStartsAtOnce":          TestContainedStartsAtOnce,
	} {
		t.Run(name, test)
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
