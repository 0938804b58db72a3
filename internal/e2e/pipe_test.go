package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"vatworkerd/internal/testrig"
)

// TestReaderThatGoesAwayUndoesNothing: what a command has told of a change is
// committed, also when nobody reads on (… | head -1).
func TestReaderThatGoesAwayUndoesNothing(t *testing.T) {
	bin, db := program(t), filepath.Join(t.TempDir(), "db")
	cmd, _ := start(t, bin, config(t), db, 2)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	engine := filepath.Dir(testrig.Engine(t).Engine)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	pause := exec.Command(bin, "vat", "pause", "bob", "--db", db, "--engine", engine)
	pause.Stdout, pause.Stderr = writer, writer
	if err := pause.Run(); err == nil {
		t.Error("a command whose result nobody reads says that it is done")
	}
	show, err := exec.Command(bin, "vat", "show", "bob", "--db", db, "--engine", engine, "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var vat struct{ Paused bool }
	if err := json.Unmarshal(show, &vat); err != nil || !vat.Paused {
		t.Errorf("the vat is not paused: %s (%v)", show, err)
	}
}
