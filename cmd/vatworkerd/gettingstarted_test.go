package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestGettingStarted does what docs/getting-started.md says, and compares what the
// commands print with what it shows.
func TestGettingStarted(t *testing.T) {
	text, err := os.ReadFile(repository + "/docs/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.linkProgram()
	commands := 0
	for _, step := range stepsOf(string(text)) {
		if step.file != "" {
			r.write(step.file, step.text)
			continue
		}
		commands++
		if got, want := r.normal(r.shell(step.command+" 2>&1")), r.normal(step.text); !matches(lines(got), lines(want)) {
			t.Errorf("$ %s\nprints\n%s\nand docs/getting-started.md shows\n%s", step.command, got, want)
		}
	}
	if commands < 8 {
		t.Errorf("the page has %d commands: is it read as it is meant?", commands)
	}
}

// step is a file that a page has its reader write, or a command and what it prints.
type step struct{ file, command, text string }

// A fenced block is the content of the file that was named last before it.
var (
	fileNames  = regexp.MustCompile("`([a-z-]+\\.(?:js|json))`")
	indentedBy = regexp.MustCompile(`^ {4}(.*)$`)
)

// stepsOf reads a page. Commands begin with "$ ", in indented blocks.
func stepsOf(page string) (steps []step) {
	var named string
	var fenced *step
	var shows bool // what a command prints
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		last := len(steps) - 1
		indented := indentedBy.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "```") && fenced == nil:
			fenced = &step{file: named}
		case strings.HasPrefix(line, "```"):
			steps, fenced = append(steps, *fenced), nil
		case fenced != nil:
			fenced.text += line + "\n"
		case indented != nil && strings.HasPrefix(indented[1], "$ "):
			steps, shows = append(steps, step{command: indented[1][2:]}), true
		case indented != nil && shows:
			steps[last].text += indented[1] + "\n"
		case line == "" && shows:
			steps[last].text += "\n"
		default:
			shows = false
			if names := fileNames.FindAllStringSubmatch(line, -1); names != nil {
				named = names[len(names)-1][1]
			}
		}
	}
	return steps
}

func lines(text string) []string {
	kept := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range kept {
		kept[i] = strings.TrimRight(line, " ")
	}
	return kept
}

// matches tells whether lines are as they are shown, where "…" stands for any.
func matches(got, shown []string) bool {
	switch {
	case len(shown) == 0:
		return len(got) == 0
	case shown[0] != "…":
		return len(got) > 0 && got[0] == shown[0] && matches(got[1:], shown[1:])
	}
	for skipped := range len(got) + 1 {
		if matches(got[skipped:], shown[1:]) {
			return true
		}
	}
	return false
}

func TestMatchesWhatIsLeftOut(t *testing.T) {
	for shown, want := range map[string]bool{
		"a b c": true, "a … c": true, "…": true, "a … b c": true, "a b c …": true, "a b": false, "… b": false, "a c": false, "a b c d": false,
	} {
		if got := matches([]string{"a", "b", "c"}, strings.Fields(shown)); got != want {
			t.Errorf("%s: %v", shown, got)
		}
	}
}
