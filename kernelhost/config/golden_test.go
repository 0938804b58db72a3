package config

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestGolden runs the scripts of testdata/golden. Each has a directory of its
// own, in which:
//
//	file PATH, bundle PATH   write a file; a ready bundle, with what is wrong with it
//	parse, digest            read the input as DIR/config.json
//	resolve                  makes all bundles too, with a fake bundler
//	load PATH                LoadBundle
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata/golden", func(t *testing.T, path string) {
		g := golden{dir: t.TempDir(), digests: map[string]int{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return strings.ReplaceAll(g.run(t, d), g.dir, "DIR")
		})
	})
}

type golden struct {
	dir     string
	digests map[string]int // numbered as they come
}

func (g *golden) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "file":
		g.write(t, d.CmdArgs[0].Key, []byte(d.Input))
		return ""
	case "bundle":
		g.write(t, d.CmdArgs[0].Key, brokenBundle(t, d))
		return ""
	case "load":
		id, text, err := LoadBundle(context.Background(), filepath.Join(g.dir, d.CmdArgs[0].Key), &fakeBundler{t: t})
		if err != nil {
			return tell(t, err)
		}
		return fmt.Sprintf("%s\n%s…\n", short(id), clippedTo(string(text), 60))
	}
	name := "config.json"
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	if !d.HasArg("there") {
		g.write(t, name, []byte(strings.ReplaceAll(d.Input, "DIR", g.dir)))
	}
	c, err := Parse(filepath.Join(g.dir, name))
	if err != nil {
		return tell(t, err)
	}
	switch d.Cmd {
	case "digest":
		if _, ok := g.digests[c.Digest]; !ok {
			g.digests[c.Digest] = 1 + len(g.digests)
		}
		return fmt.Sprintf("digest %d\n", g.digests[c.Digest])
	case "resolve":
		return g.resolve(t, c)
	}
	return dump(c)
}

func (g *golden) write(t *testing.T, name string, data []byte) {
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tell shows an error, which must be one for the user.
func tell(t *testing.T, err error) string {
	var wrong *Error
	if !errors.As(err, &wrong) {
		t.Errorf("%v is no *Error", err)
	}
	return err.Error() + "\n"
}

func short(id string) string { return clippedTo(id, 11) }

// shown is a source as written, but the path of the test's directory is only in
// what comes after it.
func shown(s source) string {
	switch {
	case s.mode == "bundle":
		return short(s.spec)
	case filepath.IsAbs(s.spec) || strings.HasPrefix(s.spec, "file:"):
		return "absolute"
	}
	return s.spec
}

// dump shows what is not as by default.
func dump(c Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "bootstrap=%q snapshots=%d,%d reap=%+v,%+v relax=%t pin=%t dev=%t\n", c.Bootstrap, c.SnapshotInitial, c.SnapshotInterval,
		c.DefaultReapInterval, c.DefaultReapGCKrefs, c.RelaxDurabilityRules, c.PinBootstrapRoot, c.includeDevDependencies)
	for _, n := range c.named {
		fmt.Fprintf(&b, "bundle %q: %s %s %s\n", n.name, n.mode, shown(n.source), n.path)
	}
	for i, vat := range c.Vats {
		s, o := c.sources[i], vat.Options
		fmt.Fprintf(&b, "vat %q: %s %s %s\n  parameters %s\n", vat.Name, s.mode, shown(s), s.path, vat.Parameters)
		fmt.Fprintf(&b, "  critical=%t restartCritical=%t metered=%t pipelining=%t disavow=%t fatal=%s overrun=%s", o.Critical, o.RestartCritical,
			o.Metered, o.EnablePipelining, o.EnableDisavow, o.FatalPolicy, o.OverrunPolicy)
		if o.Allowance != nil {
			fmt.Fprintf(&b, " allowance=%d", *o.Allowance)
		}
		if o.ReapInterval != nil {
			fmt.Fprintf(&b, " reap=%+v", *o.ReapInterval)
		}
		if o.ReapGCKrefs != nil {
			fmt.Fprintf(&b, " gc=%+v", *o.ReapGCKrefs)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (g *golden) resolve(t *testing.T, c Config) string {
	var b strings.Builder
	bundler := &fakeBundler{t: t}
	var last string
	err := c.ResolveBundles(context.Background(), bundler, func(name string, done, total int) {
		last = fmt.Sprintf("%d/%d", done, total)
	})
	slices.Sort(bundler.made)
	for _, call := range bundler.made {
		fmt.Fprintf(&b, "bundled %s\n", call)
	}
	if err != nil {
		if len(c.Bundles)+len(c.NamedBundles) > 0 || c.Vats[0].BundleID != "" {
			t.Error("the config has changed")
		}
		// How many were begun before the failure depends on timing.
		return tell(t, err)
	}
	fmt.Fprintf(&b, "progress %s\n", last)
	for _, name := range slices.Sorted(maps.Keys(c.NamedBundles)) {
		fmt.Fprintf(&b, "%q = %s\n", name, short(c.NamedBundles[name]))
	}
	for _, vat := range c.Vats {
		fmt.Fprintf(&b, "vat %q: %s\n", vat.Name, short(vat.BundleID))
		if id, err := CheckBundle(c.Bundles[vat.BundleID]); err != nil || id != vat.BundleID {
			t.Errorf("%s is not in the bundles: %s, %v", vat.BundleID, id, err)
		}
	}
	fmt.Fprintf(&b, "%d bundles\n", len(c.Bundles))
	return b.String()
}

// brokenBundle makes a bundle of the source in the input; the arguments say
// what is wrong with it.
func brokenBundle(t *testing.T, d *datadriven.TestData) []byte {
	f := fakeBundle{source: d.Input, files: map[string]string{}, props: map[string]any{}}
	for _, arg := range d.CmdArgs[1:] {
		value := ""
		if len(arg.Vals) > 0 {
			value = strings.Join(arg.Vals, ",")
		}
		switch arg.Key {
		case "compressed":
			f.method = zip.Deflate
		case "repeat":
			f.repeat = true
		case "without-map":
			f.files[mapFile] = ""
		case "without-module":
			f.files[fakeModule] = ""
		case "other-module":
			f.files[fakeModule] = "something else"
		case "extra":
			f.files["vat-v1.0.0/extra.js"] = "extra"
		case "map":
			f.mapText = value
		case "without":
			f.props[value] = nil
		case "number":
			f.props[value] = 3
		case "null":
			f.props[value] = new(*string)
		default:
			f.props[arg.Key] = value
		}
	}
	return f.json(t)
}
