package top

import "vatworkerd/cmd/vatworkerd/internal/screen"

// StateStyle colours the state of a vat.
func StateStyle(state string) screen.Style {
	switch state {
	case "running":
		return screen.Green
	case "terminated":
		return screen.Red
	}
	return screen.Yellow
}

// LevelStyle says how severe a log entry looks.
func LevelStyle(level string) screen.Style {
	return map[string]screen.Style{"debug": screen.Dim, "warn": screen.Yellow, "error": screen.Red}[level]
}
