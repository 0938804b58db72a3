// Package kernelhost is a small SwingSet-style kernel: it keeps the object and
// promise tables and the c-lists, routes messages, and lets a child process,
// vatworkerd, run the vats. Open starts that child; Initialize creates the vats
// of a config; QueueToVat and Run make them work; Commit makes a block durable.
//
// The kernel's state is in DBDir/host.sqlite, the child's beside it. The two
// commit together: see Kernel.Commit. docs/kernelhost.md shows the tables, the
// life of a message, and what is the same as SwingSet and what differs.
package kernelhost
