package xsnap

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// engineFiles are the files a contained engine may open.
type engineFiles struct {
	run  []string // the engine and its loader: read and execute
	read []string // its libraries
}

// findEngineFiles asks the engine's own loader what it would load; a static
// engine needs nothing but itself. The engine does not run.
func findEngineFiles(path string) (engineFiles, error) {
	loader, err := loaderOf(path)
	if err != nil {
		return engineFiles{}, fmt.Errorf("cannot contain engine %s: %w", path, err)
	}
	files := engineFiles{run: []string{path}}
	if loader == "" {
		return files, nil
	}
	files.run = append(files.run, loader)
	ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, loader, "--list", path)
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		return engineFiles{}, fmt.Errorf("cannot list the libraries of engine %s: %s --list: %w", path, loader, err)
	}
	if files.read, err = parseLibraries(string(out)); err != nil {
		return engineFiles{}, fmt.Errorf("cannot list the libraries of engine %s: %w", path, err)
	}
	return files, nil
}

// loaderOf returns the program interpreter of an ELF file, "" if it has none.
func loaderOf(path string) (string, error) {
	f, err := elf.Open(path)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		return "", errors.New("it is no ELF program (a script cannot be contained); use --sandbox off")
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(p.Open())
		if err != nil {
			return "", err
		}
		return strings.TrimRight(string(name), "\x00"), nil
	}
	return "", nil
}

// parseLibraries reads the lines "libm.so.6 => /lib/libm.so.6 (0x…)" that the
// loaders of glibc and musl print. Other lines name the loader and the vdso.
func parseLibraries(listing string) (paths []string, err error) {
	for line := range strings.Lines(listing) {
		name, target, found := strings.Cut(strings.TrimSpace(line), " => ")
		if !found {
			continue
		}
		path, _, _ := strings.Cut(target, " (0x")
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("library %s is %s", name, target)
		}
		paths = append(paths, path)
	}
	return paths, nil
}
