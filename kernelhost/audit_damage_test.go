package kernelhost

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// everything is a kernel with vats a (v1), b (v2) and d (v3, terminated, its
// deletion begun), references and promises of all kinds between them, waiting
// garbage, a device, a meter and an output; and what its daemon would hold.
func everything(t *testing.T) (*crank, []fakeItem) {
	c := newTables(t)
	given(c.addVat("d", vatOptions{}))(t)
	one, two := given(c.toKernel("v1", "o+1"))(t), given(c.toKernel("v1", "o+2"))(t) // ko20, ko21
	gone := given(c.toKernel("v1", "o+d3/4"))(t)                                     // ko22
	for _, kref := range []string{one, two, gone} {
		given(c.toVat("v2", kref))(t) // o-50, o-51, o-52
	}
	check(t, c.setReachable("v2", two, given2(c.clistEntry("v2", two))(t), false))  // recognized
	check(t, c.setReachable("v2", gone, given2(c.clistEntry("v2", gone))(t), true)) // held
	dropped := given(c.toKernel("v1", "o+5"))(t)                                    // ko23, let go of: told to v1
	check(t, c.addRef(dropped))
	check(t, c.dropRef(dropped))
	orphan := given(c.toKernel("v3", "o+1"))(t) // ko24
	given(c.toVat("v2", orphan))(t)
	open := given(c.toKernel("v1", "p+1"))(t) // kp40, decided by v1, with a message waiting
	given(c.toVat("v2", open))(t)
	result := given(c.addPromise("", ""))(t) // kp41
	msg := message{Methargs: capdata.CapData{Body: `#["m",[]]`, Slots: []string{one}}, Result: result}
	check(t, c.holdMessage(open, msg))
	check(t, c.queueToPromise(open, msg))
	done := given(c.addPromise("", ""))(t) // kp42, fulfilled
	check(t, c.pin(done))
	check(t, c.resolve("", []resolution{{kpid: done, data: capdata.CapData{Body: `#"$0"`, Slots: []string{two}}}}))
	check(t, c.setParameters("v1", capdata.CapData{Body: `#"$0"`, Slots: []string{gone}}))
	given(c.addDevice("post", []byte(`{}`)))(t)
	given(c.toVat("d7", one))(t)
	given(c.toVat("v1", "kd30"))(t)
	c.kv.Set(meterKey("m1", meterRemaining), "1000")
	c.kv.Set(meterKey("m1", meterThreshold), "10")
	c.kv.Set(meterIDKey, "2")
	c.kv.Set(adminKey("v1"), "key of v1")
	c.kv.Set(adminKey("v2"), "key of v2")
	c.kv.Set(dirtKey("v1"), `{"deliveries":1}`)
	c.kv.Set(bundleNameKey("good"), "b1-good")
	check(t, c.acceptSend(one, message{Methargs: capdata.CapData{Body: `#["n",[]]`, Slots: []string{}}}))
	check(t, c.terminate("v3"))
	check(t, c.finish())
	items := []fakeItem{}
	for _, item := range c.items {
		items = append(items, fakeItem{Item: item})
	}
	return c, items
}

// given2 is given for what also tells whether there is a value.
func given2[T any](v T, ok bool, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		if !ok {
			t.Fatal("there is no such thing")
		}
		return v
	}
}

func dumpOf(c *crank) map[string]string {
	kv := map[string]string{}
	for key, ok := c.kv.NextKey("", ""); ok; key, ok = c.kv.NextKey(key, "") {
		kv[key], _ = c.kv.Get(key)
	}
	return kv
}

