package store

import (
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
)

// stateSum is a hash of a set of keys with their values, kept up to date as the
// set changes without looking at the rest of it: the sum, modulo 2^1344, of a
// number for each pair. docs/store.md tells the numbers, and why they are so
// long.
type stateSum [sumBytes / 8]uint64

// sumBytes is what SHAKE128 gives in one block.
const sumBytes = 168

// pairNumbers computes the numbers of pairs. It keeps what it needs for the next.
type pairNumbers struct {
	text  []byte
	shake *sha3.SHAKE
	out   [sumBytes]byte
}

func newPairNumbers() *pairNumbers { return &pairNumbers{shake: sha3.NewSHAKE128()} }

// of gives the number of a pair; the text that is hashed is that of the crank hash.
func (p *pairNumbers) of(key, value string) (n stateSum) {
	p.text = appendRecord(p.text[:0], "add", key, value)
	digest := sha256.Sum256(p.text)
	p.shake.Reset()
	_, _ = p.shake.Write(digest[:]) // a hash takes and gives all it is asked for
	_, _ = p.shake.Read(p.out[:])
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(p.out[8*i:])
	}
	return n
}

func (s *stateSum) add(n stateSum) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], n[i], carry)
	}
}

func (s *stateSum) subtract(n stateSum) {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], n[i], borrow)
	}
}

// replace takes one value of a key out of the sum and puts another in.
func (s *stateSum) replace(p *pairNumbers, key string, was, now entry) {
	if was == now {
		return
	}
	if was.exists {
		s.subtract(p.of(key, was.value))
	}
	if now.exists {
		s.add(p.of(key, now.value))
	}
}

func (s *stateSum) bytes() []byte {
	b := make([]byte, 0, sumBytes)
	for _, word := range s {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

// hash gives the sum as people compare it: its sha256, hex.
func (s *stateSum) hash() string {
	sum := sha256.Sum256(s.bytes())
	return hex.EncodeToString(sum[:])
}

// encode gives the text under meta.stateSum.
func (s *stateSum) encode() string { return hex.EncodeToString(s.bytes()) }

func decodeStateSum(text string) (s stateSum, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != sumBytes {
		return s, fmt.Errorf("%.16q… is no state sum", text)
	}
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return s, nil
}

// sumOf adds up all of kv. look, if set, is called now and then and may end it.
func sumOf(each func(prefix string, f func(key, value string) error) error, look func() error) (s stateSum, rows int64, err error) {
	numbers := newPairNumbers()
	err = each("", func(key, value string) error {
		s.add(numbers.of(key, value))
		if rows++; rows%1000 == 0 && look != nil {
			return look()
		}
		return nil
	})
	return s, rows, err
}

// touched are the keys that cranks of the open block have changed, as they were
// when the sum was last right and as they are now. So a key that many cranks of a
// block change, as counters are, is hashed once.
type touched struct {
	keys  map[string]struct{ was, now entry }
	bytes int
}

// touchedBytes bounds what touched holds.
const touchedBytes = 8 << 20

// touch notes what a committed crank changed; d.mu is held.
func (d *DB) touch(changes []change) {
	t := &d.touched
	if t.keys == nil {
		t.keys = map[string]struct{ was, now entry }{}
	}
	for _, ch := range changes {
		pair, seen := t.keys[ch.key]
		if !seen {
			pair.was = ch.was
			t.bytes += len(ch.key) + len(ch.was.value)
		}
		t.bytes += len(ch.value)
		pair.now = ch.entry
		t.keys[ch.key] = pair
	}
	if t.bytes > touchedBytes {
		d.sumUp()
	}
}

// sumUp brings the sum up to the last committed crank; d.mu is held.
func (d *DB) sumUp() {
	for key, pair := range d.touched.keys {
		d.now.sum.replace(d.numbers, key, pair.was, pair.now)
	}
	d.touched = touched{}
}

// StateHash gives the hash of all keys and values as of the last committed crank,
// hex: the same on every node that holds the same.
func (d *DB) StateHash() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sumUp()
	return d.now.sum.hash()
}

// beginSum is the migration that writes the first sum. A file whose last block is
// prepared gets the sum before that block into its undo.
func (d *DB) beginSum() error {
	table := func(prefix string, f func(key, value string) error) error { return eachKey(d, prefix, f) }
	now, _, err := sumOf(table, nil)
	if err != nil {
		return err
	}
	before := now
	images, err := d.rows("migrate", -1, `SELECT u.k0, u.existed, coalesce(u.v0, ''), kv.key IS NOT NULL, coalesce(kv.value, '')
		FROM undo u LEFT JOIN kv ON kv.key = u.k0 WHERE u.tbl = 'kv'`)
	if err != nil {
		return err
	}
	for _, r := range images {
		before.replace(d.numbers, r.Text(0), entry{r.Text(4), r.Int64(3) == 1}, entry{r.Text(2), r.Int64(1) == 1})
	}
	if err := d.exec("migrate", "INSERT INTO meta (key, value) VALUES ('"+sumKey+"', ?)", now.encode()); err != nil {
		return err
	}
	at, err := readStanding(d)
	if err != nil {
		return err
	}
	// The trigger, if there is one, noted a row that was not there.
	if err := d.exec("migrate", "DELETE FROM undo WHERE tbl = 'meta' AND k0 = '"+sumKey+"'"); err != nil || at.prepared == 0 {
		return err
	}
	return d.exec("migrate", "INSERT INTO undo (tbl, k0, k1, existed, v0) VALUES ('meta', '"+sumKey+"', '', 1, ?)", before.encode())
}

// sumKey is the key of the sum in meta.
const sumKey = "stateSum"

// readSum reads the sum of a file that has one: version 4 or above.
func readSum(a asker) (stateSum, error) {
	rows, err := a.rows("query", 1, "SELECT value FROM meta WHERE key = '"+sumKey+"'")
	if err != nil {
		return stateSum{}, err
	}
	if len(rows) == 0 {
		return stateSum{}, fmt.Errorf("meta has no key %s", sumKey)
	}
	return decodeStateSum(rows[0].Text(0))
}

// sum compares the sum of all of kv with the one that is kept.
func (c *fileCheck) sum() error {
	all := func(prefix string, f func(key, value string) error) error { return EachKey(c.s, prefix, f) }
	got, rows, err := sumOf(all, c.Interrupted)
	if err != nil {
		return err
	}
	c.Count(CountKeys, rows)
	if want := c.s.StateHash(); got.hash() != want {
		c.wrong(KindState, " kv", "the hash of all keys and values: a row was altered, lost or added ("+strconv.FormatInt(rows, 10)+" rows)", want, got.hash())
	}
	return nil
}

// CheckSum adds up all keys and values and compares the sum with the one that is
// kept. CheckFile does it too.
func CheckSum(a *Audit, s Source, name string) error {
	c := &fileCheck{Audit: a, s: s, name: name}
	return c.run(c.sum)
}
