// Package screen writes for people: text that cannot forge lines or terminal
// state, aligned tables, colours, sizes and times, and a progress line. It
// knows nothing of vats.
package screen
