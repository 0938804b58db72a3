package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// engineFile keeps, in a database's directory, the engine that new incarnations
// run on: the one a user chose when the database was made, or by restart-all.
// Without it a later command would start incarnations on the default engine.
const engineFile = "engine.json"

// engineFor gives the engine for a database: --engine, the one it remembers,
// or the default one.
func (a *app) engineFor(dir string) (enginePaths, error) {
	if a.engine != "" {
		return a.findEngine()
	}
	kept, err := rememberedEngine(dir)
	if err != nil {
		return enginePaths{}, err
	}
	if kept == nil {
		return a.findEngine()
	}
	if err := kept.check(); err != nil {
		f := failureOf(err)
		return enginePaths{}, f.hint("%s says that this database runs on that engine; put it back, or name another with --engine", filepath.Join(dir, engineFile))
	}
	return *kept, nil
}

func rememberedEngine(dir string) (*enginePaths, error) {
	path := filepath.Join(dir, engineFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read which engine the database runs on: %w", err)
	}
	var kept enginePaths
	if err := json.Unmarshal(text, &kept); err != nil {
		return nil, fmt.Errorf("cannot read which engine the database runs on: %s: %w", path, err)
	}
	return &kept, nil
}

// rememberEngine keeps an engine that was named with --engine.
func (a *app) rememberEngine(dir string) error {
	if a.engine == "" {
		return nil
	}
	paths, err := a.findEngine()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(paths, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, engineFile)
	next := path + ".new"
	if err := errors.Join(os.WriteFile(next, append(text, '\n'), 0o600), os.Rename(next, path)); err != nil {
		return fmt.Errorf("cannot remember the engine: %w", err)
	}
	return nil
}
