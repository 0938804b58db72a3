package xsnap

const haveLauncher = true

// forkTable makes a process that shares this one's memory until its execve,
// runs the n rows in it, and returns its pid or a negative errno when the
// process has executed its engine or ended. All signals must be blocked. It is
// assembly because no Go code may run in such a process.
//
//go:noescape
func forkTable(flags uintptr, rows *callRow, n uintptr, report *callReport) (pid uintptr)
