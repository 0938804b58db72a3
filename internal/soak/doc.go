// Package soak runs hundreds of real vats for minutes on a small pool, while
// workers, the daemon and the host are killed, stopped and disturbed in other
// ways, and then the same work once more undisturbed, with another pool. The two
// must have the same activity hash at every height, and what a process holds must
// not grow.
//
// The work of a block follows from a seed and the block's height alone, so that a
// host which was killed goes on where it was, and a seed repeats a soak.
package soak
