package snapshots

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/store"
)

func openStore(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "vats.sqlite"), store.Options{Undo: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// inCrank runs work in a crank and commits it.
func inCrank(t testing.TB, db *store.DB, work func(c *store.Crank) error) (activityHash string) {
	t.Helper()
	c, err := db.BeginCrank()
	if err != nil {
		t.Fatal(err)
	}
	if err := work(c); err != nil {
		t.Fatal(err)
	}
	hash, err := c.Commit(nil)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func infoOf(name string, stored int64) Info {
	return Info{Hash: hashOf([]byte(name)), UncompressedSize: int64(len(name)), StoredSize: stored}
}

func TestLifeOfRows(t *testing.T) {
	db := openStore(t)
	inCrank(t, db, func(c *store.Crank) error { return Record(c, "v1", 3, 0, infoOf("a", 10)) })
	inCrank(t, db, func(c *store.Crank) error { return Record(c, "v1", 9, 0, infoOf("b", 11)) })
	inCrank(t, db, func(c *store.Crank) error { return Record(c, "v2", 4, 1, infoOf("a", 10)) })
	row, ok, err := InUse(db, "v1")
	want := Row{VatID: "v1", SnapPos: 9, Hash: hashOf([]byte("b")), UncompressedSize: 1, InUse: true}
	if err != nil || !ok || row != want {
		t.Fatalf("InUse: %+v, %v, %v", row, ok, err)
	}
	rows, err := List(db, "")
	if err != nil || len(rows) != 3 || rows[0].InUse || !rows[1].InUse || rows[2].VatID != "v2" || rows[2].Incarnation != 1 {
		t.Fatalf("List: %+v, %v", rows, err)
	}
	inCrank(t, db, func(c *store.Crank) error { return StopUsing(c, "v1") })
	if _, ok, err := InUse(db, "v1"); ok || err != nil {
		t.Errorf("in use after StopUsing: %v, %v", ok, err)
	}
	if rows, err := List(db, "v1"); err != nil || len(rows) != 2 {
		t.Errorf("records after StopUsing: %+v, %v", rows, err)
	}
	if kept, err := KeptHashes(db, 1); err != nil || len(kept) != 1 || !kept[hashOf([]byte("a"))] {
		t.Errorf("KeptHashes: %v, %v", kept, err)
	}
}

func TestBadRecords(t *testing.T) {
	db := openStore(t)
	c, err := db.BeginCrank()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	for name, err := range map[string]error{
		"no vat":       Record(c, "", 1, 0, infoOf("a", 1)),
		"position -1":  Record(c, "v1", -1, 0, infoOf("a", 1)),
		"no hash":      Record(c, "v1", 1, 0, Info{}),
		"foreign hash": Record(c, "v1", 1, 0, Info{Hash: "../x"}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestForgetVatWithinBudget(t *testing.T) {
	db := openStore(t)
	inCrank(t, db, func(c *store.Crank) error {
		for i := range int64(5) {
			if err := Record(c, "v1", i, 0, infoOf(fmt.Sprint(i), 1)); err != nil {
				return err
			}
		}
		return Record(c, "v2", 0, 0, infoOf("x", 1))
	})
	steps := []struct {
		budget, removed int
		done            bool
	}{{0, 0, false}, {2, 2, false}, {2, 2, false}, {1, 1, true}, {0, 0, true}, {-1, 0, true}}
	for i, step := range steps {
		inCrank(t, db, func(c *store.Crank) error {
			removed, done, err := ForgetVat(c, "v1", step.budget)
			if removed != step.removed || done != step.done {
				t.Errorf("step %d: removed %d, done %v; want %d, %v", i, removed, done, step.removed, step.done)
			}
			return err
		})
		if i == 1 {
			if _, ok, _ := InUse(db, "v1"); ok {
				t.Error("the row in use is not among the first to go")
			}
		}
	}
	if rows, err := List(db, ""); err != nil || len(rows) != 1 || rows[0].VatID != "v2" {
		t.Errorf("left: %+v, %v", rows, err)
	}
}

// The activity hash depends on what is in consensus and on nothing else.
func TestWhatTheActivityHashSees(t *testing.T) {
	activity := func(snapPos, incarnation int64, info Info) string {
		return inCrank(t, openStore(t), func(c *store.Crank) error { return Record(c, "v1", snapPos, incarnation, info) })
	}
	base := activity(3, 1, infoOf("a", 10))
	if activity(3, 1, infoOf("a", 999)) != base {
		t.Error("the stored size, which is local, changes the activity hash")
	}
	for name, other := range map[string]string{
		"position":    activity(4, 1, infoOf("a", 10)),
		"incarnation": activity(3, 2, infoOf("a", 10)),
		"hash":        activity(3, 1, infoOf("b", 10)),
	} {
		if other == base {
			t.Errorf("the %s does not change the activity hash", name)
		}
	}
}

func TestRecordingTwiceIsNoChange(t *testing.T) {
	once, twice := openStore(t), openStore(t)
	record := func(c *store.Crank) error { return Record(c, "v1", 3, 0, infoOf("a", 10)) }
	want := inCrank(t, once, record)
	got := inCrank(t, twice, func(c *store.Crank) error {
		if err := record(c); err != nil {
			return err
		}
		return record(c)
	})
	if got != want {
		t.Error("a record that was there already changes the activity hash")
	}
}

func TestUndoneBlockBringsRowsBack(t *testing.T) {
	db := openStore(t)
	inCrank(t, db, func(c *store.Crank) error { return Record(c, "v1", 3, 0, infoOf("a", 10)) })
	if err := db.Prepare(1); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(1); err != nil {
		t.Fatal(err)
	}
	before, err := List(db, "")
	if err != nil {
		t.Fatal(err)
	}
	inCrank(t, db, func(c *store.Crank) error {
		if err := Record(c, "v1", 3, 0, infoOf("other", 10)); err != nil { // the same position again
			return err
		}
		if err := Record(c, "v1", 8, 0, infoOf("b", 10)); err != nil {
			return err
		}
		_, _, err := ForgetVat(c, "v1", 1)
		return err
	})
	if err := db.Prepare(2); err != nil {
		t.Fatal(err)
	}
	if err := db.Rollback(); err != nil {
		t.Fatal(err)
	}
	after, err := List(db, "")
	if err != nil || len(after) != 1 || after[0] != before[0] {
		t.Errorf("rows %+v, want %+v (%v)", after, before, err)
	}
}

// model is what the rows should be: vat -> position -> row.
type model map[string]map[int64]Row

func (m model) rows() []Row {
	var all []Row
	for _, rows := range m {
		for _, row := range rows {
			all = append(all, row)
		}
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return a.VatID < b.VatID || a.VatID == b.VatID && a.SnapPos < b.SnapPos
	})
	return all
}

func (m model) stopUsing(vatID string) {
	for pos, row := range m[vatID] {
		row.InUse = false
		m[vatID][pos] = row
	}
}

func TestRowsFollowTheModel(t *testing.T) {
	db := openStore(t)
	rapid.Check(t, func(rt *rapid.T) {
		c, err := db.BeginCrank()
		if err != nil {
			rt.Fatal(err)
		}
		defer c.Abort()
		m := model{"v1": {}, "v2": {}}
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			stepBoth(rt, c, m)
			got, err := List(c, "")
			if err != nil || fmt.Sprint(got) != fmt.Sprint(m.rows()) {
				rt.Fatalf("rows %v, want %v (%v)", got, m.rows(), err)
			}
			checkKept(rt, c, m, rapid.IntRange(0, 3).Draw(rt, "earlier"))
		}
	})
}

// stepBoth makes the same random change to the rows and to the model.
func stepBoth(rt *rapid.T, c *store.Crank, m model) {
	vatID := rapid.SampledFrom([]string{"v1", "v2"}).Draw(rt, "vat")
	switch rapid.IntRange(0, 3).Draw(rt, "what") {
	case 0:
		if err := StopUsing(c, vatID); err != nil {
			rt.Fatal(err)
		}
		m.stopUsing(vatID)
	case 1:
		budget := rapid.IntRange(-1, 2).Draw(rt, "budget")
		removed, done, err := ForgetVat(c, vatID, budget)
		if err != nil {
			rt.Fatal(err)
		}
		for range removed {
			newest := int64(-1)
			for pos := range m[vatID] {
				newest = max(newest, pos)
			}
			delete(m[vatID], newest)
		}
		if done != (len(m[vatID]) == 0) {
			rt.Fatalf("done is %v with %d rows left", done, len(m[vatID]))
		}
	default:
		pos := rapid.Int64Range(0, 5).Draw(rt, "position")
		info := infoOf(rapid.StringN(1, 1, 1).Draw(rt, "content"), 7)
		incarnation := rapid.Int64Range(0, 1).Draw(rt, "incarnation")
		if err := Record(c, vatID, pos, incarnation, info); err != nil {
			rt.Fatal(err)
		}
		m.stopUsing(vatID)
		m[vatID][pos] = Row{VatID: vatID, SnapPos: pos, Incarnation: incarnation, Hash: info.Hash,
			UncompressedSize: info.UncompressedSize, InUse: true}
	}
}

// kept is what stays of a vat's rows, by position.
func (m model) kept(vatID string, earlier int) []Row {
	var now Row
	var rows []Row
	for _, row := range m.rows() {
		if row.VatID == vatID {
			rows = append(rows, row)
		}
		if row.VatID == vatID && row.InUse {
			now = row
		}
	}
	if !now.InUse {
		return nil
	}
	rows = slices.DeleteFunc(rows, func(row Row) bool {
		return row.Incarnation != now.Incarnation || row.SnapPos > now.SnapPos
	})
	return rows[max(0, len(rows)-1-earlier):]
}

func checkKept(rt *rapid.T, c Crank, m model, earlier int) {
	rt.Helper()
	var all []Row
	hashes := map[string]bool{}
	for _, vatID := range []string{"v1", "v2"} {
		want := m.kept(vatID, earlier)
		if got, err := Kept(c, vatID, earlier); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("kept of %s %v, want %v (%v)", vatID, got, want, err)
		}
		for _, row := range want {
			hashes[row.Hash] = true
		}
		all = append(all, want...)
	}
	if got, err := Kept(c, "", earlier); err != nil || fmt.Sprint(got) != fmt.Sprint(all) {
		rt.Fatalf("kept of all %v, want %v (%v)", got, all, err)
	}
	if got, err := KeptHashes(c, earlier); err != nil || !maps.Equal(got, hashes) {
		rt.Fatalf("kept hashes %v, want %v (%v)", got, hashes, err)
	}
	for _, row := range m.rows() {
		if got, err := IsKept(c, row.Hash, earlier); err != nil || got != hashes[row.Hash] {
			rt.Fatalf("%s is kept: %v, want %v (%v)", row.Hash, got, hashes[row.Hash], err)
		}
	}
}
