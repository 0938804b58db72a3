// Package config reads SwingSet configs: which vats there are, from which
// bundles, with which options.
//
// Parse checks a config and everything it names without running anything.
// ResolveBundles then makes the bundles that have to be made from sources.
// Whatever is wrong comes out as an *Error that names file, line and place.
// docs/config.md describes every key. The format is SwingSet's
// (@agoric/swingset-vat, src/types-external.js: SwingSetConfig), with some keys
// of our own.
package config

import "encoding/json"

// Defaults of a config's keys, SwingSet's.
const (
	DefaultSnapshotInitial  = 3
	DefaultSnapshotInterval = 200
	DefaultReapInterval     = 1
	DefaultReapGCKrefs      = 20
)

// Policies, as the config spells them.
const (
	PolicySuspend   = "suspend"   // fatalPolicy: a vat that fails by its own fault is suspended
	PolicyTerminate = "terminate" // fatalPolicy: it is terminated, as in SwingSet
	PolicyHold      = "hold"      // overrunPolicy: the delivery that uses up the allowance is undone and held
	PolicyCommit    = "commit"    // overrunPolicy: it counts, the vat is paused after it
)

// Config is a checked config with all defaults filled in. Nothing in it
// changes but by ResolveBundles; it is not safe for use while that runs.
type Config struct {
	// Bootstrap is the name of the vat that gets bootstrap(vats, devices), ""
	// if the config names none.
	Bootstrap string
	// Vats in SwingSet's order of creation: the bootstrap vat, then by name.
	Vats []Vat
	// Bundles has the JSON text of every bundle by its ID (b1-…), NamedBundles
	// the IDs of those under "bundles". Both are empty until ResolveBundles.
	Bundles      map[string][]byte
	NamedBundles map[string]string

	// VatAdmin: there are the vat-admin vat and its device, which let vats make
	// and control other vats.
	VatAdmin bool
	// Devices the config asks for, by name, but for vatAdmin.
	Devices []DeviceSpec

	// SnapshotInitial and SnapshotInterval are transcript entries in a span: a
	// vat's first heap snapshot is taken after so many, the others after so many.
	SnapshotInitial, SnapshotInterval int64

	// DefaultReapInterval and DefaultReapGCKrefs are for vats that do not say.
	DefaultReapInterval ReapInterval
	DefaultReapGCKrefs  ReapGCKrefs

	RelaxDurabilityRules bool // durable kinds need not be redefined by an upgrade
	PinBootstrapRoot     bool // the bootstrap vat's root is never garbage

	// Digest is the hex sha256 over what the config says, whatever its layout,
	// its order of keys and the directory it lies in. What is in the files that
	// it names is not part of it, only how it names them.
	Digest string

	file                   string // as given to Parse
	includeDevDependencies bool
	named                  []namedSource // by name
	sources                []source      // of Vats, by index
}

// Vat is one vat of a config.
type Vat struct {
	Name string
	// BundleID names the vat's code in Config.Bundles; "" until ResolveBundles.
	BundleID string
	// Parameters is a JSON object, "{}" if the config has none.
	Parameters json.RawMessage
	Options    Options
}

// DeviceSpec is one device of a config.
type DeviceSpec struct {
	Name       string
	Parameters json.RawMessage // a JSON object
}

// Options are a vat's creationOptions.
type Options struct {
	Critical         bool   // its death is a panic of the kernel
	RestartCritical  bool   // unsuspended at once by restart-all
	Metered          bool   // its deliveries have a computron limit; the default
	EnablePipelining bool   // it gets messages to promises that it decides
	EnableDisavow    bool   // liveslots offers vatPowers.disavow
	FatalPolicy      string // PolicySuspend (default) or PolicyTerminate
	OverrunPolicy    string // PolicyHold (default) or PolicyCommit
	// Allowance is how many computrons the vat may use before it is paused;
	// nil = no such limit.
	Allowance *int64
	// ReapInterval and ReapGCKrefs are nil where the config's defaults hold.
	// "neverReap": true has made Never of both.
	ReapInterval *ReapInterval
	ReapGCKrefs  *ReapGCKrefs
}

// ReapInterval is after how many deliveries a vat gets bringOutYourDead.
type ReapInterval struct {
	Never      bool
	Deliveries int64 // at least 1 unless Never
}

// ReapGCKrefs is after how many krefs in garbage collection deliveries a vat
// gets bringOutYourDead.
type ReapGCKrefs struct {
	Never bool
	Krefs int64 // at least 1 unless Never
}
