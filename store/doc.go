// Package store is the embedded SQLite database of a kernel host or of
// vatworkerd: key-value state and a few tables, changed crank by crank inside
// blocks that become durable as a whole or not at all.
//
// docs/store.md tells the schema, the hashes and the durability rules.
package store
