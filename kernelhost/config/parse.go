package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// Parse reads a config file and checks all that it says, and that the files it
// names are there. It reads no bundle files and runs nothing, so it is quick.
// Errors are *Error, about the first thing that is wrong.
//
// devices are the names of those the kernel will be opened with: a config that
// asks for another is refused.
func Parse(path string, devices ...string) (Config, error) {
	data, err := readFile(path)
	if err != nil {
		return Config{}, &Error{File: path, Problem: err.Error()}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return Config{}, &Error{File: path, Problem: err.Error()}
	}
	return reader{doc: &document{file: path, data: data}, dir: dir, devices: devices}.read()
}

// reader turns a document into a Config.
type reader struct {
	doc *document
	dir string // absolute; what paths in the config are relative to

	devices []string // that there are
}

func (r reader) read() (Config, error) {
	root, err := r.doc.parse()
	if err != nil {
		return Config{}, err
	}
	return r.config(root)
}

// topKeys are the keys of a config.
func topKeys() []string {
	return []string{
		"bootstrap", "vats", "bundles", "devices", "snapshotInitial", "snapshotInterval",
		"defaultReapInterval", "defaultReapGCKrefs", "relaxDurabilityRules", "pinBootstrapRoot", "vatAdmin",
		"defaultManagerType", "includeDevDependencies", "bundleFormat", "bundleCachePath",
	}
}

func (r reader) config(root value) (Config, error) {
	f := open(r.doc, "", root, topKeys(), nil)
	c := Config{
		Bundles: map[string][]byte{}, NamedBundles: map[string]string{}, file: r.doc.file,
		Bootstrap:              f.string("bootstrap", ""),
		SnapshotInitial:        f.count("snapshotInitial", DefaultSnapshotInitial, 1),
		SnapshotInterval:       f.count("snapshotInterval", DefaultSnapshotInterval, 1),
		DefaultReapInterval:    ReapInterval{Deliveries: DefaultReapInterval},
		DefaultReapGCKrefs:     ReapGCKrefs{Krefs: DefaultReapGCKrefs},
		RelaxDurabilityRules:   f.bool("relaxDurabilityRules", false),
		PinBootstrapRoot:       f.bool("pinBootstrapRoot", false),
		includeDevDependencies: f.bool("includeDevDependencies", false),
	}
	if n, never, ok := f.countOrNever("defaultReapInterval"); ok {
		c.DefaultReapInterval = ReapInterval{Never: never, Deliveries: n}
	}
	if n, never, ok := f.countOrNever("defaultReapGCKrefs"); ok {
		c.DefaultReapGCKrefs = ReapGCKrefs{Never: never, Krefs: n}
	}
	f.managerType("defaultManagerType")
	f.bundleFormat()
	f.string("bundleCachePath", "")
	if f.err != nil {
		return Config{}, f.err
	}
	asked, err := r.readDevices(&c, f)
	if err != nil {
		return Config{}, err
	}
	if err := r.bundles(&c, f); err != nil {
		return Config{}, err
	}
	if err := r.vats(&c, f); err != nil {
		return Config{}, err
	}
	if err := r.vatAdmin(&c, f, asked); err != nil {
		return Config{}, err
	}
	c.Digest = c.digest()
	return c, nil
}

// managerType reads which workers vats run in: there is one kind.
func (f *fields) managerType(key string) {
	m, ok := f.want(key, kindString)
	if !ok {
		return
	}
	switch m.value.text {
	case "xsnap", "xs-worker":
	case "local", "node-subprocess":
		f.fail(m.value.start, key, fmt.Sprintf("%q workers are not supported", m.value.text), `vats run in "xsnap" workers`)
	default:
		f.choice(key, "", "xsnap", "xs-worker")
	}
}

func (f *fields) bundleFormat() {
	const key, ours = "bundleFormat", "endoZipBase64"
	m, ok := f.want(key, kindString)
	if !ok {
		return
	}
	if m.value.text != ours {
		f.fail(m.value.start, key, fmt.Sprintf("the format %q is not supported", m.value.text), fmt.Sprintf("bundles are made in the format %q", ours))
	}
}

