package xsnap

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// machineScripts are for a fresh machine, without lockdown and a supervisor:
// what vats cannot reach, but the engine's main program decides.
var machineScripts = []string{
	`1 + 1`,
	`print("a", 1, 2.5, null, undefined, Symbol.iterator.description, [1, [2]], {}, "é漢😀")`,
	`print(Object.getOwnPropertyNames(globalThis).join())`,
	`print(typeof performance.now(), currentMeterLimit(), resetMeter.length, setImmediate.length, issueCommand.name)`,
	`resetMeter(0, 5); globalThis.meter = currentMeterLimit()`,
	`resetMeter(1)`,
	`issueCommand()`,
	`issueCommand("text")`,
	`throw 5`,
	`throw undefined`,
	`throw null`,
	`throw Error("höi " + "x".repeat(300))`,
	`throw { toString() { return "an object" } }`,
	`throw { toString() { throw 1 } }`,
	`setImmediate()`,
	`setImmediate(() => { throw Error("nobody catches") })`,
	`({ result: new ArrayBuffer(3) })`,
	`({ get result() { throw Error("no result") } })`,
	`new Proxy({}, { has() { throw Error("no has") } })`,
	`new ArrayBuffer(7)`,
	`let let = 1`,
	`"unterminated`,
	`setImmediate(x => print("immediate", x), 1, "argument"); Promise.resolve().then(() => print("job"))`,
	`setImmediate(() => { print(1); setImmediate(() => print(3)); Promise.resolve().then(() => print(2)); }); setImmediate(() => print(4))`,
	`globalThis.timers = []; for (let i = 0; i < 40; i++) setImmediate(() => timers.push(i)); gc()`,
	`timers.join()`,
	`Promise.reject(Error("nobody"))`,
	`globalThis.console = { error: (...args) => print("console", ...args) }; Promise.reject(Error("nobody"))`,
	`Promise.reject({ toString: () => "rejected" }); setImmediate(() => Promise.reject(2))`,
	`Promise.reject(1).catch(e => print("caught", e))`,
	`new FinalizationRegistry(x => print("finalized", x)).register({}, 5); gc()`,
	`globalThis.registry = new FinalizationRegistry(x => print("finalized", x)); for (let i = 0; i < 9; i++) registry.register({}, i); gc(); gc()`,
	`globalThis.weak = new WeakRef({ a: 1 }); print(typeof weak.deref())`,
	`gc(); print(typeof weak.deref())`,
	`print(new TextDecoder().decode(new TextEncoder().encode("é漢😀\ud800")), new TextDecoder("utf-8", { fatal: true }).fatal)`,
	`print(Base64.encode(new Uint8Array([1, 2, 3, 250]).buffer), new Uint8Array(Base64.decode("AQID")).join())`,
	`harden({ a: [1, { b: 2 }] }).a[1].b = 3`,
	`"use strict"; harden({ a: [1, { b: 2 }] }).a[1].b = 3`,
	`import("./missing.js").then(print, e => print("import", e))`,
	`import("/etc/passwd").then(print, e => print("import", e))`,
	`import("../up.js").catch(e => print("import", e.message))`,
	`import("x".repeat(5000)).catch(e => print("import", e.message))`,
	`new Compartment({ print }).import("inner").then(print, e => print("import", e.message))`,
	`const c = new Compartment({ print }); print(c.evaluate("1 + 2"), c.globalThis === globalThis)`,
	`handleCommand`,
	`globalThis.handleCommand = command => { const ask = new Uint8Array(issueCommand(command)); return { result: ask.reverse().buffer } }`,
	`Object.freeze(globalThis); undeclared = 1`,
	`for (const f of [() => new RegExp("((("), () => TextDecoder(), () => new TextDecoder("klingon"), () => Base64.decode("%%"), () => Base64.encode(5), () => new TextEncoder().encodeInto(),
  () => harden(null), () => new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([255])), () => gc.x.y,
  () => Reflect.construct(issueCommand, []), () => new print(), () => resetMeter(), () => issueCommand.call(1, 2), () => [1].map(issueCommand),
  () => Object.getOwnPropertyDescriptor(TextDecoder.prototype, "fatal").get.call({})]) { try { print(f()) } catch (e) { print(e.name, e.message, e.stack) } }`,
	`JSON.parse("[".repeat(100) + "]".repeat(100)).length`,
	`/(a+)+b/.exec("a".repeat(18) + "c")`,
	`print(new Date(0).toString(), new Date(1e12).getHours(), new Date(2020, 6, 1).toISOString(), new Date(1e12).getTimezoneOffset())`,
	`for (const i of Array(300000).keys()) globalThis["key" + i % 9000] = Symbol("k" + i)`,
	`gc()`,
}

