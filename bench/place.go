package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// place says where things are.
type place struct {
	root       string // of the repository
	out        string // build/bench: raw numbers, stores, bundles
	vatworkerd string
	engine     string // directory of the stock engine and its bundles
	native     string // directory of the native worker and its bundles
	peer       string // the JavaScript system
	vatAdmin   string // bundle
	bundles    string // of bench/vats
	bare       string // the program that measures the limits
}

// findPlace finds what make has built below root.
func findPlace(root string) (place, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return place{}, err
	}
	build := filepath.Join(root, "build")
	p := place{
		root:       root,
		out:        filepath.Join(build, "bench"),
		vatworkerd: filepath.Join(root, "bin", "vatworkerd"),
		engine:     filepath.Join(build, "engine"),
		native:     filepath.Join(build, "native"),
		peer:       filepath.Join(build, "peer"),
		vatAdmin:   filepath.Join(build, "bundles", "vat-admin.json"),
		bundles:    filepath.Join(build, "bench", "bundles"),
		bare:       filepath.Join(build, "bench", "bare"),
	}
	for _, need := range []string{p.vatworkerd, p.enginePath(), p.workerOf(nativeColumn), p.peer, p.vatAdmin, p.bundles, p.bare} {
		if _, err := os.Stat(need); err != nil {
			return place{}, fmt.Errorf("cannot begin: %w; run: make bench", err)
		}
	}
	return p, nil
}

// enginePath is the stock worker, which all columns but one run.
func (p place) enginePath() string { return filepath.Join(p.engine, "xsnap-worker") }

// workerOf is the worker of a column.
func (p place) workerOf(column string) string {
	if column == nativeColumn {
		return filepath.Join(p.native, "xsnap-native-worker")
	}
	return p.enginePath()
}

// peerEngine is the worker that the JavaScript system starts.
func (p place) peerEngine() string {
	return filepath.Join(p.peer, "node_modules/@agoric/xsnap/xsnap-native/xsnap/build/bin/lin/release/xsnap-worker")
}

// driver is the program that runs the JavaScript system.
func (p place) driver() string { return filepath.Join(p.root, "bench", "peer", "peer.mjs") }