// TestAuditNamesWhatIsDamaged alters one thing at a time: "key=value" sets, "-key"
// deletes. Each line wanted must be the begin of one problem, and there are no others.
func TestAuditNamesWhatIsDamaged(t *testing.T) {
	c, items := everything(t)
	sound := dumpOf(c)
	if err := auditTables(sound, items); err != nil {
		t.Fatalf("before any damage: %v\n%v", err, sound)
	}
	for _, d := range []struct{ name, change, want string }{
		{"an entry lost", "-v2.c.ko20", "c-list v2.c.o-50: its other half, v2.c.ko20\nobject ko20.refCount: the numbers"},
		{"an entry's other half lost", "-v2.c.o-50", "c-list v2.c.ko20: its other half, v2.c.o-50: expected ko20, got none"},
		{"an entry of no kind", "v2.c.ko20=R p-50", "c-list v2.c.ko20: it is no entry\nc-list v2.c.o-50: its other half\nobject ko20.refCount"},
		{"an entry without flag", "v2.c.ko20=o-50", "c-list v2.c.ko20: it is no entry\nc-list v2.c.o-50: its other half\nobject ko20.refCount"},
		{"an entry of another", "v2.c.o-50=ko21", "c-list v2.c.ko20: its other half, v2.c.o-50: expected ko20, got ko21\nc-list v2.c.o-50: its other half, v2.c.ko21: expected o-50"},
		{"an import that exports", "v2.c.ko20=R o+50\nv2.c.o+50=ko20\n-v2.c.o-50", "c-list v2.c.ko20: the owner of what it exports: expected v2, got v1\nobject ko20.refCount"},
		{"a promise that is not there", "-kp40.state", "c-list v1.c.kp40: there is no such promise\nc-list v2.c.kp40: there is no such promise\npromise kp40: it is referred to and gone"},
		{"another owner", "ko20.owner=v2", "c-list v1.c.ko20: the owner of what it exports: expected v1, got v2\nc-list v2.c.ko20: it imports what it owns itself"},
		{"an owner that does not know", "ko20.owner=v3", "object ko20.owner: the vat that owns it does not know it\nc-list v1.c.ko20: the owner of what it exports: expected v1, got v3"},
		{"no owner", "-ko20.owner", "c-list v1.c.ko20: the owner of what it exports: expected v1, got none"},
		{"an object's count", "ko20.refCount=1,2", "object ko20.refCount: the numbers of references that reach it, and that recognize it: expected"},
		{"an object's count that is none", "ko20.refCount=many", "object ko20.refCount: they are no numbers\nobject ko20.refCount: the numbers of references"},
		{"an object's count lost", "-ko20.refCount", "object ko20: it can be reached and is gone"},
		{"an object never made", "ko99.refCount=0,0\nko99.owner=v1", "object ko99.owner: the vat that owns it\nrecord ko99.refCount: its number was never given out\ngc v1.c.ko99"},
		{"an orphan", "ko19.refCount=0,0", "object ko19.refCount: it is an orphan"},
		{"a promise's count", "kp40.refCount=9", "promise kp40.refCount: the number of references: expected 3, got 9"},
		{"a promise's count that is none", "kp40.refCount=-1", "promise kp40.refCount: it is no number\npromise kp40.refCount: the number of references"},
		{"a promise nobody refers to", "-pin.kp42", "promise kp42.refCount: the number of references: expected 0, got 1"},
		{"a promise of no state", "kp40.state=maybe", "promise kp40.state: it is no state of a promise: got maybe"},
		{"a promise resolved by half", "kp40.state=fulfilled", "promise kp40.state: it is resolved, but its row"},
		{"a promise opened by half", "kp42.state=unresolved", "promise kp42.state: it is unresolved, but its row"},
		{"data lost", "-kp42.data.slots", "promise kp42.state: it is resolved, but its row\nobject ko21.refCount\ngc v1.c.ko21: the object cannot be reached"},
		{"a decider that does not know", "kp41.decider=v2", "promise kp41.decider: the vat that decides the promise does not know it"},
		{"nobody to resolve", "kp40.decider=", "promise kp40.decider: nobody can resolve it"},
		{"a message outside of its queue", "kp40.queue.nextID=0", "promise kp40.queue.0: it lies outside"},
		{"a message that is none", "kp40.queue.0={", "promise kp40.queue.0: kernel tables are broken\nobject ko20.refCount\npromise kp40.refCount\npromise kp41.decider: nobody can resolve it\npromise kp41.refCount"},
		{"a pin too many", "pin.ko20=1", "object ko20.refCount"},
		{"parameters that are none", "v1.vatParameters=x", "record v1.vatParameters: it is no capdata\nobject ko22.refCount"},
		{"a recognizer lost", "-ko21.recognizer.v2", "gc ko21.recognizer.v2: whether it is there, as v2.c.ko21 is _ o-51: expected true, got false"},
		{"a recognizer too many", "ko20.recognizer.v2=1", "gc ko20.recognizer.v2: the vat's entry is none\ngc ko20.recognizer.v2: whether it is there"},
		{"an action lost", "-gc.v1.dropExport.ko23", "gc v1.c.ko23: the object cannot be reached, and its vat is not told"},
		{"the other action lost", "-gc.v1.retireExport.ko23", "gc v1.c.ko23: nobody recognizes the object"},
		{"told too early", "v1.c.ko20=_ o+1", "gc v1.c.ko20: the object can be reached, and its vat was told it cannot"},
		{"an object gone untold", "-ko21.owner\n-ko21.refCount\n-v1.c.ko21\n-v1.c.o+2\n-kp42.state\n-kp42.data.body\n-kp42.data.slots\n-kp42.refCount\n-pin.kp42", "gc v2.c.ko21: the object is gone, and the vat is not told"},
		{"an action of no kind", "gc.v1.drop.ko23=true", "key gc.v1.drop.ko23: no such key"},
		{"an action of a dead vat", "gc.v3.dropExport.ko24=true", "gc gc.v3.dropExport.ko24: the vat is dead or has no turn"},
		{"a turn lost", "-v1.gcTurn", "gc gc.v1.dropExport.ko23: the vat is dead or has no turn\ngc gc.v1.retireExport.ko23\ngc gcTurn.0000000000000001: it is not the turn\npair v1.gcTurn: items of type gc in the vat's input queue: expected 0, got 1"},
		{"a turn of nobody", "-gcTurn.0000000000000001", "gc v1.gcTurn: the vat of the turn"},
		{"a turn without number", "v1.gcTurn=x", "gc gcTurn.0000000000000001: it is not the turn\ngc v1.gcTurn: it is no number"},
		{"a bringOutYourDead that is not there", "v1.reapQueued=true", "pair v1.reapQueued: items of type bringOutYourDead in the vat's input queue: expected 1, got 0"},
		{"a deletion of the living", "dead.0000000000000001=v1", "record dead.0000000000000001: it deletes a vat"},
		{"options that are none", "v1.options=x", "record v1.options: it cannot be decoded"},
		{"dirt that is none", "v1.reapDirt=x", "record v1.reapDirt: it cannot be decoded"},
		{"a state that is none", "v1.state=x", "record v1.state: it cannot be decoded"},
		{"a counter that is none", "v1.o.nextID=x", "record v1.o.nextID: it is no number"},
		{"a global counter", "vat.nextID=2", "record v2.options: its number was never given out\nrecord v3.options: its number\nrecord vat.name.b: its number\nrecord vat.name.d: its number"},
		{"a global counter that is none", "meter.nextID=x", "record meter.nextID: it is no number"},
		{"another version", "version=2", "record version: the version of the tables: expected 1, got 2"},
		{"a device's name", "device.name.post=d9", "record device.name.post: there is no such device"},
		{"a device's node", "kd30.owner=d9", "c-list d7.c.kd30: the owner of what it exports: expected d7, got d9\nrecord kd30.owner: there is no such device"},
		{"a device's parameters", "d7.parameters={", "record d7.parameters: it cannot be decoded"},
		{"a meter", "m1.remaining=-5", "record m1.remaining: it is no number of computrons"},
		{"a meter's column", "m1.left=5", "key m1.left: no such key"},
		{"a vat's key", "v1.other=5", "key v1.other: no such key"},
		{"an object's key", "ko20.other=5", "key ko20.other: no such key"},
		{"a promise's key", "kp40.other=5", "key kp40.other: no such key"},
		{"a device's key", "d7.other=5", "key d7.other: no such key"},
		{"a node's key", "kd30.other=5", "key kd30.other: no such key"},
		{"a foreign key", "what=5", "key what: no such key"},
	} {
		t.Run(d.name, func(t *testing.T) {
			kv := maps.Clone(sound)
			for line := range strings.Lines(d.change) {
				key, value, set := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				if set {
					kv[key] = value
				} else {
					delete(kv, strings.TrimPrefix(key, "-"))
				}
			}
			if maps.Equal(kv, sound) {
				t.Fatal("nothing was changed")
			}
			compareProblems(t, auditTables(kv, items), d.want)
		})
	}
}

