// Package rooms holds the test that keeps imports running one way.
package rooms

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed lists, for each room, the rooms it may import. A room that is not
// here may import none.
func allowed() map[string][]string {
	return map[string][]string{
		"bench":          {"kernelhost", "kernelhost/config", "kernelhost/capdata", "pipeproto", "xsnap", "internal/procs"},
		"cmd/vatworkerd": {"kernelhost", "kernelhost/config", "kernelhost/capdata", "supervisor", "dbdir", "replay", "swingstore", "swingexport", "transcripts", "control", "workerlogs", "slogfile", "frames", "xsnap", "pipeproto", "store"},
		"dbdir":          {"kernelhost", "kernelhost/config", "supervisor", "swingstore", "swingexport", "snapshots", "transcripts", "pipeproto", "store"},
		"replay":         {"supervisor", "xsnap", "snapshots", "transcripts", "pipeproto", "store"},
		"kernelhost":     {"kernelhost/config", "kernelhost/capdata", "pipeproto", "store"},
		"supervisor":     {"xsnap", "snapshots", "transcripts", "control", "workerlogs", "slogfile", "frames", "pipeproto", "store"},
		"control":        {"pipeproto"},
		"swingstore":     {"swingexport", "xsnap", "snapshots", "transcripts", "pipeproto", "store"},
		"swingexport":    {"pipeproto"},
		"snapshots":      {"pipeproto", "store"},
		"transcripts":    {"store"},
		"xsnap":          {"frames", "pipeproto"},
		"frames":         {"pipeproto"},
	}
}

// isEverywhere tells of what any room may import: it knows no room but the words
// of pipeproto. The points of crashes do nothing but in builds of the tests.
func isEverywhere(pkg string) bool {
	return pkg == "internal/crashpoint" || pkg == "internal/jsonline" || pkg == "internal/staging"
}

// TestImportsRunOneWay looks at what each package imports outside of its tests.
// Packages below a room (internal ones) count as the room itself.
func TestImportsRunOneWay(t *testing.T) {
	const module = "vatworkerd/"
	for _, pkg := range list(t) {
		from := room(strings.TrimPrefix(pkg.ImportPath, module))
		if strings.HasPrefix(from, "internal/") {
			continue
		}
		for _, path := range pkg.Imports {
			to := room(strings.TrimPrefix(path, module))
			if !strings.HasPrefix(path, module) || to == from || isEverywhere(to) || slices.Contains(allowed()[from], to) {
				continue
			}
			t.Errorf("%s imports %s: imports run cmd → kernelhost → pipeproto and cmd → supervisor → {xsnap, snapshots, transcripts} → {pipeproto, store}", from, to)
		}
	}
}

func room(path string) string {
	head, _, _ := strings.Cut(path, "/internal/")
	return head
}

type listed struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg listed
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
}
