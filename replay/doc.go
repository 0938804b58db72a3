// Package replay runs a vat's recorded transcript again on a worker of its own,
// for whoever looks for what a vat did: from any heap snapshot at hand, as far as
// it is told, comparing everything. It reads the database beside the process
// that uses it and changes nothing.
//
// docs/debugging.md tells how it is used.
package replay
