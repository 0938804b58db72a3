package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vatworkerd/snapshots"
)

// PinsFile remembers, in a supervisor's directory, the pinned vats: a JSON array of
// IDs, most important first. It is no part of the store, where a write waits for
// the open block: a pin holds as soon as it was given.
const PinsFile = "pins.json"

// keyPins is where stores kept the same before there was the file.
const keyPins = "pool.pins"

// readPins gives the remembered pins; a file that is no list of vats has none.
func (s *Supervisor) readPins() (vatIDs []string, err error) {
	text, err := os.ReadFile(s.pins.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.localIDs(keyPins)
	case err != nil:
		return nil, fmt.Errorf("cannot read the pinned vats: %w", err)
	case json.Unmarshal(text, &vatIDs) != nil:
		s.warn("%s is no list of vats: no vat is pinned but by --pin", s.pins.file)
		return nil, nil
	}
	return vatIDs, nil
}

// keepPins makes the pins what they are from now on, in the file first.
func (s *Supervisor) keepPins(vatIDs []string) error {
	text, err := json.Marshal(vatIDs)
	if err == nil {
		err = replaceFile(s.pins.file, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cannot remember the pinned vats: %w", err)
	}
	s.pins.kept = vatIDs
	s.pinsChanged()
	return nil
}

// replaceFile gives a file another content, which is durable as a whole or not
// there at all.
func replaceFile(path string, text []byte) (err error) {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return snapshots.OSFS{}.SyncDir(filepath.Dir(path))
}
