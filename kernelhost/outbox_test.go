package kernelhost

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"vatworkerd/kernelhost/capdata"
)

// post is a device that emits what it is given and keeps who asked for answers.
type post struct {
	left   []string // what has left, as "ID at HEIGHT: DATA"
	refuse string   // an output that is not taken
}

func (p *post) device() Device {
	return Device{Name: "post", Invoke: p.invoke, Release: p.release}
}

func (p *post) invoke(call *Invocation) (capdata.CapData, error) {
	args, err := capdata.Elements(call.Args)
	if err != nil {
		return capdata.CapData{}, err
	}
	value, err := capdata.Unmarshal(args[0])
	if err != nil {
		return capdata.CapData{}, err
	}
	if call.Method == "listen" {
		call.Set("listener", value.(capdata.Ref).Kref)
		return capdata.Undefined(), nil
	}
	id, err := call.Emit(value.(string))
	return capdata.Int(id), err
}

func (p *post) release(o Output) error {
	if o.Data == p.refuse {
		return errors.New("nobody is there")
	}
	p.left = append(p.left, fmt.Sprintf("%s %d at %d: %s", o.Device, o.ID, o.Height, o.Data))
	return nil
}

// has demands what has left since the last call.
func (p *post) has(t *testing.T, want ...string) {
	t.Helper()
	if strings.Join(p.left, "\n") != strings.Join(want, "\n") {
		t.Fatalf("left %q, want %q", p.left, want)
	}
	p.left = nil
}

const postConfig = `{"bootstrap": "bootstrap", "vats": {"bootstrap": {"bundleSpec": "BUNDLES/device-user.json"}}, "devices": {"post": {}, "mute": {}}}`

func newPostRig(t *testing.T) (*realRig, *post) {
	p := &post{}
	mute := Device{Name: "mute", Invoke: p.invoke}
	r := newRealRig(t, p.device(), mute)
	r.init(postConfig)
	return r, p
}

// emit lets the vat emit, in the open block.
func (r *realRig) emit(method, text string) string {
	r.t.Helper()
	promise, err := r.k.Send(r.ctx, "bootstrap", method, "post", "emit", text)
	if err == nil {
		_, err = r.k.Run(r.ctx, Budget{KeepOpen: true})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return promise
}

func (r *realRig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Nothing leaves before its block is committed: outputs, results, testLog.
func TestNothingLeavesBeforeItsBlockIsCommitted(t *testing.T) {
	r, p := newPostRig(t)
	r.logged("devices: mute,post")
	height := r.k.Height()
	promise := r.emit("call", "lost with the block")
	p.has(t)
	if _, err := r.k.Result(promise); !errors.Is(err, ErrUnresolved) {
		t.Errorf("a result of an open block: %v", err)
	}
	r.must(r.k.Rollback(r.ctx))
	promise = r.emit("call", "first")
	again := r.emit("call", "second")
	_, err := r.k.Send(r.ctx, "bootstrap", "listen", "post")
	r.must(err)
	_, err = r.k.Run(r.ctx, Budget{KeepOpen: true})
	r.must(err)
	r.logged()
	p.has(t)
	r.must(r.k.Commit(r.ctx))
	p.has(t, fmt.Sprintf("post 1 at %d: first", height+1), fmt.Sprintf("post 2 at %d: second", height+1))
	r.logged("told before")
	for want, promise := range map[any]string{1.0: promise, 2.0: again} {
		got, err := r.k.Result(promise)
		r.must(err)
		r.equal(got, want)
	}
	r.fails(`device "mute" cannot emit`, "call", "mute", "emit", "x")
	r.must(r.k.Commit(r.ctx))
	p.has(t)
}

// What an undone crank emitted never was; its ID is given again.
func TestUndoneCranksEmitNothing(t *testing.T) {
	r, p := newPostRig(t)
	r.emit("callInVain", "in vain")
	r.must(r.k.Commit(r.ctx))
	p.has(t)
	if got := r.state("bootstrap"); got != "deliberately-suspended" {
		t.Fatalf("the vat is %s", got)
	}
	if waiting, err := r.k.Outputs(); err != nil || len(waiting) != 0 {
		t.Errorf("outputs %v, %v", waiting, err)
	}
	r.must(r.k.Input(r.ctx, "post", func(call *Invocation) error {
		id, err := call.Emit("by the device itself")
		if id != 1 {
			t.Errorf("its ID is %d", id)
		}
		return err
	}))
	p.has(t)
	r.must(r.k.Commit(r.ctx))
	p.has(t, fmt.Sprintf("post 1 at %d: by the device itself", r.k.Height()))
}

// What a device does not take stays, with all behind it, and comes again: after
// the next block, and when the kernel is opened.
func TestOutputsThatAreNotTakenComeAgain(t *testing.T) {
	r, p := newPostRig(t)
	p.refuse = "two"
	height := r.k.Height()
	for _, text := range []string{"one", "two", "three"} {
		r.emit("call", text)
	}
	r.must(r.k.Commit(r.ctx))
	p.has(t, fmt.Sprintf("post 1 at %d: one", height+1))
	r.emit("call", "four")
	r.must(r.k.Commit(r.ctx))
	p.has(t)
	waiting, err := r.k.Outputs()
	r.must(err)
	r.equal(waiting, []Output{{"post", 2, height + 1, "two"}, {"post", 3, height + 1, "three"}, {"post", 4, height + 2, "four"}})
	r.must(r.k.Close())
	r.open()
	p.has(t)
	p.refuse = ""
	r.must(r.k.Close())
	r.open()
	p.has(t, fmt.Sprintf("post 2 at %d: two", height+1), fmt.Sprintf("post 3 at %d: three", height+1), fmt.Sprintf("post 4 at %d: four", height+2))
	r.must(r.k.Close())
	r.open()
	p.has(t)
}

// What a device brings in is part of the open block.
func TestInputBelongsToTheBlock(t *testing.T) {
	r, p := newPostRig(t)
	r.logged("devices: mute,post")
	r.ask("listen", "post")
	r.logged("told before")
	tell := func(text string) error {
		return r.k.Input(r.ctx, "post", func(call *Invocation) error {
			call.Set("last", text)
			listener, _ := call.Get("listener")
			return call.SendOnly(listener, "tell", text)
		})
	}
	last := func(want string) {
		t.Helper()
		r.must(r.k.Input(r.ctx, "post", func(call *Invocation) error {
			got, _ := call.Get("last")
			r.equal(got, want)
			return nil
		}))
	}
	r.must(tell("undone"))
	r.must(r.k.Rollback(r.ctx))
	last("")
	r.must(tell("kept"))
	r.run()
	r.logged("told kept")
	refused := errors.New("refused")
	err := r.k.Input(r.ctx, "post", func(call *Invocation) error {
		call.Set("last", "refused")
		_, err := call.Emit("refused")
		return errors.Join(err, refused)
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	last("kept")
	r.run()
	r.logged()
	p.has(t)
	var unknown *UnknownDeviceError
	if err := r.k.Input(r.ctx, "nobody", nil); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}
