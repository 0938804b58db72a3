package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Output is something a block sends to the world outside. It is kept with the
// block and leaves only when the block is committed.
type Output struct {
	Sender string // who sends it
	ID     int64  // the sender's; rises from output to output
	Height int64  // the block it belongs to
	Data   string
}

// PutOutput keeps an output as part of the crank. Outputs belong to a database
// whose own commit decides: one that keeps an undo refuses them.
func (c *Crank) PutOutput(sender string, id int64, data string) error {
	if c.db.opts.Undo {
		return errors.New("cannot keep an output: this database keeps an undo, another one decides on its blocks")
	}
	height := c.db.Height() + 1
	if err := c.Exec("INSERT INTO outbox (sender, id, height, data) VALUES (?, ?, ?, ?)", sender, id, height, data); err != nil {
		return fmt.Errorf("cannot keep output %d of %s: %w", id, sender, err)
	}
	sum := sha256.Sum256([]byte(data))
	c.Note("output", sender, strconv.FormatInt(id, 10), hex.EncodeToString(sum[:]))
	return nil
}

// Outputs gives what a sender's committed blocks have sent and nobody has
// forgotten, in order: at most `most` outputs whose ID is above after.
func (d *DB) Outputs(sender string, after int64, most int) ([]Output, error) {
	rows, err := d.Query("SELECT id, height, data FROM outbox WHERE sender = ? AND id > ? AND height <= ? ORDER BY id LIMIT ?",
		sender, after, d.Height(), most)
	if err != nil {
		return nil, fmt.Errorf("cannot read the outputs of %s: %w", sender, err)
	}
	outputs := make([]Output, len(rows))
	for i, r := range rows {
		outputs[i] = Output{Sender: sender, ID: r.Int64(0), Height: r.Int64(1), Data: r.Text(2)}
	}
	return outputs, nil
}

// ForgetOutputs forgets a sender's outputs up to an ID: they have left. No block
// may be open. It enters no hash, since when an output leaves is local.
func (d *DB) ForgetOutputs(sender string, upTo int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readyForBlock("forget outputs"); err != nil {
		return err
	}
	if d.inBlock {
		return errors.New("cannot forget outputs: a block is open")
	}
	return d.inTransaction(func() error {
		return d.exec("exec", "DELETE FROM outbox WHERE sender = ? AND id <= ?", sender, upTo)
	})
}
