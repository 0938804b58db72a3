package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
)

// upgrade starts a vat anew from a bundle: one that the config names, or a
// file. Without parameters it keeps the old ones.
func (s *session) upgrade(vat, bundle, parameters, message string) error {
	if _, err := s.kernel.Vat(s.ctx, vat); err != nil {
		return err
	}
	id, err := s.bundleID(bundle)
	if err != nil {
		return err
	}
	var params *capdata.CapData
	if parameters != "" {
		data, err := capdata.FromJSON(json.RawMessage(parameters))
		if err != nil {
			return usageError("cannot use --parameters: %v", err)
		}
		params = &data
	}
	_, err = s.kernel.Upgrade(s.ctx, vat, id, params, message)
	return err
}

// bundleID gives a named bundle's ID, or adds the bundle of a file.
func (s *session) bundleID(nameOrFile string) (string, error) {
	id, ok, err := s.kernel.BundleID(nameOrFile)
	if err != nil || ok {
		return id, err
	}
	path := s.app.path(nameOrFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", usageError("cannot use --bundle %q: no bundle of the config has this name, and there is no such file", nameOrFile)
	}
	id, data, err := config.LoadBundle(s.ctx, path, bundler())
	if err != nil {
		return "", inFile(err, path, nameOrFile)
	}
	return id, s.kernel.AddBundle(s.ctx, id, "", data)
}

// inFile names a file, in an error about it, as the command line does.
func inFile(err error, path, name string) error {
	var bad *config.Error
	if errors.As(err, &bad) && bad.File == path {
		named := *bad
		named.File = name
		return &named
	}
	return err
}
