package e2e

import (
	"bytes"
	"os"
	"testing"
)

// TestReleasesHaveNoCrashPoints: a program that is built without the tag has no
// code of a point.
func TestReleasesHaveNoCrashPoints(t *testing.T) {
	image, err := os.ReadFile(program(t))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(image, []byte("vatworkerd/internal/crashpoint.")) {
		t.Error("a function of crashpoint is in the program")
	}
}
