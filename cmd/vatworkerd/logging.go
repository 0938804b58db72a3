package main

import (
	"github.com/hashicorp/go-hclog"
)

// Levels without --log-level. Commands log nothing: they tell of warnings and
// errors themselves.
const (
	logOff  = "off"
	logWarn = "warn"
)

// level gives --log-level, or the default of a command.
func (a *app) level(otherwise string) string {
	if a.logLevel == "" {
		return otherwise
	}
	return a.logLevel
}

// logger logs on stderr.
func (a *app) logger(name, otherwise string) (hclog.Logger, error) {
	level := hclog.LevelFromString(a.level(otherwise))
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
