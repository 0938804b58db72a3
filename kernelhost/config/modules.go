package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// resolveSpec gives the absolute path that a sourceSpec or bundleSpec means,
// as SwingSet does (initializeSwingset.js, resolveSpecFromConfig): a module in
// a node_modules directory above dir, else a path relative to dir.
func resolveSpec(dir, spec string) (string, error) {
	if strings.HasPrefix(spec, "file:") {
		u, err := url.Parse(spec)
		if err != nil || u.Host != "" || !filepath.IsAbs(u.Path) {
			return "", fmt.Errorf("%q is not the URL of a file", spec)
		}
		return filepath.Clean(u.Path), nil
	}
	if filepath.IsAbs(spec) {
		return filepath.Clean(spec), nil
	}
	if isModuleName(spec) {
		if path, ok := findModule(dir, spec); ok && isFile(path) {
			return path, nil
		}
	}
	return filepath.Join(dir, spec), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// isModuleName tells whether a specifier may name a module of a package.
func isModuleName(spec string) bool {
	name, _ := splitModule(spec)
	return name != "" && !strings.HasPrefix(spec, ".") && !strings.HasPrefix(spec, "/")
}

// splitModule splits @scope/pkg/file.js into the package and ./file.js, or ".".
func splitModule(spec string) (name, sub string) {
	parts := strings.SplitN(spec, "/", 3)
	n := 1
	if strings.HasPrefix(spec, "@") {
		n = 2
	}
	if len(parts) < n || parts[n-1] == "" {
		return "", ""
	}
	name = strings.Join(parts[:n], "/")
	if name == spec {
		return name, "."
	}
	return name, "." + spec[len(name):]
}

// findModule finds a module as Node does, in the closest node_modules that has
// the package. ok is false as well if its package does not export it.
func findModule(dir, spec string) (path string, ok bool) {
	name, sub := splitModule(spec)
	for ; ; dir = filepath.Dir(dir) {
		pkg := filepath.Join(dir, "node_modules", filepath.FromSlash(name))
		if info, err := os.Stat(pkg); err == nil && info.IsDir() {
			return exported(pkg, sub)
		}
		if dir == filepath.Dir(dir) {
			return "", false
		}
	}
}

// packageJSON is what matters here of a package's descriptor.
type packageJSON struct {
	Main    string          `json:"main"`
	Exports json.RawMessage `json:"exports"`
}

// exported gives the file of a package's module.
func exported(pkg, sub string) (path string, ok bool) {
	var descriptor packageJSON
	if data, err := os.ReadFile(filepath.Join(pkg, "package.json")); err == nil {
		_ = json.Unmarshal(data, &descriptor) // the bundler says what is wrong with it
	}
	target := sub
	switch {
	case len(descriptor.Exports) > 0 && string(descriptor.Exports) != "null":
		if target, ok = exportTarget(descriptor.Exports, sub); !ok {
			return "", false
		}
	case sub == ".":
		target = "index.js"
		if descriptor.Main != "" {
			target = descriptor.Main
		}
	}
	path = filepath.Join(pkg, filepath.FromSlash(target))
	return path, strings.HasPrefix(path, pkg+string(filepath.Separator))
}

// exportTarget looks sub up in a package's "exports".
func exportTarget(exports json.RawMessage, sub string) (string, bool) {
	var bySub map[string]json.RawMessage
	if json.Unmarshal(exports, &bySub) != nil || !hasSubpaths(bySub) {
		if sub != "." {
			return "", false
		}
		return conditional(exports)
	}
	if target, ok := bySub[sub]; ok {
		return conditional(target)
	}
	pattern, middle := longestPattern(bySub, sub)
	if pattern == "" {
		return "", false
	}
	target, ok := conditional(bySub[pattern])
	return strings.ReplaceAll(target, "*", middle), ok
}

func hasSubpaths(exports map[string]json.RawMessage) bool {
	for key := range exports {
		if strings.HasPrefix(key, ".") {
			return true
		}
	}
	return false
}

// longestPattern gives the most specific key such as ./src/*.js that sub fits,
// and what its star stands for.
func longestPattern(exports map[string]json.RawMessage, sub string) (pattern, middle string) {
	longest := -1
	for key := range exports {
		before, after, ok := strings.Cut(key, "*")
		fits := ok && len(sub) >= len(before)+len(after) && strings.HasPrefix(sub, before) && strings.HasSuffix(sub, after)
		// Node: the longer part before the star wins, then the longer key.
		rank := len(before)<<16 + len(key)
		if fits && rank > longest {
			longest, pattern, middle = rank, key, sub[len(before):len(sub)-len(after)]
		}
	}
	return pattern, middle
}

// conditional gives the target for an ES module imported by Node.
func conditional(target json.RawMessage) (string, bool) {
	var path string
	if json.Unmarshal(target, &path) == nil {
		return path, path != ""
	}
	doc := document{data: target}
	conditions, err := doc.parse()
	if err != nil {
		return "", false
	}
	for _, m := range conditions.members { // in their order, as Node does
		if m.key != "import" && m.key != "node" && m.key != "default" {
			continue
		}
		if path, ok := conditional(target[m.value.start:m.value.end]); ok {
			return path, true
		}
	}
	return "", false
}
