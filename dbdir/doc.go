// Package dbdir looks at a database directory as a whole, beside the processes
// that use it: it checks it and copies it.
//
// docs/reliability.md tells what it promises, docs/commands.md what a user sees.
package dbdir
