package config

// Parse reads and checks a config file. Errors are *Error.
func Parse(path string) (Config, error) {
	return Config{}, &Error{File: path, Problem: "not yet"}
}

type source struct{}

type namedSource struct{}
