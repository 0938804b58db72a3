package kernelhost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/store"
)

// swingsetTable is a table of keys as a SwingSet kernel writes it.
type swingsetTable map[string]string

func (m swingsetTable) Get(key string) (string, bool, error) {
	value, ok := m[key]
	return value, ok, nil
}

func (m swingsetTable) EachKey(prefix string, visit func(key, value string) error) error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := visit(key, m[key]); err != nil {
			return err
		}
	}
	return nil
}

// swingset gives the tables of a kernel at rest with so many vats, which export
// nothing and hold nothing.
func swingset(vats int) swingsetTable {
	m := swingsetTable{
		"version": "3", "vat.nextID": fmt.Sprint(vats + 1), "ko.nextID": "90", "kp.nextID": "90",
		"kernel.defaultReapDirtThreshold": `{"deliveries":5,"gcKrefs":20,"computrons":"never"}`,
		"acceptanceQueue":                 "[7,7]", "runQueue": "[124,124]", "gcActions": "[]", "reapQueue": "[]",
		"namedBundleID.counter": "b1-counter", "namedBundleID.other": "b1-other",
	}
	for n := 1; n <= vats; n++ {
		v := fmt.Sprintf("v%d", n)
		m[v+".options"] = fmt.Sprintf(`{"workerOptions":{"type":"xsnap"},"name":"vat%d","enablePipelining":false,"reapDirtThreshold":{"never":true}}`, n)
		m[v+".o.nextID"], m[v+".p.nextID"], m[v+".d.nextID"] = "50", "60", "70"
	}
	return m
}

// link writes an entry of a c-list.
func (m swingsetTable) link(vatID, kref, entry string) {
	m[vatID+".c."+kref] = entry
	_, vref, _ := strings.Cut(entry, " ")
	m[vatID+".c."+vref] = kref
	if strings.HasPrefix(vref, "o+") {
		m[kref+".owner"] = vatID
	}
}

// adopted gives the tables of a kernel that takes over vats, which must be sound.
func adopted(t testing.TB, dir string, from swingsetTable, vatIDs ...string) map[string]string {
	t.Helper()
	db, err := store.Open(filepath.Join(dir, DatabaseFile), store.Options{})
	check(t, err)
	defer func() { check(t, db.Close()) }()
	check(t, CheckSwingset(from))
	var vats []AdoptedVat
	for _, id := range vatIDs {
		vats = append(vats, AdoptedVat{VatID: id, Name: "vat" + id[1:], AdminKey: "key"})
	}
	c, err := db.BeginCrank()
	check(t, err)
	check(t, Adopt(c, from, vats, func(id string) bool { return id == "b1-counter" }))
	_, err = c.Commit(nil)
	check(t, err)
	a := store.NewAudit(context.Background(), nil)
	none := func(func(DaemonItem) error) error { return nil }
	check(t, Audit(a, db, Daemon{EachItem: none}))
	for _, problem := range a.Problems() {
		t.Errorf("of %v: %s", vatIDs, problem)
	}
	tables := map[string]string{}
	check(t, store.EachKey(db, "", func(key, value string) error {
		tables[key] = value
		return nil
	}))
	return tables
}

// wantKeys wants keys with these values; "-" is for one that must not be there.
func wantKeys(t testing.TB, got map[string]string, want map[string]string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		value, ok := got[key]
		if !ok {
			value = "-"
		}
		if value != want[key] {
			t.Errorf("%s is %q, want %q", key, value, want[key])
		}
	}
}

