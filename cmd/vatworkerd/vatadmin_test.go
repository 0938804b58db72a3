package main

import (
	"fmt"
	"testing"

	"vatworkerd/internal/testrig"
)

// A config that names bundles none of its vats is made of runs with a vat-admin
// vat, and ends the same however many workers there are.
func TestRunVatAdmin(t *testing.T) {
	r := newRig(t)
	r.write("config.json", fmt.Sprintf(`{"bootstrap": "bootstrap",
		"bundles": {"v1": {"bundleSpec": %q}, "v2": {"bundleSpec": %q}},
		"vats": {"bootstrap": {"bundleSpec": %q}}}`,
		testrig.Bundle(t, "upgradable-v1"), testrig.Bundle(t, "upgradable-v2"), testrig.Bundle(t, "admin-solo")))
	var hashes []string
	for _, workers := range []string{"1", "5"} {
		var doc struct {
			Vats         []struct{ VatID, Name, State string }
			TestLog      []string
			ActivityHash string
			Bootstrap    struct {
				Status string
				Value  any
			}
		}
		r.json(&doc, "run", "config.json", "--db", "db"+workers, "--max-online", workers)
		if got := fmt.Sprint(doc.Vats); got != "[{v1 bootstrap running} {v2 vatAdmin running} {v3 account running}]" {
			t.Errorf("vats: %s", got)
		}
		if got := fmt.Sprint(doc.TestLog, " ", doc.Bootstrap.Status); got != "[incarnation 1] fulfilled" {
			t.Errorf("testLog and status: %s", got)
		}
		hashes = append(hashes, doc.ActivityHash)
	}
	if hashes[0] != hashes[1] || hashes[0] == "" {
		t.Errorf("activity hashes differ: %v", hashes)
	}
}