// TestSameMachine compares what the engines' main programs do, one script after
// the other on the same machines, what they print, and the heaps in the end.
func TestSameMachine(t *testing.T) {
	stock, native := newMachine(t, newRig(t).contained(SandboxAuto)), newMachine(t, nativeRig(t).contained(SandboxAuto))
	compareMachines(t, stock, native)
	// Only in what a log says of a result that cannot be read they have their own words.
	want := strings.ReplaceAll(stock.output(), "e computing response 10 0:", "cannot read the result")
	if got := native.output(); got != want || !strings.Contains(want, "caught 1") {
		t.Errorf("stock printed\n%s\nnative\n%s", want, got)
	}
}

// compareMachines has two machines do the same.
func compareMachines(t *testing.T, a, b *machine) {
	t.Helper()
	for _, script := range machineScripts {
		if want, got := a.tell(cmdEvaluate, script), b.tell(cmdEvaluate, script); got != want {
			t.Errorf("%s\none   %s\nother %s", script, want, got)
		}
	}
	for _, command := range []string{"", "x", strings.Repeat("long ", 100_000)} {
		if want, got := a.tell(cmdHandle, command), b.tell(cmdHandle, command); got != want {
			t.Errorf("command of %d bytes\none   %.200s\nother %.200s", len(command), want, got)
		}
	}
	if !bytes.Equal(snapshotOf(t, a.w), snapshotOf(t, b.w)) {
		t.Error("the heaps differ")
	}
}

// machine is a fresh machine, and after its end another one.
type machine struct {
	t      *testing.T
	rig    *rig
	w      *Worker
	stdout lines
	stderr lines
}

func newMachine(t *testing.T, r *rig) *machine {
	m := &machine{t: t, rig: r}
	m.restart()
	return m
}

func (m *machine) restart() {
	m.w = m.rig.start(StartOptions{MeterLimit: DefaultMeterLimit, Sink: m.take})
	if err := m.w.Ready(); err != nil {
		m.t.Fatal(err)
	}
}

// tell gives the machine a command, answers its upcalls with what they hold,
// and returns all that was said.
func (m *machine) tell(c command, content string) (said string) {
	m.t.Helper()
	err := m.w.wire.send(c, []byte(content))
	for err == nil {
		var msg wireMessage
		if msg, err = m.w.wire.receive(); err != nil {
			break
		}
		said += fmt.Sprintf("%v %q ", msg.kind, msg.body)
		if msg.meter != nil {
			said += fmt.Sprintf("%+v ", *msg.meter)
		}
		if msg.kind != msgUpcall {
			return said
		}
		err = m.w.wire.answer(bytes.Clone(msg.body))
	}
	<-m.w.Exited()
	said += fmt.Sprintf("%v, exit code %d", err, m.w.proc.status.ExitStatus())
	m.restart()
	return said
}

// output is what was printed in all, once the machine has ended.
func (m *machine) output() string {
	if err := m.w.Close(); err != nil {
		m.t.Error(err)
	}
	return m.stdout.text() + "\n" + m.stderr.text()
}

// take keeps the streams apart: nothing orders what comes on one and on the other.
func (m *machine) take(stream, line string) {
	if stream == "stdout" {
		m.stdout.take(stream, line)
		return
	}
	m.stderr.take(stream, line)
}
