package config

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// bundlersAtOnce is how many sources are bundled at a time. Each takes a core
// and some 200 MB.
const bundlersAtOnce = 2

// Bundler makes bundles from sources. Bundle is called by several goroutines.
type Bundler interface {
	// Bundle gives the JSON text of the bundle made from the module at the
	// absolute path source; dev: what is in devDependencies may be imported. An
	// error's text is one line; if it begins with the source's path, the user is
	// shown the path as the config has it.
	Bundle(ctx context.Context, source string, dev bool) ([]byte, error)
}

// ResolveBundles reads or makes the bundle of every vat and every named bundle,
// and fills in Vats[…].BundleID, Bundles and NamedBundles. bundler may be nil
// if the config names no sources (see NeedsBundler). A source that is named
// more than once is bundled once. progress, if not nil, is called by one
// goroutine at a time: with name "" and done 0 before the first source is
// bundled, then as each is, with the vat or bundle it is for. It is not called
// if there is nothing to bundle. Errors: *Error, about the first that failed in
// the order of the named bundles and then the vats; that of ctx. c is as it was
// after an error.
func (c *Config) ResolveBundles(ctx context.Context, bundler Bundler, progress func(name string, done, total int)) error {
	ready, err := c.readReady(ctx)
	if err != nil {
		return err
	}
	made, err := c.bundleSources(ctx, bundler, progress)
	if err != nil {
		return err
	}
	bundles, named := map[string][]byte{}, map[string]string{}
	use := func(s source) string {
		b := checkedBundle{id: s.spec, text: s.text}
		switch s.mode {
		case "bundleName":
			return named[s.spec]
		case "bundleSpec":
			b = ready[s.path]
		case "sourceSpec":
			b = made[s.path]
		}
		// The first stands: another archive with the same modules has the same ID.
		if _, ok := bundles[b.id]; !ok {
			bundles[b.id] = b.text
		}
		return b.id
	}
	for _, n := range c.named {
		named[n.name] = use(n.source)
	}
	for i := range c.Vats {
		c.Vats[i].BundleID = use(c.sources[i])
	}
	c.Bundles, c.NamedBundles = bundles, named
	return nil
}

// NeedsBundler tells whether ResolveBundles has anything to bundle.
func (c *Config) NeedsBundler() bool { return len(c.jobs("sourceSpec")) > 0 }

// job is a file that has to be read or bundled, with the first that names it.
type job struct {
	source
	name string // of the vat or bundle
}

// jobs lists the files of a mode, each once.
func (c *Config) jobs(mode string) []job {
	var all []job
	seen := map[string]bool{}
	add := func(name string, s source) {
		if s.mode == mode && !seen[s.path] {
			seen[s.path] = true
			all = append(all, job{source: s, name: name})
		}
	}
	for _, n := range c.named {
		add(n.name, n.source)
	}
	for i, vat := range c.Vats {
		add(vat.Name, c.sources[i])
	}
	return all
}

// readReady reads the files with ready bundles.
func (c *Config) readReady(ctx context.Context) (map[string]checkedBundle, error) {
	ready := map[string]checkedBundle{}
	for _, j := range c.jobs("bundleSpec") {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := readFile(j.path)
		if err != nil {
			return nil, j.fail(c.file, fmt.Sprintf("cannot read %q: %v", j.spec, err), "")
		}
		b, err := parseBundle(data)
		if err != nil {
			return nil, j.fail(c.file, fmt.Sprintf("%q: %v", j.spec, err), j.sourceHint())
		}
		ready[j.path] = b
	}
	return ready, nil
}

// sourceHint helps those who have given a source for a bundle.
func (j job) sourceHint() string {
	if isSource(j.path) {
		return `a source to be bundled is named by "sourceSpec"`
	}
	return ""
}