func TestAdopt(t *testing.T) {
	m := swingset(3)
	// v1 exports its root, held by v2 and v3, and things that only v3 holds.
	m.link("v1", "ko20", "R o+0")
	m.link("v2", "ko20", "R o-50")
	m.link("v3", "ko20", "R o-50")
	m.link("v1", "ko21", "R o+d10/1")
	m.link("v3", "ko21", "R o-51")
	m.link("v1", "ko22", "_ o+d10/2")
	m.link("v3", "ko22", "_ o-52")
	// v2 holds what v3 exports, and recognizes what v1 and v3 do.
	m.link("v3", "ko30", "R o+5")
	m.link("v2", "ko30", "R o-53")
	m.link("v3", "ko31", "_ o+6")
	m.link("v2", "ko31", "_ o-54")
	m.link("v1", "ko23", "_ o+d10/3")
	m.link("v2", "ko23", "_ o-55")
	// A promise of v3's that v1 and v3 listen to, with a message in it for a result that v2 waits for.
	m.link("v1", "kp40", "R p-60")
	m.link("v3", "kp40", "R p+5")
	m["kp40.state"], m["kp40.decider"], m["kp40.subscribers"], m["kp40.policy"] = Unresolved, "v3", "v1,v3", "logAlways"
	m["kp40.queue.nextID"], m["kp40.refCount"] = "1", "9"
	m["kp40.queue.0"] = `{"methargs":{"body":"#[]","slots":["ko21"]},"result":"kp41"}`
	m.link("v2", "kp41", "R p-61")
	m["kp41.state"], m["kp41.decider"], m["kp41.subscribers"], m["kp41.queue.nextID"] = Unresolved, "", "v2", "0"
	// A resolved one whose data has another, whose decider nobody knows.
	m.link("v2", "kp42", "R p-62")
	m["kp42.state"], m["kp42.data.body"], m["kp42.data.slots"] = Fulfilled, "#[]", "kp43,ko30"
	m["kp43.state"], m["kp43.decider"], m["kp43.subscribers"], m["kp43.queue.nextID"] = Unresolved, "", "", "0"
	m["v2.vatParameters"], m["v2.reapDirt"] = `{"body":"#[]","slots":["ko20"]}`, `{"deliveries":3}`

	wantKeys(t, adopted(t, t.TempDir(), m, "v1", "v2"), map[string]string{
		"vat.nextID": "4", "ko.nextID": "91", "kp.nextID": "90", "vat.name.vat1": "v1", "v1.adminKey": "key",
		"kernel.defaultReapInterval": "5", "kernel.defaultReapGCKrefs": "20", "v1.options": `{"reapInterval":-1,"reapGCKrefs":-1}`,
		"namedBundleID.counter": "b1-counter", "namedBundleID.other": "-",
		"v1.vatParameters": `{"body":"#\"#undefined\"","slots":[]}`, "v2.vatParameters": `{"body":"#[]","slots":["ko20"]}`, "v2.reapDirt": `{"deliveries":3}`,
		"v1.c.ko20": "R o+0", "v1.c.o+0": "ko20", "ko20.owner": "v1", "pin.ko20": "1", "ko20.refCount": "3,3",
		// Only v3 holds it, and a message: v1 is not told.
		"v1.c.ko21": "R o+d10/1", "ko21.owner": "v1", "pin.ko21": "-", "ko21.refCount": "1,1",
		// Only v3 recognizes it: forgotten.
		"v1.c.ko22": "-", "v1.c.o+d10/2": "-", "ko22.owner": "-", "ko22.refCount": "-",
		"ko23.refCount": "0,1", "ko23.recognizer.v2": "1", "ko23.owner": "v1",
		// What v3 exports has no owner.
		"v2.c.ko30": "R o-53", "ko30.owner": "-", "ko30.refCount": "2,2",
		"v2.c.ko31": "_ o-54", "ko31.owner": "-", "pin.ko31": "1", "ko31.refCount": "1,2", "ko31.recognizer.v2": "1",
		"kp40.decider": "v3", "kp40.subscribers": "v1", "kp40.policy": "-", "kp40.refCount": "2",
		"kp41.decider": "", "kp41.refCount": "2", "kp42.data.slots": "kp43,ko30", "kp42.refCount": "1",
		"kp43.decider": "v0", "kp43.refCount": "1",
		// v2 has no root yet.
		"v2.c.o+0": "ko90", "ko90.owner": "v2", "pin.ko90": "1",
		"v3.options": "-", "v3.c.ko20": "-",
	})
	got := adopted(t, t.TempDir(), m, "v1", "v2", "v3")
	wantKeys(t, got, map[string]string{"ko21.refCount": "2,2", "ko22.refCount": "0,1", "ko30.owner": "v3", "pin.ko31": "-", "kp40.decider": "v3", "kp40.subscribers": "v1,v3"})
	wantKeys(t, adopted(t, t.TempDir(), m, "v1"), map[string]string{"ko20.refCount": "1,1", "pin.ko21": "-", "kp41.decider": "", "kp41.subscribers": ""})
}

