package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shownCommand is a command line in an indented block of a page.
var shownCommand = regexp.MustCompile(`(?m)^ {4}(?:\$ )?(?:[A-Z_]+=\S+ )*(?:bin/)?vatworkerd (\S[^\n]*)$`)

// quoted is one word, whatever is in it.
var quoted = regexp.MustCompile(`'[^'\n]*'|"[^"\n]*"`)

// TestShownCommandsExist: every command line on a page has a command and flags that
// there are. What it prints is compared elsewhere, or is an example.
func TestShownCommandsExist(t *testing.T) {
	paths, err := filepath.Glob(repository + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range append(paths, repository+"/README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shownCommand.FindAllStringSubmatch(string(text), -1) {
			words, ok := wordsOf(m[1])
			if !ok {
				continue
			}
			checked++
			cmd, rest, err := commandTree().Find(words)
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err != nil || cmd.Parent() == nil {
				t.Errorf("%s shows `vatworkerd %s`: %v", filepath.Base(path), m[1], err)
			}
		}
	}
	if checked < 50 {
		t.Errorf("%d command lines were found: are the pages read as they are meant?", checked)
	}
}

// wordsOf takes a command line apart as far as it is one: not at a pipe, a comment
// or what follows. Of usages, with [optional] parts and choices, it is none.
func wordsOf(line string) (words []string, ok bool) {
	for _, word := range strings.Fields(quoted.ReplaceAllString(line, "Q")) {
		switch {
		case strings.ContainsAny(word[:1], "#|>;&(") || word == "2>&1":
			return words, len(words) > 0
		case strings.ContainsAny(word, "[]|…"):
			return nil, false
		}
		end := strings.HasSuffix(word, ";")
		if words = append(words, strings.TrimSuffix(word, ";")); end {
			return words, true
		}
	}
	return words, len(words) > 0
}
