// Command vatworkerd keeps JavaScript vats alive on a handful of xsnap workers.
// It is the command line over the packages kernelhost and supervisor and has
// no logic of its own.
package main

import "os"

func main() {
	os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
