package supervisor

import (
	"errors"
	"strings"
	"testing"

	"vatworkerd/transcripts"
)

// Whoever ends the walk, its goroutine ends with it, and the first error comes
// out.
func TestEntriesAreDecodedInOrder(t *testing.T) {
	broken, enough := errors.New("broken"), errors.New("not this one")
	item := transcripts.SaveSnapshot("x").Encode()
	items := func(n int, end error) walk {
		return func(f func(int64, string) error) error {
			for i := range n {
				if err := f(int64(i), item); err != nil {
					return err
				}
			}
			return end
		}
	}
	cases := []struct {
		name  string
		items walk
		until int64 // where f fails
		seen  int64
		err   error
	}{
		{"all", items(100, nil), -1, 100, nil},
		{"none", items(0, nil), -1, 0, nil},
		{"the walk fails", items(30, broken), -1, 30, broken},
		{"the walk fails at once", items(0, broken), -1, 0, broken},
		{"an item is refused", items(100, nil), 3, 4, enough},
		{"the last item is refused", items(100, broken), 99, 100, enough},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			seen := int64(0)
			err := eachEntry("v1", tc.items, func(position int64, entry transcripts.Entry) error {
				if position != seen || entry.Kind() != transcripts.KindSaveSnapshot {
					t.Fatalf("position %d is %s", position, entry.Kind())
				}
				seen++
				if position == tc.until {
					return enough
				}
				return nil
			})
			if seen != tc.seen || !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Errorf("saw %d, error %v; want %d, %v", seen, err, tc.seen, tc.err)
			}
		})
	}
	err := eachEntry("v1", func(f func(int64, string) error) error { return f(7, "{") }, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "cannot decode transcript item 7 of v1") {
		t.Errorf("error %v", err)
	}
}