// bundles reads the named bundles.
func (r reader) bundles(c *Config, top *fields) error {
	m, ok := top.want("bundles", kindObject)
	if !ok {
		return top.err
	}
	for _, bundle := range m.value.members {
		place := join("bundles", bundle.key)
		if err := r.checkName(bundle, "bundles"); err != nil {
			return err
		}
		refused := map[string]string{"bundleName": `a bundle cannot be another bundle's name; say its "sourceSpec" or "bundleSpec"`}
		f := open(r.doc, place, bundle.value, []string{"sourceSpec", "bundleSpec", "bundle"}, refused)
		src, err := r.source(f, "sourceSpec", "bundleSpec", "bundle")
		if err != nil {
			return err
		}
		c.named = append(c.named, namedSource{name: bundle.key, source: src})
	}
	slices.SortFunc(c.named, func(a, b namedSource) int { return strings.Compare(a.name, b.name) })
	return nil
}

// vats reads the vats and puts them in order.
func (r reader) vats(c *Config, top *fields) error {
	m, ok := top.want("vats", kindObject)
	if top.err != nil {
		return top.err
	}
	if !ok || len(m.value.members) == 0 {
		return r.doc.fail(max(m.at, top.object.start), "", "there are no vats", `"vats" names them, each with its source`)
	}
	members := slices.Clone(m.value.members)
	for _, vat := range members {
		if err := r.checkName(vat, "vats"); err != nil {
			return err
		}
	}
	if err := r.checkBootstrap(c.Bootstrap, top, members); err != nil {
		return err
	}
	for _, member := range members {
		vat, src, err := r.vat(c, member)
		if err != nil {
			return err
		}
		src.vat = vat.Name
		c.Vats = append(c.Vats, vat)
		c.sources = append(c.sources, src)
	}
	c.sort()
	return nil
}

func (r reader) checkBootstrap(bootstrap string, top *fields, vats []member) error {
	names := make([]string, len(vats))
	for i, vat := range vats {
		names[i] = vat.key
	}
	if bootstrap == "" || slices.Contains(names, bootstrap) {
		return nil
	}
	m, _ := top.object.get("bootstrap")
	return r.doc.fail(m.value.start, "bootstrap", fmt.Sprintf("%q is not among the vats", bootstrap), didYouMean(bootstrap, names))
}

// checkName refuses names that would make a mess of tables and logs.
func (r reader) checkName(m member, place string) error {
	if m.key == "" {
		return r.doc.fail(m.at, place, "a name must not be empty", "")
	}
	if strings.ContainsFunc(m.key, unicode.IsControl) {
		return r.doc.fail(m.at, place, fmt.Sprintf("the name %q has a control character in it", m.key), "")
	}
	return nil
}

func (r reader) vat(c *Config, m member) (Vat, source, error) {
	place := join("vats", m.key)
	modes := []string{"sourceSpec", "bundleSpec", "bundleName", "bundle"}
	f := open(r.doc, place, m.value, append(modes, "parameters", "creationOptions"), nil)
	src, err := r.source(f, modes...)
	if err != nil {
		return Vat{}, source{}, err
	}
	if err := src.checkBundleName(r.doc, c.named); err != nil {
		return Vat{}, source{}, err
	}
	vat := Vat{Name: m.key, Parameters: f.parameters(), Options: DefaultOptions()}
	if f.err != nil {
		return Vat{}, source{}, f.err
	}
	if options, ok := f.object.get("creationOptions"); ok {
		if vat.Options, err = r.options(join(place, "creationOptions"), options.value); err != nil {
			return Vat{}, source{}, err
		}
	}
	return vat, src, nil
}

// parameters reads a vat's parameters. As in SwingSet null means none.
func (f *fields) parameters() []byte {
	const key, none = "parameters", "{}"
	if m, ok := f.object.get(key); !ok || m.value.kind == kindNull {
		return []byte(none)
	}
	m, ok := f.want(key, kindObject)
	if !ok {
		return nil
	}
	return f.doc.raw(m.value)
}

// sort puts vats and their sources in the order of creation.
func (c *Config) sort() {
	order := make([]int, len(c.Vats))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := c.Vats[i].Name, c.Vats[j].Name
		switch {
		case a == c.Bootstrap:
			return -1
		case b == c.Bootstrap:
			return 1
		}
		return strings.Compare(a, b)
	})
	vats, sources := make([]Vat, len(order)), make([]source, len(order))
	for to, from := range order {
		vats[to], sources[to] = c.Vats[from], c.sources[from]
	}
	c.Vats, c.sources = vats, sources
}
