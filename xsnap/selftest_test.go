package xsnap

import (
	"context"
	"errors"
	"testing"

	"vatworkerd/internal/testrig"
)

// All engines have the heap that is written down, however they were compiled.
func TestSelfTest(t *testing.T) {
	for name, paths := range map[string]testrig.EnginePaths{
		"stock": testrig.Engine(t), "native": testrig.NativeEngine(t),
	} {
		t.Run(name, func(t *testing.T) {
			image := rigOn(t, paths).image
			heap, err := SelfTest(t.Context(), image, StartOptions{Name: "self-test", CPU: -1, Sandbox: SandboxAuto})
			if err != nil {
				t.Fatal(err)
			}
			if want := KnownHeap(image); heap != want {
				t.Errorf("heap %s, known is %q", heap, want)
			}
		})
	}
}

func TestKnownHeapIsOfItsBundles(t *testing.T) {
	image := rigOn(t, testrig.Engine(t)).image
	for what, change := range map[string]func(*Image){
		"lockdown":   func(i *Image) { i.Lockdown.SHA256 = i.Supervisor.SHA256 },
		"supervisor": func(i *Image) { i.Supervisor.SHA256 = i.Lockdown.SHA256 },
		"version":    func(i *Image) { i.Engine.Version = "xsnap 0.16.0 (XS 15.0.0)" },
	} {
		other := image
		change(&other)
		if heap := KnownHeap(other); heap != "" {
			t.Errorf("with another %s it is still %s", what, heap)
		}
	}
}

func TestSelfTestIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := SelfTest(ctx, rigOn(t, testrig.Engine(t)).image, StartOptions{Name: "self-test", CPU: -1})
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Errorf("%v", err)
	}
}
