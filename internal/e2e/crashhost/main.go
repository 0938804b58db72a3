// Command crashhost is the kernel host that the tests of crashes end at every
// crash point: block h is step h of one scenario that touches everything.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"vatworkerd/internal/blockhost"
	"vatworkerd/kernelhost"
)

func main() {
	var f flags
	flag.StringVar(&f.db, "db", "", "directory of the state")
	flag.StringVar(&f.daemon, "daemon", "", "the vatworkerd to run")
	flag.StringVar(&f.engine, "engine", "", "directory of the engine")
	flag.StringVar(&f.config, "config", "", "the config of the scenario's vats")
	flag.StringVar(&f.vatAdmin, "vat-admin", "", "the bundle of the vat-admin vat")
	flag.StringVar(&f.cache, "cache", "", "directory of base snapshots")
	flag.StringVar(&f.pool, "pool", "2", "workers at a time")
	flag.Int64Var(&f.until, "until", 0, "the last block; 0 = all")
	flag.StringVar(&f.daemonEnv, "daemon-env", "", "NAME=VALUE settings for the daemon alone, with spaces")
	flag.Parse()
	if err := run(f); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type flags struct {
	db, daemon, engine, config, vatAdmin, cache, pool, daemonEnv string
	until                                                        int64
}

func run(f flags) error {
	steps := scenario(f.config)
	program := blockhost.Program{Out: os.Stdout, Step: func(height int64) blockhost.Step {
		if height > int64(len(steps)) || f.until > 0 && height > f.until {
			return nil
		}
		return steps[height-1]
	}}
	daemon := append([]string{"env"}, strings.Fields(f.daemonEnv)...)
	program.Options = kernelhost.Options{
		DBDir: f.db, Daemon: append(daemon, f.daemon, "serve"), Devices: []kernelhost.Device{post()},
		EngineFlags:    []string{"--engine", f.engine, "--cache", f.cache, "--max-online", f.pool},
		VatAdminBundle: f.vatAdmin,
	}
	return program.Run(context.Background())
}
