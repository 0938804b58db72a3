// Package delta writes a heap snapshot as what it has besides another one, its
// base, and reads it back. It gives any bytes back exactly; that they are a heap
// only makes the delta small. It does not compress: whoever writes a delta
// passes it on to a compressor. docs/snapshots.md tells the format.
package delta
