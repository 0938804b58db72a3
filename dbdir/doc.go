// Package dbdir looks at a database directory as a whole, beside the processes
// that use it: it checks it, copies it, exports it, and makes one of an export.
//
// docs/reliability.md tells what it promises, docs/commands.md what a user sees.
package dbdir
