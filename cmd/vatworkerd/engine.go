package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vatworkerd/xsnap"
)

// enginePaths are the files of a worker image, as absolute paths.
type enginePaths struct {
	Engine     string `json:"engine"`
	Lockdown   string `json:"lockdown"`
	Supervisor string `json:"supervisor"`
}

// builtEngine is an engine that make builds, by the word for it in --engine.
type builtEngine struct {
	word    string
	program string
	dir     string // below build/
	target  string // of make
}

func builtEngines() []builtEngine {
	return []builtEngine{
		{"stock", "xsnap-worker", "engine", "engine"},
		{"native", "xsnap-native-worker", "native", "native"},
	}
}

// findEngine resolves --engine to existing files; the stock one is the default.
func (a *app) findEngine() (enginePaths, error) {
	for i, built := range builtEngines() {
		if a.engine == built.word || a.engine == "" && i == 0 {
			return built.find()
		}
	}
	return engineAt(a.path(a.engine))
}

// engineIsPath tells a path given with --engine from a word, and from nothing.
func (a *app) engineIsPath() bool {
	return a.engine != "" && !slices.ContainsFunc(builtEngines(), func(b builtEngine) bool { return b.word == a.engine })
}

func (b builtEngine) find() (enginePaths, error) {
	var tried []string
	for _, home := range homes() {
		dir := filepath.Join(home, "build", b.dir)
		if _, err := os.Stat(filepath.Join(dir, b.program)); err == nil {
			return engineAt(dir)
		}
		tried = append(tried, dir)
	}
	return enginePaths{}, usageError("cannot find the %s engine: looked in %s", b.word, strings.Join(tried, " and ")).
		hint("run `make %s`, or name one with --engine", b.target)
}

// homes are where vatworkerd's other files may be: around this program, and VATWORKERD_HOME.
func homes() []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dirs = homesAround(exe)
	}
	if home := os.Getenv("VATWORKERD_HOME"); home != "" {
		dirs = append(dirs, home)
	}
	return dirs
}

// homesAround are the clone that a program was built in, and where tools/stage.sh
// puts the files of one that was installed.
func homesAround(program string) []string {
	above := filepath.Dir(filepath.Dir(program))
	return []string{above, filepath.Join(above, "lib", "vatworkerd")}
}

// engineAt takes a binary or a directory; the bundles lie beside the binary.
func engineAt(path string) (enginePaths, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return enginePaths{}, missingEngineFile("engine", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return enginePaths{}, missingEngineFile("engine", path, err)
	}
	p := enginePaths{Engine: path}
	dir := filepath.Dir(path)
	if info.IsDir() {
		dir = path
		p.Engine = engineIn(dir)
	}
	p.Lockdown = filepath.Join(dir, "lockdown.bundle")
	p.Supervisor = filepath.Join(dir, "supervisor.bundle")
	return p, p.check()
}

// engineIn is the engine in a directory, the stock one if it has several.
func engineIn(dir string) string {
	for _, built := range builtEngines() {
		path := filepath.Join(dir, built.program)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return filepath.Join(dir, builtEngines()[0].program)
}

func (p enginePaths) check() error {
	for _, file := range []struct{ what, path string }{
		{"engine", p.Engine}, {"lockdown bundle", p.Lockdown}, {"supervisor bundle", p.Supervisor},
	} {
		if _, err := os.Stat(file.path); err != nil {
			return missingEngineFile(file.what, file.path, err)
		}
	}
	return nil
}

func missingEngineFile(what, path string, err error) error {
	return usageError("cannot use the %s: %v", what, err).
		hint("run `make engine`, or name an xsnap-worker with lockdown.bundle and supervisor.bundle beside it")
}

func (p enginePaths) load() (xsnap.Image, error) {
	image, err := xsnap.LoadImage(p.Engine, p.Lockdown, p.Supervisor)
	if err != nil {
		return image, usageError("%v", err).hint("run `make engine` to build it anew")
	}
	return image, nil
}

// parseCPU reads --cpu: the CPU to share, or -1 for none.
func parseCPU(text string) (int, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return -1, usageError("cannot read this process's CPUs: %v", err)
	}
	switch text {
	case "off":
		return -1, nil
	case "auto":
		return lastCPU(allowed), nil
	}
	cpu, err := strconv.Atoi(text)
	if err != nil || cpu < 0 {
		return -1, usageError("cannot use --cpu %q: it is auto, off, or a CPU's number", text)
	}
	if !allowed.IsSet(cpu) {
		return -1, usageError("cannot use --cpu %d: this process may not run there; %d CPUs are usable", cpu, allowed.Count())
	}
	return cpu, nil
}

// lastCPU is where the least else runs; with one CPU there is nothing to choose.
func lastCPU(allowed unix.CPUSet) int {
	if runtime.NumCPU() < 2 {
		return -1
	}
	last := -1
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			last = cpu
		}
	}
	return last
}
