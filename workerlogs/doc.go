// Package workerlogs keeps what the workers of vats say, in bounded files of one
// JSON line for each entry, and reads it back, also while it is written.
package workerlogs
