package kernelhost

import (
	"errors"
	"path/filepath"
	"testing"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// newTables is a crank of a kernel with vats a (v1) and b (v2).
func newTables(t *testing.T) *crank {
	db, err := store.Open(filepath.Join(t.TempDir(), "host.sqlite"), store.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	kv, err := db.BeginCrank()
	check(t, err)
	t.Cleanup(kv.Abort)
	c := newCrank(kv)
	c.create()
	for _, name := range []string{"a", "b"} {
		_, err := c.addVat(name, vatOptions{})
		check(t, err)
	}
	return c
}

// given gives a value that comes without an error.
func given[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// TestCollectLooksAgain: an object is looked at before the promise that holds
// it goes, and again after, however long the chain is.
func TestCollectLooksAgain(t *testing.T) {
	c := newTables(t)
	kref := given(c.toKernel("v1", "o+1"))(t)
	held, first := kref, ""
	for range 50 {
		kpid := given(c.addPromise("", ""))(t)
		check(t, c.addRef(kpid))
		check(t, c.resolve("", []resolution{{kpid: kpid, data: capdata.CapData{Body: "#", Slots: []string{held}}}}))
		if held != kref {
			check(t, c.dropRef(held))
		}
		held, first = kpid, kpid
	}
	check(t, c.addRef(kref))
	check(t, c.collect())
	check(t, c.dropRef(kref)) // the object comes first, still held
	check(t, c.dropRef(first))
	check(t, c.finish())
	for key, ok := c.kv.NextKey("kp", "kp"); ok; key, ok = c.kv.NextKey(key, "kp") {
		if key != "kp.nextID" {
			t.Errorf("left over: %s", key)
		}
	}
	if !c.has(gcKey("v1", dropExport)+kref) || !c.has(gcKey("v1", retireExport)+kref) {
		t.Error("the exporter is not told")
	}
	check(t, auditOf(c, nil))
}

// TestRootRetired: a vat that has forgotten its root object is not sent to
// before its next incarnation.
func TestRootRetired(t *testing.T) {
	c := newTables(t)
	root := given(c.rootOf("v1"))(t)
	check(t, c.addRef(root))
	check(t, c.dropRef(root))
	for _, want := range []string{`["dropExports",["o+0"]]`, `["retireExports",["o+0"]]`} {
		check(t, c.finish())
		if got := string(given(c.deliverGC("v1"))(t)); got != want {
			t.Fatalf("delivery %s, want %s", got, want)
		}
	}
	_, err := c.queueFromOutside("v1", capdata.CapData{Body: `#["m",[]]`, Slots: []string{}})
	var refused *pipeproto.Error
	if !errors.As(err, &refused) || refused.Code != pipeproto.CodeRefused {
		t.Fatalf("error %v", err)
	}
	check(t, c.setParameters("v1", capdata.CapData{Body: "#{}", Slots: []string{}}))
	given(c.begin(pipeproto.Incarnation{VatID: "v1", Reason: pipeproto.ReasonUpgraded}))(t)
	given(c.queueFromOutside("v1", capdata.CapData{Body: `#["m",[]]`, Slots: []string{}}))(t)
}

// TestParameters: vat parameters hold what they refer to until others replace
// them or the vat is cleaned up.
func TestParameters(t *testing.T) {
	c := newTables(t)
	one := given(c.toKernel("v2", "o+1"))(t)
	set := func(kref string) {
		check(t, c.setParameters("v1", capdata.CapData{Body: `#"$0"`, Slots: []string{kref}}))
		check(t, c.finish())
		check(t, auditOf(c, nil))
	}
	set(one)
	two := given(c.toKernel("v2", "o+2"))(t)
	set(two)
	if !c.has(gcKey("v2", dropExport)+one) || c.has(gcKey("v2", dropExport)+two) {
		t.Error("the first parameters are not let go of")
	}
	params := []byte(`{"body":"#\"$0\"","slots":["ko99"]}`)
	if _, err := c.begin(pipeproto.Incarnation{VatID: "v1", Parameters: params}); err == nil {
		t.Error("parameters that refer to nothing are taken")
	}
	check(t, c.terminate("v1"))
	given(c.cleanUpVat(deadKey(1), 100))(t)
	check(t, c.finish())
	if !c.has(gcKey("v2", dropExport) + two) {
		t.Error("the parameters of a dead vat are not let go of")
	}
}

// TestCountsUnderflow: a reference that was never counted cannot be taken back.
func TestCountsUnderflow(t *testing.T) {
	c := newTables(t)
	var broken *brokenError
	for _, kref := range []string{given(c.toKernel("v1", "o+1"))(t), given(c.addPromise("", ""))(t)} {
		if err := c.dropRef(kref); !errors.As(err, &broken) {
			t.Errorf("%s: error %v", kref, err)
		}
	}
	for _, kref := range []string{"ko99", "kp99", "kx1"} {
		if err := c.addRef(kref); !errors.As(err, &broken) {
			t.Errorf("%s: error %v", kref, err)
		}
	}
	check(t, c.addRef("kd30"))
}
