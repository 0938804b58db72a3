package store

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
)

// crankHasher computes the hash of what a crank changed. The text it hashes is
// described, with an example, in docs/store.md.
type crankHasher struct {
	h   hash.Hash
	buf []byte
}

func newCrankHasher() *crankHasher { return &crankHasher{h: sha256.New()} }

// record hashes a tag line and netstrings, so that no two different sequences
// of records have the same text.
func (c *crankHasher) record(tag string, parts ...string) {
	c.buf = appendRecord(c.buf[:0], tag, parts...)
	c.h.Write(c.buf)
}

func appendRecord(b []byte, tag string, parts ...string) []byte {
	b = append(b, tag...)
	b = append(b, '\n')
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(b, ':')
		b = append(b, p...)
		b = append(b, ',')
	}
	return append(b, '\n')
}

func (c *crankHasher) changes(changes []change) {
	for _, ch := range changes {
		if ch.exists {
			c.record("add", ch.key, ch.value)
		} else {
			c.record("delete", ch.key)
		}
	}
}

func (c *crankHasher) sum() string { return hex.EncodeToString(c.h.Sum(nil)) }

// nextActivityHash chains a crank hash to the activity hash, as the JavaScript
// store does.
func nextActivityHash(old, crank string) string {
	sum := sha256.Sum256([]byte("activityhash\n" + old + "\n" + crank + "\n"))
	return hex.EncodeToString(sum[:])
}
