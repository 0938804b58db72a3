package kernelhost

import "testing"

// Which of several wrong options is named reaches the vat, and so the
// transcript: it must be the same one every time.
func TestChangedOptionsNamesTheFirstWrongOne(t *testing.T) {
	for range 100 {
		_, err := changedOptions(map[string]any{"zeta": 1.0, "alpha": 1.0, "mu": 1.0})
		if err == nil || err.Error() != "device.invoke failed: invalid option alpha" {
			t.Fatalf("error %v", err)
		}
	}
}
