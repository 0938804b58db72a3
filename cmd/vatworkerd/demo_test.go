package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// demoLines are the lines of a run that are the same on every machine; which vats
// had a worker is told by the others, and in one column.
var (
	demoLines = regexp.MustCompile(`^(?:create|start|console|bootstrap|activity hash|VAT|v\d+) .*$`)
	whoIsOn   = regexp.MustCompile(`\b(?:online|offline)\b`)
	demoRun   = regexp.MustCompile(`(?s)(?:what .make demo. prints:\n\n|run testdata/demo/config.json [^\n]*\n)(.*?)\n[^ \n]`)
)

// TestDemoIsAsShown compares the demo's vats with what README.md and docs/commands.md
// show of them: what they say, computrons, the hashes of their heaps, the activity hash.
// With a place for each vat it is over sooner; what is compared is the same.
func TestDemoIsAsShown(t *testing.T) {
	r := newRig(t)
	config, err := filepath.Abs(repository + "/testdata/demo/config.json")
	if err != nil {
		t.Fatal(err)
	}
	out := r.ok("run", config, "--db", "demo", "--max-online", "8")
	printed := sameEverywhere(out.stdout)
	for _, page := range []string{"README.md", "docs/commands.md"} {
		text, err := os.ReadFile(repository + "/" + page)
		if err != nil {
			t.Fatal(err)
		}
		shown := demoRun.FindStringSubmatch(string(text))
		if shown == nil {
			t.Fatalf("%s shows no demo", page)
		}
		found := sameEverywhere(shown[1])
		if len(found) < 8 {
			t.Errorf("of %s only %q is compared", page, found)
		}
		for _, line := range found {
			if !slices.Contains(printed, line) {
				t.Errorf("%s shows what the demo does not print: %s", page, line)
			}
		}
	}
}

func sameEverywhere(text string) (kept []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); demoLines.MatchString(line) {
			kept = append(kept, gaps.ReplaceAllString(whoIsOn.ReplaceAllString(line, "-"), " "))
		}
	}
	return kept
}
