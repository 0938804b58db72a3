package e2e

import (
	"bytes"
	"os"
	"testing"

	"vatworkerd/internal/crashpoint"
)

// TestReleasesHaveNoCrashPoints: of a point nothing is left in a program that is
// built without the tag, not even its name.
func TestReleasesHaveNoCrashPoints(t *testing.T) {
	image, err := os.ReadFile(program(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range crashpoint.All() {
		if bytes.Contains(image, []byte(p.Name)) {
			t.Errorf("the name of %s is in the program", p.Name)
		}
	}
	if bytes.Contains(image, []byte("vatworkerd/internal/crashpoint.")) {
		t.Error("a function of crashpoint is in the program")
	}
}
