package main

import (
	"errors"
	"io"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"vatworkerd/cmd/vatworkerd/internal/web"
	"vatworkerd/supervisor"
)

// httpFlags say where pages for browsers and metrics are served, if anywhere.
type httpFlags struct {
	address  string
	anywhere bool
}

func (f *httpFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.address, "http", "", "serve read-only pages and metrics on this `address`, such as 127.0.0.1:9090")
	flags.BoolVar(&f.anywhere, "http-anywhere", false, "also on an address that other machines reach; there is no other protection")
}

func (f *httpFlags) check(socket string) error {
	switch {
	case f.address == "" && f.anywhere:
		return usageError("cannot use --http-anywhere without --http ADDRESS")
	case f.address != "" && socket == supervisor.ControlOff:
		return usageError("cannot use --http with --control off: the pages ask the control socket")
	}
	return nil
}

// listen serves pages about the daemon that w looks at, if that is wanted, and
// gives where.
func (f *httpFlags) listen(w watcher, log hclog.Logger) (closer io.Closer, url string, err error) {
	if f.address == "" {
		return io.NopCloser(nil), "", nil
	}
	server, err := web.Listen(web.Options{Address: f.address, Anywhere: f.anywhere, Daemon: w, Logger: log})
	var elsewhere *web.NotLoopbackError
	if errors.As(err, &elsewhere) {
		return nil, "", usageError("%v", err).hint("--http-anywhere allows it: whoever reaches that address can then see everything there is to see")
	}
	if err != nil {
		return nil, "", usageError("%v", err)
	}
	return server, server.URL(), nil
}
