package config

import "context"

// Bundler makes bundles from sources. Bundle is called by several goroutines.
type Bundler interface {
	// Bundle gives the JSON text of the bundle made from the module at the
	// absolute path source; dev: what only devDependencies offer may be imported.
	// An error's text is shown to the user after the source's name, in one line.
	Bundle(ctx context.Context, source string, dev bool) ([]byte, error)
}

// ResolveBundles reads or makes the bundle of every vat and every named bundle,
// and fills in Vats[…].BundleID, Bundles and NamedBundles. progress, if not
// nil, is called by one goroutine at a time: with name "" and done 0 before the
// first source is bundled, then as each is, with the name of a vat or bundle
// that it is for. It is not called if nothing has to be bundled. Errors: *Error;
// that of ctx.
func (c *Config) ResolveBundles(ctx context.Context, bundler Bundler, progress func(name string, done, total int)) error {
	return nil
}
