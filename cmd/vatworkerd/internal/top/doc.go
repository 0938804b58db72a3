// Package top is the live terminal screen of `vatworkerd top`: what a daemon
// does, its vats, and one vat opened. What it shows is a function of what was
// looked at and of the keys that were pressed; the terminal is bubbletea's.
package top
