// Package snapshots keeps heap snapshots: compressed files named by the sha256
// of their content, and the rows that say which vat uses which of them.
//
// docs/snapshots.md tells the format and the life of a file.
package snapshots
