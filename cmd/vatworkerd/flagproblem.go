package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
)

// flagProblem says what is wrong with a flag. Of a value that cannot be read pflag
// tells which function could not: people are told what it should be.
func flagProblem(err error) string {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err.Error()
	}
	should := bad.Unwrap().Error()
	switch bad.GetFlag().Value.Type() {
	case "int", "int64":
		should = "it is a whole number"
		if errors.Is(err, strconv.ErrRange) {
			should = "it is a smaller number"
		}
	case "duration":
		should = "it is a time such as 90s, 15m or 1h30m"
	case "bool":
		should = "it is true or false"
	}
	return fmt.Sprintf("cannot use --%s %q: %s", bad.GetFlag().Name, bad.GetValue(), should)
}
