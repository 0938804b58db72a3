// Package driverbench compares SQLite drivers under the workload of package
// store. It is a module of its own so that the drivers that lost stay out of
// the main go.mod. Run: go test -bench . -benchtime 2000x
package driverbench
