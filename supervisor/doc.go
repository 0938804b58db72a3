// Package supervisor carries vats through their lives: it decides which vats
// have a worker now, delivers what waits in their input queues, answers their
// storage syscalls, keeps their transcripts and heap snapshots, and moves them
// between running, paused, suspended and terminated.
//
// A kernel host drives it over pipeproto. One goroutine, locked to one OS
// thread, owns all of a Supervisor's state and runs every delivery; helpers
// that page workers in or save snapshots beside it never touch that state.
//
// What all supervisors of a network must agree on (records, flags, queues,
// vatstores, transcripts, snapshot hashes) is written only through a crank and
// is covered by the activity hash. Which vats are online, how often a worker
// was retried and how long anything took is local and never is.
package supervisor
