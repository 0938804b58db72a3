package kernelhost

import "testing"

// exampleTB stands in for a test where an example needs one.
type exampleTB struct{ testing.TB }

func (exampleTB) Helper()           {}
func (exampleTB) Fatal(args ...any) { panic(args) }

// RealOptions are those of the tests on real workers, for examples.
func RealOptions(dir string) Options { return realOptions(exampleTB{}, dir) }