func TestCheckSwingset(t *testing.T) {
	check(t, CheckSwingset(swingset(1)))
	for key, value := range map[string]string{
		"version": "2", "acceptanceQueue": "[7,8]", "runQueue": "[", "gcActions": `["v1 dropExport ko20"]`, "reapQueue": `["v1"]`,
	} {
		m := swingset(1)
		m[key] = value
		var refused *AdoptError
		if err := CheckSwingset(m); !errors.As(err, &refused) || refused.Key != key {
			t.Errorf("%s = %s gave %v", key, value, err)
		}
	}
}

func TestAdoptRefuses(t *testing.T) {
	sound := swingset(1)
	sound.link("v1", "kp40", "R p-60")
	sound["kp40.state"], sound["kp40.data.body"], sound["kp40.data.slots"] = Fulfilled, "#[]", ""
	adopted(t, t.TempDir(), sound, "v1")
	for key, value := range map[string]string{
		"vat.nextID": "-", "ko.nextID": "many", "kernel.defaultReapDirtThreshold": `{"deliveries":0}`, "v1.options": "{", "v1.o.nextID": "-",
		"v1.vatParameters": "{}", "v1.reapDirt": "[]", "v1.c.kp40": "p-60", "kp40.state": "pending", "kp40.data.body": "-", "v1.c.kx1": "R o-1",
	} {
		m := maps.Clone(sound)
		if m[key] = value; value == "-" {
			delete(m, key)
		}
		db, err := store.Open(filepath.Join(t.TempDir(), DatabaseFile), store.Options{})
		check(t, err)
		c, err := db.BeginCrank()
		check(t, err)
		var refused *AdoptError
		if err := Adopt(c, m, []AdoptedVat{{VatID: "v1", AdminKey: "key"}}, func(string) bool { return true }); !errors.As(err, &refused) {
			t.Errorf("%s = %s gave %v", key, value, err)
		}
		c.Abort()
		check(t, db.Close())
	}
	m := swingset(1)
	m.link("v1", "kd30", "R d-70")
	if why, err := WhyNotAdopt(m, "v1"); err != nil || !strings.Contains(why, "kd30") {
		t.Errorf("a vat with a device: %q, %v", why, err)
	}
	if why, err := WhyNotAdopt(sound, "v1"); err != nil || why != "" {
		t.Errorf("a vat without: %q, %v", why, err)
	}
}

// Whoever of whatever kernel is taken over, the audit finds the tables sound.
func TestAdoptAnything(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		const vats = 4
		m := swingset(vats)
		vat := func() string { return fmt.Sprintf("v%d", rapid.IntRange(1, vats).Draw(r, "vat")) }
		for n := range rapid.IntRange(0, 8).Draw(r, "objects") {
			kref, owner, reached := fmt.Sprintf("ko%d", 20+n), vat(), false
			holders := rapid.SliceOfDistinct(rapid.IntRange(1, vats), rapid.ID[int]).Draw(r, "holders")
			for _, h := range holders {
				if v := fmt.Sprintf("v%d", h); v != owner {
					strong := rapid.Bool().Draw(r, "strong")
					reached = reached || strong
					m.link(v, kref, map[bool]string{true: "R", false: "_"}[strong]+fmt.Sprintf(" o-%d", 10+n))
				}
			}
			m.link(owner, kref, map[bool]string{true: "R", false: "_"}[reached]+fmt.Sprintf(" o+%d", 10+n))
		}
		for n := range rapid.IntRange(0, 4).Draw(r, "promises") {
			kpid := fmt.Sprintf("kp%d", 40+n)
			m.link(vat(), kpid, fmt.Sprintf("R p-%d", 10+n))
			if n > 0 && rapid.Bool().Draw(r, "resolved") {
				m[kpid+".state"], m[kpid+".data.body"], m[kpid+".data.slots"] = Rejected, "#[]", fmt.Sprintf("kp%d", 39+n)
				continue
			}
			m[kpid+".state"], m[kpid+".subscribers"], m[kpid+".queue.nextID"] = Unresolved, "v1,v2", "0"
			m[kpid+".decider"] = ""
		}
		run++
		wanted := rapid.SliceOfNDistinct(rapid.IntRange(1, vats), 1, vats, rapid.ID[int]).Draw(r, "wanted")
		slices.Sort(wanted)
		var ids []string
		for _, n := range wanted {
			ids = append(ids, fmt.Sprintf("v%d", n))
		}
		sub := filepath.Join(dir, fmt.Sprint(run))
		check(t, os.Mkdir(sub, 0o700))
		adopted(t, sub, m, ids...)
	})
}
