// Package docs holds the tests that keep the documentation true to itself: links
// lead somewhere, every page is in the index, and code is code that is tested.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const repository = "../.."

// pages are the repository's pages, by their paths in it.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"README.md", "docs/*.md", "bench/*.md"} {
		paths, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, err := filepath.Rel(repository, path)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = read(t, name)
		}
	}
	return texts
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	coded   = regexp.MustCompile("`[^`\n]*`")
	links   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// prose is a page without code, in which nothing is a link.
func prose(page string) string {
	return coded.ReplaceAllString(fenced.ReplaceAllString(page, ""), "")
}

// anchors are the names under which a page's headings are linked, as GitHub makes
// them: what is said twice has a number at its end.
func anchors(page string) (names []string) {
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		name := strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(h[1])), ""), " ", "-")
		for n, base := 1, name; slices.Contains(names, name); n++ {
			name = base + "-" + string(rune('0'+n))
		}
		names = append(names, name)
	}
	return names
}

func TestLinksLeadSomewhere(t *testing.T) {
	texts, checked := pages(t), 0
	for name, text := range texts {
		for _, link := range links.FindAllStringSubmatch(prose(text), -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			checked++
			to := name
			if target != "" {
				to = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(repository, to)); err != nil {
				t.Errorf("%s links to %s: %v", name, link[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(texts[to]), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", name, link[1])
			}
		}
	}
	if checked < 100 {
		t.Errorf("%d links were found: are the pages read as they are meant?", checked)
	}
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	got := anchors("# top [--interval D] [--once]\n\n## `a_b`, and c!\n```\n# no heading\n```\n## The same\n## The same\n")
	if want := []string{"top---interval-d---once", "a_b-and-c", "the-same", "the-same-1"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestEveryPageIsInTheIndex(t *testing.T) {
	index := read(t, "docs/README.md")
	for name := range pages(t) {
		if file, ok := strings.CutPrefix(name, "docs/"); ok && file != "README.md" && !strings.Contains(index, "("+file+")") {
			t.Errorf("docs/README.md does not name %s", file)
		}
	}
}

var goBlocks = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// The code on the page of the Go API is part of examples that are compiled and run.
func TestGoCodeIsTested(t *testing.T) {
	tested := withoutIndent(read(t, "kernelhost/example_test.go"))
	blocks := goBlocks.FindAllStringSubmatch(read(t, "docs/go-api.md"), -1)
	if len(blocks) < 3 {
		t.Errorf("docs/go-api.md has %d blocks of code", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(tested, withoutIndent(block[1])) {
			t.Errorf("this is no part of kernelhost/example_test.go:\n%s", block[1])
		}
	}
}

func withoutIndent(code string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(code, "")
}

var (
	makeCode   = regexp.MustCompile("(?m)^(?:    |\t)(?:\\$ )?make [^\n]*$|`make [^`\n]*`")
	makeTarget = regexp.MustCompile(`\bmake ((?:[a-z][a-z-]* ?)+)`)
	targets    = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

// What pages say to make can be made.
func TestTargetsExist(t *testing.T) {
	var known []string
	for _, m := range targets.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		known = append(known, m[1])
	}
	for name, text := range pages(t) {
		for _, code := range makeCode.FindAllString(text, -1) {
			command, _, _ := strings.Cut(code, " #")
			said := makeTarget.FindStringSubmatch(command)
			if said == nil {
				continue
			}
			for _, target := range strings.Fields(said[1]) {
				if !slices.Contains(known, target) {
					t.Errorf("%s says %q, and there is no target %s", name, strings.TrimSpace(code), target)
				}
			}
		}
	}
}
