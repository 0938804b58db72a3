package supervisor

import (
	"encoding/json"
	"fmt"
	"slices"
)

// keyUsed is where the vats that were used last are remembered, locally: a JSON
// array of IDs, the most recently used first.
const keyUsed = "pool.used"

// rememberUsed notes which vats were used last, for the next process. It goes
// along with the block that is about to be prepared, and costs no write where
// nothing has changed.
func (s *Supervisor) rememberUsed() error {
	s.collect()
	now := append(s.pager.underWay(forSnapshot), s.pool.vatIDs()...)
	if len(now) == 0 {
		return nil
	}
	before, err := s.used()
	if err != nil {
		return err
	}
	// Vats that have not come yet, or that had to go, are behind those that are here.
	for _, vatID := range before {
		if len(now) < s.census.bounds.workers && !slices.Contains(now, vatID) {
			now = append(now, vatID)
		}
	}
	if slices.Equal(before, now) {
		return nil
	}
	text, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("cannot encode the used vats: %w", err)
	}
	return s.db.LocalSet(keyUsed, string(text))
}

// used gives the vats that were used last, the most recently used first.
func (s *Supervisor) used() ([]string, error) { return s.localIDs(keyUsed) }

// localIDs reads a list of vats that is only a hint: one that cannot be decoded
// is empty.
func (s *Supervisor) localIDs(key string) (vatIDs []string, err error) {
	text, ok, err := s.db.LocalGet(key)
	if err != nil || !ok {
		return nil, err
	}
	if json.Unmarshal([]byte(text), &vatIDs) != nil {
		s.log.Warn("a list of vats is no list", "key", key)
		return nil, nil
	}
	return vatIDs, nil
}
