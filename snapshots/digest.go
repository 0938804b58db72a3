package snapshots

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// Digest takes the bytes of a snapshot that is to be compared and not stored.
// It belongs to one goroutine.
type Digest struct {
	hash hash.Hash
	size int64
}

// NewDigest begins a Digest.
func NewDigest() *Digest { return &Digest{hash: sha256.New()} }

// Write adds uncompressed bytes; it cannot fail.
func (d *Digest) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	return d.hash.Write(p)
}

// CommitLater gives hash and size; nothing is stored.
func (d *Digest) CommitLater() (Info, error) {
	return Info{Hash: hex.EncodeToString(d.hash.Sum(nil)), UncompressedSize: d.size}, nil
}

// Abort does nothing: there is nothing to undo.
func (d *Digest) Abort() {}
