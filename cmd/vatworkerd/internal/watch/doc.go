// Package watch has what it takes to look at a daemon for a while: rates between
// two looks, how long things took, a bounded history, and the vats as rows that
// are sorted and filtered. It shows nothing itself.
package watch
