package main

import (
	"context"
	"os"
	"path/filepath"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/kernelhost/config"
)

// bundler makes bundles from vats' sources.
func bundler() config.Bundler { return config.Tool{Script: bundleScript()} }

// bundleScript is the tool beside this program, or in VATWORKERD_HOME.
func bundleScript() string {
	script := ""
	for _, home := range homes() {
		script = filepath.Join(home, "tools", "bundle.mjs")
		if _, err := os.Stat(script); err == nil {
			return script
		}
	}
	return script
}

// bundle reads or makes the bundles of a config.
func (a *app) bundle(ctx context.Context, cfg *config.Config, progress *screen.Progress) error {
	defer progress.Stop()
	ctx, stop := interruptible(ctx)
	defer stop()
	return cfg.ResolveBundles(ctx, bundler(), func(_ string, done, total int) {
		progress.Step("bundle", int64(done), int64(total))
	})
}
