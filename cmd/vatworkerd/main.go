// Command vatworkerd keeps JavaScript vats alive on a handful of xsnap workers.
// It is the command line over the packages kernelhost and supervisor and has
// no logic of its own.
package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func main() {
	outliveClosedPipes()
	os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// outliveClosedPipes makes writing to a reader that has gone an error: without
// it `… | head -1` would kill a command between telling of a change and
// committing it. Notify, not Ignore: children would inherit an ignored signal.
func outliveClosedPipes() { signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE) }
