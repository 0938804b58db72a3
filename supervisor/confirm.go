package supervisor

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"vatworkerd/transcripts"
)

// maxCrankDoubts bounds how often a crank is run again because its worker met
// a limit in another way than before.
const maxCrankDoubts = 3

// fault is a worker's end by a limit that counts against its vat, with all that
// came before it in the delivery.
type fault struct {
	vatID   string
	problem string
	history [sha256.Size]byte
}

// faultIn sums up a delivery, or a setBundle, that a worker did not survive.
func faultIn(vatID, problem string, delivery json.RawMessage, calls []transcripts.Syscall) fault {
	h := sha256.New()
	add := func(part []byte) { fmt.Fprintf(h, "%d:%s", len(part), part) }
	add(delivery)
	for _, call := range calls {
		add(call.Request)
		add(call.Response)
	}
	return fault{vatID, problem, [sha256.Size]byte(h.Sum(nil))}
}

// doubtError undoes a crank whose worker met a limit for the first time.
type doubtError struct{ fault fault }

func (e *doubtError) Error() string {
	return fmt.Sprintf("the worker of %s ended with %q, which counts once another worker ends in the same way", e.fault.vatID, e.fault.problem)
}

// believe accepts a fault that has been seen in an earlier try of this crank,
// on another worker. Memory that the host refused, or a bit that flipped, does
// not come back at the same place; the vat's own fault does.
func (c *crank) believe(f fault) error {
	if c.faults[f] {
		return nil
	}
	c.faults[f] = true
	return &doubtError{fault: f}
}
