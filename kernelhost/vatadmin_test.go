package kernelhost

import (
	"math/big"
	"strings"
	"testing"
)

const adminConfig = `{"bootstrap": "bootstrap", "defaultReapInterval": "never",
 "bundles": {"child": {"bundleSpec": "BUNDLES/admin-child.json"}, "v1": {"bundleSpec": "BUNDLES/upgradable-v1.json"},
  "v2": {"bundleSpec": "BUNDLES/upgradable-v2.json"}, "bad": {"bundleSpec": "BUNDLES/bad-upgrade.json"},
  "bad-start": {"bundleSpec": "BUNDLES/throws-on-start.json"}},
 "vats": {"bootstrap": {"bundleSpec": "BUNDLES/admin-bootstrap.json"}}}`

func newAdminRig(t *testing.T) *realRig {
	r := newRealRig(t)
	r.init(adminConfig)
	r.logged("vats: bootstrap,vatAdmin; devices: vatAdmin")
	return r
}

func record(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func TestVatAdminCreate(t *testing.T) {
	r := newAdminRig(t)
	r.equal(r.ask("create", "ann", "child", record("name", "ann")), "created")
	r.equal(r.ask("call", "ann", "hello", "bob"), "hello bob from ann")
	r.equal(r.ask("createByName", "bea", "child"), "created")
	r.equal(r.ask("call", "bea", "count"), 1.0)
	r.equal(r.ask("bundleIDs", "child"), []any{true, true})
	r.fails("Vat Creation Error: Error: Error: vat-admin says no", "create", "cid", "child", record("failStart", "vat-admin says no"))
	r.fails("unregistered bundle name 'none'", "noBundle", "none")
	r.fails(`unknown options "wrong"`, "createByName", "dan", "child", record("wrong", true))
	r.fails("createVat() requires a bundlecap", "createWith", record("a", 1), record())
	// Of the vat that could not start nothing is left but its number.
	st, err := r.k.Status(r.ctx, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range st.Vats {
		names = append(names, v.VatID+" "+v.Name)
	}
	r.equal(strings.Join(names, ", "), "v1 bootstrap, v2 vatAdmin, v3 ann, v4 bea")
	r.equal(r.ask("createByName", "eve", "child"), "created")
	r.equal(r.state("v6"), "running")
	r.audit()
}

// TestVatAdminReferences: parameters, reasons and last words carry references,
// which are counted while they wait.
func TestVatAdminReferences(t *testing.T) {
	r := newAdminRig(t)
	r.ask("create", "ann", "child", record("name", "ann"))
	r.ask("createFriend", "bea", "child", "ann")
	r.equal(r.ask("call", "bea", "callParameter", "hello"), "hello the child from ann")
	r.audit()
	r.fails("Vat Creation Error", "createFriend", "cid", "bad-start", "ann")
	r.audit()
	r.ask("upgradeFriend", "bea", "child", "ann")
	r.equal(r.ask("call", "bea", "callParameter", "count"), 1.0)
	r.ask("done", "bea")
	r.ask("exitWithThing", "bea", true)
	r.logged("bea done rejected: Error: {\"thing\":{\"@slot\":\"object\",\"iface\":\"Alleged: thing\"}}")
	r.ask("done", "ann")
	r.ask("exitWithThing", "ann", false)
	r.logged("ann done fulfilled: {\"thing\":{}}")
	r.audit()
}

// TestVatAdminCritical: the end of a critical vat is a panic, and no block has it.
func TestVatAdminCritical(t *testing.T) {
	r := newAdminRig(t)
	r.fails("invalid criticalVatKey", "createByName", "ann", "child", record("critical", true))
	r.ask("createCritical", "ann", "child")
	height := r.k.Height()
	promise, err := r.k.Send(r.ctx, "bootstrap", "terminate", "ann", "by mistake")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.k.Await(r.ctx, promise, Budget{}); !IsPanic(err) {
		t.Fatalf("got %v, want a panic", err)
	}
	r.equal(r.k.Height(), height)
}

func TestVatAdminEnds(t *testing.T) {
	r := newAdminRig(t)
	for _, name := range []string{"ann", "bea", "cid", "dan"} {
		r.ask("createByName", name, "child")
		r.ask("done", name)
		r.ask("callLater", name, "never")
	}
	r.equal(r.ask("call", "ann", "exit", "bye"), "last words")
	r.logged("ann.never rejected: Error: vat terminated", `ann done fulfilled: "bye"`)
	r.fails("vat terminated", "call", "bea", "exitWithFailure", "oh no")
	r.logged("bea.never rejected: Error: vat terminated", "bea done rejected: Error: oh no")
	r.ask("terminate", "cid", "enough")
	r.logged("cid.never rejected: Error: vat terminated", "cid done rejected: Error: enough")
	r.fails(`rejecting attempt to perform "terminateWithFailure"() on non-running vat "v5"`, "terminate", "cid", "again")
	r.fails(`rejecting attempt to perform "done"() on non-running vat`, "control", "ann", "done")
	r.fails("vat terminated", "call", "cid", "hello", "you")
	r.equal(r.state("v3")+r.state("v4")+r.state("v5")+r.state("v6"), "terminatedterminatedterminatedrunning")
	// A vat that is terminated from outside: who waits for it hears of it too.
	if _, err := r.k.Terminate(r.ctx, "v6", "by the operator"); err != nil {
		t.Fatal(err)
	}
	r.run()
	r.logged("dan.never rejected: Error: vat terminated", "dan done rejected: Error: by the operator")
	r.audit()
}

func TestVatAdminUpgrade(t *testing.T) {
	r := newAdminRig(t)
	r.ask("create", "ann", "v1", record("owner", "ann"))
	r.equal(r.ask("call", "ann", "version"), "v1")
	r.equal(r.ask("call", "ann", "deposit", 5), 5.0)
	r.ask("call", "ann", "setNote", "gone after an upgrade")
	r.ask("watch", "ann")
	r.logged("ann is running, incarnation 0")
	// Succeeds: durable state stays, ephemeral state goes.
	r.equal(r.ask("upgrade", "ann", "v2", record("vatParameters", record("owner", "new"), "upgradeMessage", "to v2")), record("incarnationNumber", 1.0))
	r.equal(r.ask("call", "ann", "version"), "v2")
	r.equal(r.ask("call", "ann", "withdraw", 2), 3.0)
	r.equal(r.ask("call", "ann", "getNote"), "")
	r.equal(r.ask("call", "ann", "parameters"), record("owner", "new"))
	r.logged("ann is running, incarnation 1")
	// Fails: the old incarnation serves on.
	r.fails("vat-upgrade failure", "upgrade", "ann", "bad")
	r.equal(r.ask("call", "ann", "balance"), 3.0)
	r.equal(r.ask("call", "ann", "version"), "v2")
	r.logged()
	// Promises of the old incarnation are disconnected.
	r.ask("create", "bea", "child", record())
	r.ask("callLater", "bea", "never")
	r.equal(r.ask("upgrade", "bea", "child"), record("incarnationNumber", 1.0))
	r.logged(`bea.never rejected: {"incarnationNumber":0,"name":"vatUpgraded","upgradeMessage":"vat upgraded"}`)
	r.fails(`unknown options: "wrong"`, "upgrade", "bea", "child", record("wrong", 1))
	r.audit()
}

func TestVatAdminControls(t *testing.T) {
	r := newAdminRig(t)
	r.ask("create", "ann", "child", record("name", "ann"))
	r.ask("watch", "ann")
	r.ask("control", "ann", "pause", "for a while")
	r.ask("callLater", "ann", "hello", "you")
	r.equal(r.ask("control", "ann", "getStatus"), record("state", "paused", "paused", true, "suspended", false, "incarnationNumber", 0.0, "reason", "for a while"))
	r.logged("ann is running, incarnation 0", "ann is paused, incarnation 0")
	r.ask("control", "ann", "resume")
	r.logged(`ann.hello fulfilled: "hello you from ann"`, "ann is running, incarnation 0")
	r.equal(r.ask("call", "ann", "count"), 1.0)
	// Suspension ends the incarnation; the durable state stays.
	r.ask("callLater", "ann", "never")
	r.ask("control", "ann", "suspendDeliberately", "to be repaired")
	r.ask("callLater", "ann", "count")
	r.logged(`ann.never rejected: {"incarnationNumber":0,"name":"vatUpgraded","upgradeMessage":"to be repaired"}`,
		"ann is deliberately-suspended, incarnation 0")
	r.fails("deliberately suspended; upgrade or unsuspend it", "control", "ann", "resume")
	r.ask("control", "ann", "unsuspend")
	r.logged("ann.count fulfilled: 2", "ann is running, incarnation 1")
	// A vat that is merely suspended is started by the next delivery.
	r.ask("control", "ann", "suspend")
	r.equal(r.state("v3"), "suspended")
	r.equal(r.ask("call", "ann", "count"), 3.0)
	r.logged("ann is suspended, incarnation 1", "ann is running, incarnation 2")
	// An upgrade clears both flags.
	r.ask("control", "ann", "suspendDeliberately")
	r.ask("callLater", "ann", "count")
	r.equal(r.ask("upgrade", "ann", "child"), record("incarnationNumber", 3.0))
	r.logged("ann is deliberately-suspended, incarnation 2", "ann.count fulfilled: 4", "ann is running, incarnation 3")
	// A deliberately suspended vat whose startVat fails stays so.
	r.ask("control", "ann", "suspendDeliberately")
	r.fails("vat-upgrade failure", "upgrade", "ann", "child", record("vatParameters", record("failStart", "no")))
	r.equal(r.state("v3"), "deliberately-suspended")
	r.ask("terminate", "ann", "enough")
	r.equal(r.state("v3"), "terminated")
	r.logged("ann is deliberately-suspended, incarnation 3", "ann is terminated, incarnation 3")
	r.audit()
}

// TestVatAdminRestart: what the vat-admin vat gives out outlives restart-all.
func TestVatAdminRestart(t *testing.T) {
	r := newAdminRig(t)
	r.ask("create", "ann", "child", record("name", "ann"))
	r.equal(r.ask("call", "ann", "count"), 1.0)
	if _, err := r.k.RestartAll(r.ctx, "token"); err != nil {
		t.Fatal(err)
	}
	if err := r.k.Commit(r.ctx); err != nil {
		t.Fatal(err)
	}
	r.equal(r.state("v3"), "suspended")
	// The bootstrap vat has forgotten: what it kept was not durable. It can ask
	// for the service again, and gets the same.
	r.run()
	r.audit()
}

func TestMeters(t *testing.T) {
	r := newAdminRig(t)
	r.ask("createMeter", "m", big.NewInt(100_000_000), big.NewInt(50_000_000))
	r.ask("create", "ann", "child", record("name", "ann"), "m")
	r.ask("create", "bea", "child", record("name", "bea"), "m")
	remaining := func() int64 {
		return r.ask("meter", "m", "get").(map[string]any)["remaining"].(*big.Int).Int64()
	}
	before := remaining()
	if before >= 100_000_000 {
		t.Fatalf("startVat has cost nothing: %d", before)
	}
	r.ask("watchMeter", "m")
	r.equal(r.ask("call", "ann", "hello", "x"), "hello x from ann")
	after := remaining()
	if after >= before {
		t.Fatalf("a delivery has cost nothing: %d, then %d", before, after)
	}
	r.ask("meter", "m", "setThreshold", big.NewInt(after))
	r.ask("call", "bea", "count")
	r.logged(`meter m fulfilled: "bigint"`)
	// A meter for a vat alone that lasts for its start and little more.
	r.ask("createMeter", "small", big.NewInt(60_000_000), big.NewInt(0))
	r.ask("create", "cid", "child", record("name", "cid"), "small")
	r.ask("callLater", "cid", "work", 4_000_000)
	r.ask("callLater", "cid", "hello", "x")
	r.equal(r.state("v5"), "paused")
	r.logged()
	r.equal(strings.HasPrefix(r.ask("control", "cid", "getStatus").(map[string]any)["reason"].(string), "meter overrun"), true)
	r.ask("meter", "small", "addRemaining", big.NewInt(1_000_000_000))
	r.ask("control", "cid", "resume")
	r.logged("cid.work fulfilled: 7999998000000", `cid.hello fulfilled: "hello x from cid"`)
	// A meter that does not last for startVat.
	r.ask("createMeter", "tiny", big.NewInt(10), big.NewInt(0))
	r.fails("Vat Creation Error: Error: meter overrun", "create", "dan", "child", record(), "tiny")
	r.ask("createUnlimitedMeter", "all")
	r.ask("create", "eve", "child", record(), "all")
	r.equal(r.ask("meter", "all", "get"), record("remaining", "unlimited", "threshold", big.NewInt(0)))
}

func TestWaitForBundle(t *testing.T) {
	r := newAdminRig(t)
	cfg, err := parseConfig(t, `{"bundles": {"x": {"bundleSpec": "BUNDLES/echo.json"}}, "vats": {"a": {"bundleName": "x"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	id := cfg.NamedBundles["x"]
	r.ask("waitFor", id)
	r.logged()
	if err := r.k.AddBundle(r.ctx, id, "echo", cfg.Bundles[id]); err != nil {
		t.Fatal(err)
	}
	r.run()
	r.logged(`waitForBundleCap fulfilled: "arrived"`)
	r.equal(r.ask("createByName", "ann", "echo"), "created")
}
