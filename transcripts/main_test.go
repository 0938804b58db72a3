package transcripts

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"vatworkerd/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openTest opens a fresh store that is checked and closed after the test.
func openTest(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "t.sqlite"), store.Options{Undo: true})
	must(t, err)
	t.Cleanup(func() {
		must(t, Check(db))
		must(t, db.Check())
		must(t, db.Close())
	})
	return db
}

// inCrank runs f in a crank of its own and gives the new activity hash.
func inCrank(t testing.TB, db *store.DB, f func(c *store.Crank)) string {
	t.Helper()
	c, err := db.BeginCrank()
	must(t, err)
	f(c)
	hash, err := c.Commit(nil)
	must(t, err)
	return hash
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
