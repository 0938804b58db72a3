package supervisor

import (
	"path/filepath"
	"testing"

	"vatworkerd/frames"
	"vatworkerd/pipeproto"
)

// A vat whose worker was on its way in when a recording began is recorded too.
func TestRecordingOfAWorkerThatWasOnItsWayIn(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.run()
	r.reopenWith(func(o *Options) { o.Preload = PreloadAll })
	if !r.landed("v1") {
		t.Fatal("v1 is not preloaded")
	}
	recording, err := frames.Create(filepath.Join(t.TempDir(), "frames"), 1<<20)
	r.must(err)
	r.must(r.s.recorders.begin([]string{"v1"}, recording))
	r.send("v1", "increment")
	r.run()
	r.s.recorders.end(recording)
	end, err := recording.Close()
	if err != nil || end.Frames == 0 {
		t.Errorf("recorded %d frames: %v", end.Frames, err)
	}
	if got := r.pageIns(forUsed); len(got) != 1 {
		t.Errorf("preloaded %v", got)
	}
}