// round is the bundling of all sources of a config.
type round struct {
	jobs     []job
	results  []checkedBundle // by job, each written by one goroutine
	errs     []error
	progress func(name string, done, total int)

	mu     sync.Mutex // guards what follows, and calls of progress
	next   int
	done   int
	failed bool
}

func (c *Config) bundleSources(ctx context.Context, bundler Bundler, progress func(string, int, int)) (map[string]checkedBundle, error) {
	jobs := c.jobs("sourceSpec")
	if len(jobs) == 0 {
		return nil, nil
	}
	if bundler == nil {
		return nil, jobs[0].fail(c.file, fmt.Sprintf("cannot bundle %q: there is no bundler here", jobs[0].spec), `name a ready bundle by "bundleSpec"`)
	}
	r := &round{jobs: jobs, results: make([]checkedBundle, len(jobs)), errs: make([]error, len(jobs)), progress: progress}
	r.tell("")
	var wg sync.WaitGroup
	for range min(bundlersAtOnce, len(jobs)) {
		wg.Go(func() { r.work(ctx, bundler, c.includeDevDependencies) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cannot bundle the vats: %w", err)
	}
	made := map[string]checkedBundle{}
	for i, j := range jobs {
		if err := r.errs[i]; err != nil {
			return nil, j.fail(c.file, bundlingProblem(err, j.spec, j.path), bundlingHint(err))
		}
		made[j.path] = r.results[i]
	}
	return made, nil
}

// work bundles one source after the other. After a failure no more are begun,
// but those before it have been: so the first in order is always found.
func (r *round) work(ctx context.Context, bundler Bundler, dev bool) {
	for i, ok := r.take(); ok; i, ok = r.take() {
		r.results[i], r.errs[i] = makeBundle(ctx, bundler, r.jobs[i].path, dev)
		r.finish(i)
	}
}

func (r *round) take() (int, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed || r.next == len(r.jobs) {
		return 0, false
	}
	r.next++
	return r.next - 1, true
}

func (r *round) finish(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.errs[i] != nil {
		r.failed = true
		return
	}
	r.done++
	r.tell(r.jobs[i].name)
}

func (r *round) tell(name string) {
	if r.progress != nil {
		r.progress(name, r.done, len(r.jobs))
	}
}

// makeBundle bundles a source and checks what comes of it.
func makeBundle(ctx context.Context, bundler Bundler, path string, dev bool) (checkedBundle, error) {
	data, err := bundler.Bundle(ctx, path, dev)
	if err != nil {
		return checkedBundle{}, err
	}
	b, err := parseBundle(data)
	if err != nil {
		return checkedBundle{}, fmt.Errorf("what the bundler made of it is not right: %w", err)
	}
	return b, nil
}

// bundlingProblem says what a bundler said, with the source's path as the user
// wrote it.
func bundlingProblem(err error, spec, path string) string {
	if rest, ok := cutPath(err.Error(), path); ok {
		return "cannot bundle " + spec + ":" + rest
	}
	return "cannot bundle " + spec + ": " + err.Error()
}

// sourceError is an error about a source that no config names.
func sourceError(err error, spec, path string) *Error {
	e := &Error{File: spec, Problem: "cannot bundle it: " + err.Error(), Hint: bundlingHint(err)}
	rest, ok := cutPath(err.Error(), path)
	if !ok {
		return e
	}
	line, after, _ := strings.Cut(rest, ":")
	if n, err := strconv.Atoi(line); err == nil {
		e.Line, rest = n, after
	}
	e.Problem = "cannot bundle it: " + strings.TrimSpace(rest)
	return e
}

// cutPath takes a file's path off the beginning of a text.
func cutPath(text, path string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(text, path+":"); ok {
		return rest, true
	}
	// Tools name a file as it is without links.
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return text, false
	}
	return strings.CutPrefix(text, real+":")
}

func bundlingHint(err error) string {
	var tool *ToolError
	if errors.As(err, &tool) {
		return tool.Hint
	}
	return ""
}