func compareProblems(t *testing.T, err error, want string) {
	t.Helper()
	var got []string
	if err != nil {
		got = strings.Split(strings.ReplaceAll(err.Error(), "host.sqlite kv.", ""), "\n")
	}
	wanted := strings.Split(want, "\n")
	slices.Sort(got)
	slices.Sort(wanted)
	same := len(got) == len(wanted)
	for i := 0; same && i < len(wanted); i++ {
		same = strings.HasPrefix(got[i], wanted[i])
	}
	if !same {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

// TestAuditOfBothSides compares a host's database with a daemon that differs
// from what it should be in one thing.
func TestAuditOfBothSides(t *testing.T) {
	path := filepath.Join(t.TempDir(), DatabaseFile)
	db, err := store.Open(path, store.Options{})
	check(t, err)
	defer func() { check(t, db.Close()) }()
	kv, err := db.BeginCrank()
	check(t, err)
	c, items := everything(t)
	for key, value := range dumpOf(c) {
		kv.Set(key, value)
	}
	kv.Set(adminVatKey, "v1")
	kv.Set(epochKey, "2")
	kv.Set(bundleKey("b1-good"), "1")
	kv.Set(dynamicKey("v2"), "1")
	kv.Set(stateKey("v2"), `{"state":"paused","incarnation":3}`)
	kv.Set(nextOutputKey("d7"), "3")
	for id := range int64(2) {
		check(t, kv.PutOutput("d7", id+1, "x"))
	}
	_, err = kv.Commit(nil)
	check(t, err)
	check(t, db.LocalSet(storeIDKey, "the store"))
	check(t, db.Commit(1))

	sound := func() Daemon {
		return Daemon{
			StoreID: "the store", Epoch: 2,
			HasBundle: func(id string) (bool, error) { return id == "b1-good", nil },
			Vats: map[string]DaemonVat{
				"v1": {AdminKey: "key of v1", State: "running"},
				"v2": {AdminKey: "key of v2", State: "paused", Incarnation: 3},
				"v3": {State: "terminated", Terminated: true},
				"v0": {State: "terminated", Terminated: true}, // deleted long ago
			},
			EachItem: func(visit func(DaemonItem) error) error {
				for _, item := range items {
					check(t, visit(DaemonItem{Place: "its place", Item: item.Item}))
				}
				return nil
			},
		}
	}
	for _, d := range []struct {
		name, want string
		change     func(*Daemon)
	}{
		{"sound", "", func(*Daemon) {}},
		{"another store", "pair host.sqlite local.daemon.storeID: the name of the store of vats", func(d *Daemon) { d.StoreID = "x" }},
		{"another epoch", "pair restart.epoch: how many restart-alls there were: expected 3, got 2", func(d *Daemon) { d.Epoch = 3 }},
		{"no bundle", "pair bundle.b1-good: vatworkerd does not hold\npair namedBundleID.good: vatworkerd does not hold", func(d *Daemon) {
			d.HasBundle = func(string) (bool, error) { return false, nil }
		}},
		{"a vat lost", "pair v1.options: vatworkerd does not know the vat", func(d *Daemon) { delete(d.Vats, "v1") }},
		{"a vat too many", "pair v9.options: vatworkerd has the vat", func(d *Daemon) { d.Vats["v9"] = DaemonVat{} }},
		{"another admin key", "pair v1.adminKey: the vat's admin key", func(d *Daemon) { d.Vats["v1"] = DaemonVat{AdminKey: "x"} }},
		{"terminated there", "pair v1.terminated: whether the vat is terminated: expected true, got false", func(d *Daemon) { d.Vats["v1"] = DaemonVat{Terminated: true} }},
		{"alive there", "pair v3.terminated: whether the vat is terminated: expected false, got true", func(d *Daemon) { d.Vats["v3"] = DaemonVat{} }},
		{"another state", "pair v2.state: the vat's state: expected running in incarnation 3, got paused in incarnation 3", func(d *Daemon) {
			d.Vats["v2"] = DaemonVat{AdminKey: "key of v2", State: "running", Incarnation: 3}
		}},
		{"another incarnation", "pair v2.state: the vat's state: expected paused in incarnation 4, got paused in incarnation 3", func(d *Daemon) {
			d.Vats["v2"] = DaemonVat{AdminKey: "key of v2", State: "paused", Incarnation: 4}
		}},
		{"an item that is none", "pair its place: kernel tables are broken: an item's payload", func(d *Daemon) {
			each := d.EachItem
			d.EachItem = func(visit func(DaemonItem) error) error {
				check(t, visit(DaemonItem{Place: "its place", Item: pipeproto.Item{VatID: "v1", Payload: []byte("{")}}))
				return each(visit)
			}
		}},
	} {
		t.Run(d.name, func(t *testing.T) {
			daemon := sound()
			d.change(&daemon)
			v, err := store.OpenView(path)
			check(t, err)
			defer func() { check(t, v.Close()) }()
			a := store.NewAudit(context.Background(), nil)
			check(t, Audit(a, v, daemon))
			if d.want == "" {
				check(t, a.Err())
				return
			}
			compareProblems(t, a.Err(), d.want)
		})
	}
}
