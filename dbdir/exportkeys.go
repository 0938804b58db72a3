package dbdir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/config"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// An export has the tables of both databases in one table of keys, kv.*: those of
// the kernel, which are spelled as in SwingSet, as they are; the vats' storage
// where SwingSet has it; all other keys of vatworkerd, and what the JavaScript
// store has no place for, under kv.vatworkerd. docs/swingstore.md lists them.
const (
	kvPrefix      = "kv."
	ownPrefix     = "vatworkerd."
	originKey     = ownPrefix + "export"
	vatsPrefix    = ownPrefix + "vats."
	heapPrefix    = ownPrefix + "snapshot."
	bundlePrefix  = ownPrefix + "bundle."
	outboxPrefix  = ownPrefix + "outbox."
	bundleKey     = "bundle."
	transcriptKey = "transcript."
	snapshotKey   = "snapshot."
)

const (
	exportFormat  = "vatworkerd export"
	exportVersion = 1
)

// origin, under originKey, says what the export is of.
type origin struct {
	Format           string `json:"format"`
	Version          int    `json:"version"`
	Height           int64  `json:"height"`
	ActivityHash     string `json:"activityHash"`
	StateHash        string `json:"stateHash"`
	HostActivityHash string `json:"hostActivityHash"`
	HostStateHash    string `json:"hostStateHash"`
}

func (s *State) origin() origin {
	return origin{
		Format: exportFormat, Version: exportVersion, Height: s.Height(),
		ActivityHash: s.vats.ActivityHash(), StateHash: s.vats.StateHash(),
		HostActivityHash: s.host.ActivityHash(), HostStateHash: s.host.StateHash(),
	}
}

func (o *origin) decode(text string) error {
	if err := json.Unmarshal([]byte(text), o); err != nil {
		return err
	}
	if o.Format != exportFormat || o.Version != exportVersion {
		return fmt.Errorf("its format is %.40q, version %d; this program reads %q, version %d", o.Format, o.Version, exportFormat, exportVersion)
	}
	return nil
}

// vatstoreForm is a key of a vat's storage: as SwingSet has it, and as vatworkerd.
var (
	vatstoreForm    = regexp.MustCompile(`^(v[0-9]+)\.vs\.`)
	ownVatstoreForm = regexp.MustCompile(`^vs\.(v[0-9]+)\.`)
)

// exportedKey gives the name of a key of a database in an export. The error says
// that the key would be taken for another's.
func exportedKey(file, key string) (string, error) {
	if file == kernelhost.DatabaseFile {
		if strings.HasPrefix(key, ownPrefix) || vatstoreForm.MatchString(key) {
			return "", fmt.Errorf("cannot export the key %.100q of %s: in an export it has another meaning", key, file)
		}
		return kvPrefix + key, nil
	}
	if vat := ownVatstoreForm.FindStringSubmatch(key); vat != nil {
		return kvPrefix + vat[1] + ".vs." + key[len(vat[0]):], nil
	}
	return kvPrefix + vatsPrefix + key, nil
}

// importedKey is the inverse of exportedKey; file is empty for a key that is in no
// database's table of keys.
func importedKey(name string) (file, key string) {
	key, ok := strings.CutPrefix(name, kvPrefix)
	if !ok {
		return "", ""
	}
	if own, ok := strings.CutPrefix(key, vatsPrefix); ok {
		return supervisor.DatabaseFile, own
	}
	if strings.HasPrefix(key, ownPrefix) {
		return "", ""
	}
	if vat := vatstoreForm.FindStringSubmatch(key); vat != nil {
		return supervisor.DatabaseFile, "vs." + vat[1] + "." + key[len(vat[0]):]
	}
	return kernelhost.DatabaseFile, key
}

// heapDetail, under heapPrefix, is what the JavaScript store's records of
// snapshots do not say.
type heapDetail struct {
	Incarnation      int64 `json:"incarnation"`
	UncompressedSize int64 `json:"uncompressedSize"`
}

func heapDetailKey(row snapshots.Row) string {
	return heapPrefix + strings.TrimPrefix(row.Place(), snapshotKey)
}

// bundleDetail, under bundlePrefix, says of a bundle what its archive does not: the
// sha256 of its JSON text, which vats are given, and that text around the archive
// where SwingSet would spell it otherwise.
type bundleDetail struct {
	SHA256 string `json:"sha256"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

func newBundleDetail(id string, data, archive []byte) (bundleDetail, error) {
	d := bundleDetail{SHA256: sha256Hex(data)}
	if bytes.Equal(config.BundleText(id, archive), data) {
		return d, nil
	}
	var ok bool
	if d.Before, d.After, ok = config.SplitBundleText(data, archive); !ok {
		return d, fmt.Errorf("cannot export bundle %s: its text spells the archive in a way of its own", id)
	}
	return d, nil
}

// text gives the JSON text of the bundle.
func (d bundleDetail) text(id string, archive []byte) []byte {
	if d.Before == "" {
		return config.BundleText(id, archive)
	}
	return config.JoinBundleText(d.Before, archive, d.After)
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// waiting, under outboxPrefix, is an output that has not left yet.
type waiting struct {
	Height int64  `json:"height"`
	Data   string `json:"data"`
}

func outputKey(o store.Output) string {
	return outboxPrefix + o.Sender + "." + strconv.FormatInt(o.ID, 10)
}

// parseOutputKey is the inverse of outputKey.
func parseOutputKey(key string) (o store.Output, ok bool) {
	name := strings.TrimPrefix(key, outboxPrefix)
	at := strings.LastIndexByte(name, '.')
	if at < 0 {
		return o, false
	}
	id, err := strconv.ParseInt(name[at+1:], 10, 64)
	return store.Output{Sender: name[:at], ID: id}, err == nil
}
