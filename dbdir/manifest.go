package dbdir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vatworkerd/kernelhost"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// ManifestFile, in the directory of a backup, says what the backup consists of.
// It is written last: without it a backup is not finished.
const ManifestFile = "backup.json"

// unfinished ends the names of a backup's manifest and databases until all else
// is on the disk, so that nothing takes half a backup for a database.
const unfinished = ".unfinished"

const (
	manifestFormat  = "vatworkerd backup"
	manifestVersion = 1
)

// Manifest is the content of a ManifestFile.
type Manifest struct {
	Format       string    `json:"format"`
	Version      int       `json:"version"`
	Made         time.Time `json:"made"`
	Height       int64     `json:"height"`
	ActivityHash string    `json:"activityHash"`
	// The state hashes are empty if a database lacks them, see store.View.Outdated.
	StateHash     string `json:"stateHash,omitempty"`
	HostStateHash string `json:"hostStateHash,omitempty"`
	Files         []File `json:"files"` // by name
	// Problems are those of heap snapshots in the database that was copied.
	Problems []store.Problem `json:"problems"`
}

// File is one file of a backup.
type File struct {
	Name   string `json:"name"` // from the directory of the backup on
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// What the files of a backup are.
const (
	WhatDatabases = "databases"
	WhatSnapshots = "heap snapshots"
	WhatBases     = "base heaps"
	WhatSettings  = "settings"
)

// What tells what a file is.
func (f File) What() string {
	switch dir, name := filepath.Split(f.Name); {
	case dir != "" && strings.HasPrefix(name, "base-"):
		return WhatBases
	case dir != "":
		return WhatSnapshots
	case f.Name == kernelhost.DatabaseFile, f.Name == supervisor.DatabaseFile:
		return WhatDatabases
	}
	return WhatSettings
}

// Total is what a backup has of one kind of files.
type Total struct {
	What  string `json:"what"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
}

// Totals sums up the files by what they are, always the same kinds in the same order.
func (m Manifest) Totals() []Total {
	totals := []Total{{What: WhatDatabases}, {What: WhatSnapshots}, {What: WhatBases}, {What: WhatSettings}}
	for _, f := range m.Files {
		for i := range totals {
			if totals[i].What == f.What() {
				totals[i].Files++
				totals[i].Bytes += f.Size
			}
		}
	}
	return totals
}

// Bytes is the size of all files.
func (m Manifest) Bytes() (total int64) {
	for _, f := range m.Files {
		total += f.Size
	}
	return total
}

// ReadManifest reads what the backup in dir consists of. Errors: *UnfinishedError,
// *NoBackupError.
func ReadManifest(dir string) (m Manifest, err error) {
	if IsUnfinished(dir) {
		return m, &UnfinishedError{Dir: dir}
	}
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, &NoBackupError{Dir: dir}
	}
	if err == nil {
		err = m.decode(text)
	}
	if err != nil {
		return m, &NoBackupError{Dir: dir, Err: err}
	}
	return m, nil
}

func (m *Manifest) decode(text []byte) error {
	if err := json.Unmarshal(text, m); err != nil {
		return err
	}
	if m.Format != manifestFormat || m.Version != manifestVersion {
		return fmt.Errorf("its format is %.40q, version %d; this program reads %q, version %d", m.Format, m.Version, manifestFormat, manifestVersion)
	}
	for _, f := range m.Files {
		if digest, err := hex.DecodeString(f.SHA256); !filepath.IsLocal(f.Name) || err != nil || len(digest) != sha256.Size {
			return fmt.Errorf("it has an entry that cannot be meant: %.100q", f.Name)
		}
	}
	return nil
}

// IsUnfinished tells whether dir holds a backup that was not finished.
func IsUnfinished(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ManifestFile+unfinished))
	return err == nil
}
