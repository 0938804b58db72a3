// Package manpage writes the manual page of a program: one page of all its
// commands, made from what the commands say of themselves. It knows nothing of
// vats.
package manpage
