package swingexport

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
)

const (
	// ManifestFile says what an export consists of.
	ManifestFile = "export-manifest.json"
	dataFile     = "export-data.jsonl"
)

// Mode says which artifacts an export has; of snapshots only those in use, but
// for Debug, and always all bundles.
type Mode string

// The modes of @agoric/swing-store (internal.js).
const (
	Operational Mode = "operational" // current spans: what vats need to go on
	Replay      Mode = "replay"      // all spans of the current incarnations
	Archival    Mode = "archival"    // all spans, from position 0
	Debug       Mode = "debug"       // whatever is there, old snapshots too
)

// Modes lists them all, from little to much.
func Modes() []Mode { return []Mode{Operational, Replay, Archival, Debug} }

// ParseMode reads the name of a mode.
func ParseMode(name string) (Mode, error) {
	if mode := Mode(name); slices.Contains(Modes(), mode) {
		return mode, nil
	}
	return "", fmt.Errorf("%.40q is none of %v", name, Modes())
}

// manifest is the content of a ManifestFile.
type manifest struct {
	BlockHeight  int64       `json:"blockHeight"`
	ArtifactMode Mode        `json:"artifactMode,omitempty"`
	Data         string      `json:"data,omitempty"`
	Artifacts    [][2]string `json:"artifacts"` // name, file
}

// check refuses what would lead out of the directory.
func (m *manifest) check() error {
	if m.Data == "" {
		return fmt.Errorf("%s names no export data", ManifestFile)
	}
	if !filepath.IsLocal(m.Data) {
		return fmt.Errorf("%s names a file that is not in it: %.100q", ManifestFile, m.Data)
	}
	for _, artifact := range m.Artifacts {
		if artifact[0] == "" || !filepath.IsLocal(artifact[1]) {
			return fmt.Errorf("%s has an artifact that cannot be meant: %.100q", ManifestFile, artifact)
		}
	}
	return nil
}

func (m *manifest) encode() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", ManifestFile, err)
	}
	return append(text, '\n'), nil
}
