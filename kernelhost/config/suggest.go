package config

import (
	"fmt"
	"strings"
)

// didYouMean asks for the closest of some words, "" if none is close.
func didYouMean(word string, among []string) string {
	best, nearest := "", 1+max(1, len(word)/3)
	if len(word) > 64 {
		return "" // no slip of the finger; and the distance is costly
	}
	for _, candidate := range among {
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < nearest {
			best, nearest = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance is how many bytes are to be inserted, deleted, replaced or swapped
// with their neighbour to make b of a.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
