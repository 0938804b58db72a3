package xsnap

import "testing"

// BenchmarkStart measures from Start to the first answer, of a fresh machine
// and of one with the base snapshot, contained and not.
func BenchmarkStart(b *testing.B) {
	fullSandbox(b)
	r := newRig(b)
	for _, from := range []string{"fresh", "base"} {
		for _, policy := range []Sandbox{SandboxOff, SandboxRequire} {
			b.Run(from+"/"+policy.String(), func(b *testing.B) {
				for b.Loop() {
					benchStart(b, r, from, policy)
				}
			})
		}
	}
}

func benchStart(b *testing.B, r *rig, from string, policy Sandbox) {
	o := StartOptions{Name: "v1:bench", CPU: -1, Sandbox: policy}
	if from == "base" {
		f, err := r.base.Open(r.image)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		o.From = f
	}
	w, err := r.spawner.Start(r.image.Engine, o)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Ready(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}
