package xsnap

import (
	"testing"
)

func TestMemoryOfAWorker(t *testing.T) {
	r := newRig(t)
	w := r.fromBase()
	small, err := w.MemoryBytes()
	if err != nil || small < 4<<20 || small > 1<<30 {
		t.Fatalf("a worker on the base snapshot takes %d bytes, %v", small, err)
	}
	if seen, err := ResidentBytes(w.PID()); err != nil || seen < 4<<20 {
		t.Errorf("from outside it takes %d bytes, %v", seen, err)
	}
	if err := w.Evaluate([]byte(`globalThis.kept = new Uint8Array(32 << 20).fill(1)`), nil); err != nil {
		t.Fatal(err)
	}
	if large, err := w.MemoryBytes(); err != nil || large < small+30<<20 {
		t.Errorf("with 32 MiB more it takes %d bytes, %v; before %d", large, err, small)
	}
	w.Kill()
	<-w.Exited()
	if gone, err := ResidentBytes(w.PID()); err != nil || gone != 0 {
		t.Errorf("gone, it takes %d bytes from outside, %v", gone, err)
	}
	if gone, err := w.MemoryBytes(); err != nil || gone != 0 {
		t.Errorf("gone, it takes %d bytes, %v", gone, err)
	}
}

func TestParseResident(t *testing.T) {
	if n, err := parseResident([]byte("1001 234 5 6 0 7 0\n")); err != nil || n != 234 {
		t.Errorf("%d, %v", n, err)
	}
	for _, text := range []string{"", "1", "1 x"} {
		if _, err := parseResident([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
