package supervisor

import (
	"errors"
	"fmt"
	"sync"

	"vatworkerd/transcripts"
)

// decodedAhead is how many entries are decoded before they are needed.
const decodedAhead = 16

// errEnough ends a walk over items that nobody wants to see the end of.
var errEnough = errors.New("enough")

// walk calls f for transcript items in order.
type walk func(f func(position int64, item string) error) error

// eachEntry decodes the items of a walk and calls f for them. Walking and
// decoding have a goroutine of their own: f runs deliveries on a CPU that it
// shares with the worker, and decoding is as much work as all else it does.
func eachEntry(vatID string, items walk, f func(position int64, entry transcripts.Entry) error) error {
	type decoded struct {
		position int64
		entry    transcripts.Entry
	}
	next, stop := make(chan decoded, decodedAhead), make(chan struct{})
	var walked error
	var walking sync.WaitGroup
	walking.Go(func() {
		defer close(next)
		walked = items(func(position int64, item string) error {
			entry, err := transcripts.Decode(item)
			if err != nil {
				return fmt.Errorf("cannot decode transcript item %d of %s: %w", position, vatID, err)
			}
			select {
			case next <- decoded{position, entry}:
				return nil
			case <-stop:
				return errEnough
			}
		})
	})
	var failed error
	for d := range next {
		if failed = f(d.position, d.entry); failed != nil {
			break
		}
	}
	close(stop)
	walking.Wait()
	if failed != nil {
		return failed
	}
	return walked
}
