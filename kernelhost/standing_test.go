package kernelhost

import (
	"context"
	"errors"
	"testing"
)

func TestStanding(t *testing.T) {
	ctx := context.Background()
	k, err := openChild(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Initialize(ctx, testConfig("", "a\nb", never())); err != nil {
		t.Fatal(err)
	}
	if k.Changed() || k.Dead() != nil {
		t.Errorf("after a commit: changed %v, %v", k.Changed(), k.Dead())
	}
	if _, err := k.QueueToVat(ctx, "a", "m", noArgs()); err != nil {
		t.Fatal(err)
	}
	if !k.Changed() {
		t.Error("an open block with a message is called unchanged")
	}
	if err := k.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if k.Changed() {
		t.Error("a block that was dropped is called changed")
	}
	select {
	case <-k.Gone():
		t.Error("the daemon is called gone")
	default:
	}
	gone := k.Gone()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	<-gone
	if !errors.Is(k.Dead(), ErrClosed) {
		t.Errorf("closed, the kernel is dead of %v", k.Dead())
	}
}

func TestForgetTestLog(t *testing.T) {
	k := &Kernel{testLog: []string{"one", "two", "open"}, settled: 2}
	k.ForgetTestLog()
	if got := k.TestLog(); len(got) != 0 || len(k.testLog) != 1 || k.testLog[0] != "open" {
		t.Errorf("left %q, of them %q committed", k.testLog, got)
	}
}

// Names and IDs are found beside the kernel that has the database open, as it
// finds them itself.
func TestFindVat(t *testing.T) {
	r := newRig(t)
	if _, err := r.k.Initialize(context.Background(), testConfig("", "a\nb", never())); err != nil {
		t.Fatal(err)
	}
	for _, vat := range []string{"a", "b", "v1", "v2", "v9", "nobody", ""} {
		want, wantErr := r.k.vatID(vat)
		got, err := FindVat(r.dir, vat)
		if got != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%q: %q, %v, want %q, %v", vat, got, err, want, wantErr)
		}
		var unknown *UnknownVatError
		if err != nil && !errors.As(err, &unknown) {
			t.Errorf("%q: %v, want *UnknownVatError", vat, err)
		}
	}
	if _, err := FindVat(t.TempDir(), "a"); err == nil {
		t.Error("a vat was found where there is no database")
	}
}
