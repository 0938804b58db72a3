package kernelhost

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/store"
)

// fuzzDB holds a kernel with two vats: v1 has o+0, o-50 (v2's root), p-60 (it
// decides), p-61 (v2 does), p-62 (resolved); exports o+1 (v2 reaches it), o+2
// (v2 recognizes it) and o+3 (dropped); imports o-51 that it can only recognize.
func fuzzDB(f *testing.F) *store.DB {
	db, err := store.Open(filepath.Join(f.TempDir(), "host.sqlite"), store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	kv, err := db.BeginCrank()
	if err != nil {
		f.Fatal(err)
	}
	c := newCrank(kv)
	c.create()
	must := func(s string, err error) string {
		if err != nil {
			f.Fatal(err)
		}
		return s
	}
	v1, v2 := must(c.addVat("a", vatOptions{})), must(c.addVat("b", vatOptions{}))
	must(c.rootOf(v1))
	must(c.toVat(v1, must(c.rootOf(v2))))
	mine, theirs, done := must(c.addPromise("", "")), must(c.addPromise("", "")), must(c.addPromise("", ""))
	for _, kpid := range []string{mine, theirs, done} {
		must(c.toVat(v1, kpid))
		must(c.toVat(v2, kpid))
	}
	c.setDecider(mine, v1)
	c.setDecider(theirs, v2)
	if err := c.resolve("", []resolution{{kpid: done, data: capdata.CapData{Body: "#1", Slots: []string{}}}}); err != nil {
		f.Fatal(err)
	}
	for _, kpid := range []string{mine, theirs} {
		check(f, c.pin(kpid))
	}
	for _, kref := range []string{must(c.rootOf(v1)), must(c.rootOf(v2))} {
		check(f, c.pin(kref))
	}
	reached, recognized := must(c.toKernel(v1, "o+1")), must(c.toKernel(v1, "o+2"))
	must(c.toVat(v2, reached))
	_, err = c.perform(v2, [][]byte{fmt.Appendf(nil, `["dropImports",[%q]]`, must(c.toVat(v2, recognized)))})
	check(f, err)
	_, err = c.perform(v1, [][]byte{fmt.Appendf(nil, `["dropImports",[%q]]`, must(c.toVat(v1, must(c.toKernel(v2, "o+5")))))})
	check(f, err)
	check(f, c.finish())
	for _, vatID := range []string{v1, v2} {
		if _, err := c.deliverGC(vatID); err != nil {
			f.Fatal(err)
		}
	}
	c.items = nil
	if _, _, err := c.commit(); err != nil {
		f.Fatal(err)
	}
	return db
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// auditOf counts a crank's tables afresh, with the items it would enqueue.
func auditOf(c *crank, before []fakeItem) error {
	kv := map[string]string{}
	for key, ok := c.kv.NextKey("", ""); ok; key, ok = c.kv.NextKey(key, "") {
		kv[key], _ = c.kv.Get(key)
	}
	items := before
	for _, item := range c.items {
		items = append(items, fakeItem{Item: item})
	}
	return auditTables(kv, items)
}

// FuzzSyscalls: whatever a vat says is either legal, and leaves tables that
// agree, or an illegal syscall; it never looks like a fault of the kernel's.
func FuzzSyscalls(f *testing.F) {
	for _, seed := range []string{
		`["send","o-50",{"methargs":{"body":"#[\"m\",[\"$0\"]]","slots":["o+3","p+9"]},"result":"p+5"}]`,
		`["send","p+5",{"methargs":{"body":"#[]","slots":[]},"result":null}]` + "\n" + `["resolve",[["p+5",false,{"body":"#\"$0.x\"","slots":["o+d1/2:3"]}]]]`,
		`["resolve",[["p-60",true,{"body":"#0","slots":["p-61","p-62"]}],["p-60",false,{"body":"#0","slots":[]}]]]`,
		`["resolve",[["p-61",false,{"body":"#0","slots":[]}]]]`,
		`["resolve",[["p-60",false,{"body":"#\"&0\"","slots":["p-61"]}]]]`,
		`["subscribe","p-62"]` + "\n" + `["subscribe","p-61"]` + "\n" + `["subscribe","o-50"]`,
		`["exit",true,{"body":"#{\"#error\":\"x\"}","slots":[]}]`,
		`["dropImports",["o-50"]]` + "\n" + `["retireImports",["o-50"]]`,
		`["dropImports",["o-51"]]` + "\n" + `["retireImports",["o-51"]]` + "\n" + `["retireImports",["o-51"]]`,
		`["retireExports",["o+2"]]` + "\n" + `["send","o-50",{"methargs":{"body":"#[]","slots":["o+2","o+1"]},"result":"p+4"}]`,
		`["abandonExports",["o+1","o+2"]]` + "\n" + `["resolve",[["p-60",false,{"body":"#[]","slots":["o-50","o+1","o+1"]}]]]`,
		`["dropImports",["o-50"]]` + "\n" + `["retireImports",["o-50","o-51"]]` + "\n" + `["send","p-62",{"methargs":{"body":"#[]","slots":["o+9"]}}]`,
		`["retireExports",["o+1"]]`, `["dropImports",["o+1"]]`, `["retireImports",["o-99"]]`, `["abandonExports",["o-50"]]`, `["dropImports",["p-60"]]`,
		`["retireExports",["o+0"]]` + "\n" + `["abandonExports",["o+0",null]]`,
		`["send","d-70",{"methargs":{"body":"","slots":[]}}]`, `[]`, `{}`, `[7]`, `["send"]`, `["exit",1,2]`, `["abandonExports",["o+0"]]`,
	} {
		f.Add(seed)
	}
	db := fuzzDB(f)
	f.Fuzz(func(t *testing.T, text string) {
		kv, err := db.BeginCrank()
		if err != nil {
			t.Fatal(err)
		}
		defer kv.Abort()
		c := newCrank(kv)
		var syscalls [][]byte
		for line := range strings.SplitSeq(text, "\n") {
			syscalls = append(syscalls, []byte(line))
		}
		_, err = c.perform("v1", syscalls)
		var illegal *illegalError
		if err != nil {
			if !errors.As(err, &illegal) {
				t.Fatalf("not the vat's fault: %v", err)
			}
			return
		}
		if err := c.finish(); err != nil {
			t.Fatalf("routing: %v", err)
		}
		if err := auditOf(c, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzVref: what is taken for a vref is one that its parts spell again.
func FuzzVref(f *testing.F) {
	for _, seed := range []string{"o+0", "o-50", "p+5", "d-70", "o+d1/2", "o+v10/3:1", "o+d7", "", "o", "o+", "o+d/", "x+1", "o+01", "p+d1/2", "o-v1/2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, vref string) {
		if _, err := parseVref(vref); err != nil {
			return
		}
		if strings.Trim(vref, "opdv+-/:0123456789") != "" {
			t.Fatalf("%q is no vref", vref)
		}
	})
}

// FuzzEvent: a payload never panics, and what is read is written again.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(event{Type: eventSend, Target: "ko20", Msg: message{Methargs: capdata.CapData{Body: "#[]", Slots: []string{"kp40"}}, Result: "kp41"}}.encode()))
	f.Add([]byte(event{Type: eventNotify, KPID: "kp40"}.encode()))
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := decodeEvent(payload)
		if err != nil {
			return
		}
		if _, err := decodeEvent(e.encode()); err != nil && e.Type == eventSend {
			t.Fatal(err)
		}
	})
}
