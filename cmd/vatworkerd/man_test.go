package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const repository = "../.."

func commandTree() *cobra.Command {
	return (&app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}).rootCommand()
}

func TestManPageIsCurrent(t *testing.T) {
	var page bytes.Buffer
	if err := manPage(commandTree()).Write(&page); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(repository + "/docs/vatworkerd.1")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, page.Bytes()) {
		t.Error("docs/vatworkerd.1 is not what the commands say; run `make man`")
	}
}

// groff warns of whatever it does not take as it is meant.
func TestManPageIsSound(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("there is no groff")
	}
	out, err := exec.Command(groff, "-man", "-Tutf8", "-ww", "-z", repository+"/docs/vatworkerd.1").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

// TestCommandsAreDocumented: docs/commands.md has a section for each command,
// and names each flag.
func TestCommandsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(repository + "/docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if sub.Hidden {
				continue
			}
			if !strings.Contains(doc, sub.Name()) {
				t.Errorf("docs/commands.md does not name %q", sub.CommandPath())
			}
			requireFlags(t, doc, sub.CommandPath(), sub.LocalNonPersistentFlags())
			visit(sub)
		}
	}
	root := commandTree()
	visit(root)
	requireFlags(t, doc, "all commands", root.PersistentFlags())
}

func requireFlags(t *testing.T, doc, of string, flags *pflag.FlagSet) {
	t.Helper()
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !strings.Contains(doc, "--"+f.Name) {
			t.Errorf("docs/commands.md does not name --%s of %s", f.Name, of)
		}
	})
}
