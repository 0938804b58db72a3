package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// completions are what a shell gets for the last of some arguments.
func (r *rig) completions(args ...string) []string {
	r.t.Helper()
	out := r.ok(append([]string{"__complete"}, args...)...)
	var words []string
	for line := range strings.Lines(out.stdout) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if !strings.HasPrefix(word, ":") {
			words = append(words, word)
		}
	}
	return words
}

func TestCompletion(t *testing.T) {
	r := started(t)
	all := []string{"alice", "bob", "bootstrap"}
	for _, c := range []struct {
		line string
		want []string
	}{
		{"send --db db ", all},
		{"send --db db b", []string{"bob", "bootstrap"}},
		{"send --db db bob", []string{"bob"}},
		{"send --db db bob ", nil},
		{"vat pause --db db al", []string{"alice"}},
		{"restart-all --db db bob a", []string{"alice"}},
		{"status --db db --pin bo", []string{"bob", "bootstrap"}},
		{"snapshot export --db db x", nil},
		{"send --db missing ", nil},
		{"send ", nil},
		{"status --engine ", []string{"stock", "native"}},
		{"status --sandbox ", []string{"off", "auto", "require"}},
		{"top --state o", watch.States()}, // shells sift words themselves,
		{"logs --level ", []string{"debug", "log", "info", "warn", "error"}},
		{"completion ", []string{"bash", "zsh", "fish"}},
		{"run ", []string{"json"}}, // the ending of files
	} {
		got := r.completions(strings.Split(c.line, " ")...)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.line, got, c.want)
		}
	}
	r.env = append(r.env, "VATWORKERD_DB="+filepath.Join(r.dir, "db"))
	if got := r.completions("vat", "show", ""); !slices.Equal(got, all) {
		t.Errorf("with VATWORKERD_DB: %q", got)
	}
}

// Completion neither waits for whoever has the database nor disturbs it.
func TestCompletionBesideAProcess(t *testing.T) {
	r := started(t)
	s := &staying{rig: r}
	s.start()
	if got := r.completions("send", "--db", "db", "al"); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("%q", got)
	}
	s.stop()
}

// Names that a shell would take apart are not offered.
func TestCompletionLeavesOutHostileNames(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", `{"bootstrap": {"bundleName": "probe"}, "a$(id)": {"bundleName": "probe"}, "a b": {"bundleName": "probe"}, "a-1": {"bundleName": "probe"}}`)
	r.ok("run", "config.json", "--db", "db")
	if got := r.completions("send", "--db", "db", "a"); !slices.Equal(got, []string{"a-1"}) {
		t.Errorf("%q", got)
	}
}

// bashLine completes a command line in bash, with the script and with what the
// script takes from the package bash-completion.
const bashLine = `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; }
__ltrim_colon_completions() { :; }
compopt() { :; }
source <(vatworkerd completion bash)
COMP_WORDS=(vatworkerd vat show --db db bo)
COMP_CWORD=5 COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
__start_vatworkerd
printf '%s\n' "${COMPREPLY[@]}"
`

func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	r := started(t)
	r.linkProgram()
	cmd := exec.Command(bash, "--noprofile", "--norc", "-c", bashLine)
	cmd.Dir, cmd.Env, cmd.Stderr = r.dir, r.env, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(out)); !slices.Equal(got, []string{"bob", "bootstrap"}) {
		t.Errorf("bash offers %q", got)
	}
}
