package main

import (
	"github.com/hashicorp/go-hclog"
)

// logger logs on stderr.
func (a *app) logger(name string) (hclog.Logger, error) {
	level := hclog.LevelFromString(a.logLevel)
	if level == hclog.NoLevel {
		return nil, usageError("cannot use --log-level %q: it is trace, debug, info, warn, error or off", a.logLevel)
	}
	color := hclog.ColorOff
	if !a.logJSON && a.colored(a.stderr) {
		color = hclog.ForceColor
	}
	return hclog.New(&hclog.LoggerOptions{
		Name: name, Level: level, Output: a.stderr, JSONFormat: a.logJSON, Color: color,
	}), nil
}
