// Package procs looks at processes by way of /proc, for tests that end them.
package procs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Children gives the PIDs of a process's children, the youngest last.
func Children(pid int) []int {
	var children []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				children = append(children, child)
			}
		}
	}
	slices.Sort(children)
	return children
}

// Youngest gives the child that was started last; false if there is none.
func Youngest(pid int) (int, bool) {
	children := Children(pid)
	if len(children) == 0 {
		return 0, false
	}
	return children[len(children)-1], true
}

// Mentioning gives the command lines in which a text occurs.
func Mentioning(text string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(text)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// Resident gives how much memory a process has in use, in bytes; false if it is
// gone.
func Resident(pid int) (int64, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, false
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(words[1], 10, 64)
	return pages * int64(os.Getpagesize()), err == nil && pages > 0
}

// Proportional gives how much memory a process has in use, in bytes, a page that
// others have too divided among all of them; false if it is gone, or another
// user's.
func Proportional(pid int) (int64, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == "Pss:" {
			kilobytes, err := strconv.ParseInt(words[1], 10, 64)
			return kilobytes << 10, err == nil
		}
	}
	return 0, false
}

// Descriptors gives how many descriptors a process has open; false if it is gone.
func Descriptors(pid int) (int, bool) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(names), err == nil && len(names) > 0
}

// PeakResident gives how much memory a process had in use at most, in bytes, since
// it began or since ResetPeak; false if it is gone.
func PeakResident(pid int) (int64, bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false // it has ended and is not reaped
}

// ResetPeak lets a process's PeakResident begin at what it has in use now.
func ResetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
