package supervisor

import (
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// ask sends a message, runs, and gives the result.
func (r *rig) ask(vatID, method string, args ...string) string {
	r.t.Helper()
	vpid := r.send(vatID, method, args...)
	r.run()
	return r.host.results[vpid]
}

func (r *rig) wantAnswer(want, vatID, method string, args ...string) {
	r.t.Helper()
	if got := r.ask(vatID, method, args...); got != want {
		r.t.Errorf("%s.%s = %q, want %q", vatID, method, got, want)
	}
}

// secondImage is a worker image on another build of the engine.
func secondImage(t *testing.T) xsnap.Image {
	t.Helper()
	dir := filepath.Join(testrig.BuildDir(t), "engine-debug")
	skipUnless(t, filepath.Join(dir, "xsnap-worker"))
	image, err := xsnap.LoadImage(filepath.Join(dir, "xsnap-worker"), filepath.Join(dir, "lockdown.bundle"), filepath.Join(dir, "supervisor.bundle"))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func nativeImage(t *testing.T) xsnap.Image {
	t.Helper()
	paths := testrig.NativeEngine(t)
	image, err := xsnap.LoadImage(paths.Engine, paths.Lockdown, paths.Supervisor)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// openAccount gives a real vat durable and ephemeral state.
func (r *rig) openAccount(vatID string) {
	r.t.Helper()
	r.host.parameters[vatID] = `#{"owner":"dana"}`
	r.create(vatID, "upgradable-v1", pipeproto.VatOptions{})
	r.wantAnswer("fulfilled #40", vatID, "deposit", "40")
	r.wantAnswer(`fulfilled #"#undefined"`, vatID, "setNote", `"soon forgotten"`)
	r.wantAnswer(`fulfilled #"soon forgotten"`, vatID, "getNote")
}

// wantAfresh: durable state is there, ephemeral state is not.
func (r *rig) wantAfresh(vatID string, version string) {
	r.t.Helper()
	r.wantAnswer("fulfilled #40", vatID, "balance")
	r.wantAnswer(`fulfilled #""`, vatID, "getNote")
	r.wantAnswer(`fulfilled #"`+version+`"`, vatID, "version")
}

func TestRealVatUpgrade(t *testing.T) {
	r := newRig(t, nil)
	r.openAccount("v1")
	_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v1"], BundleID: r.addBundle("bad-upgrade")})
	if faultOf(err) == "" {
		t.Fatalf("error %v, want the vat's fault", err)
	}
	r.wantState("v1", running, 0)
	r.wantAnswer(`fulfilled #"soon forgotten"`, "v1", "getNote")
	r.must(r.control(pipeproto.ReqPause, "v1", "test"))
	late := r.send("v1", "deposit", "0")
	r.run()
	_, err = r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v1"], BundleID: r.addBundle("upgradable-v2")})
	r.must(err)
	r.run()
	r.want(late, "fulfilled #40")
	r.wantState("v1", running, 1)
	r.wantAfresh("v1", "v2")
	r.wantAnswer("fulfilled #30", "v1", "withdraw", "10")
}

func TestRealVatSuspendAndUnsuspend(t *testing.T) {
	r := newRig(t, nil)
	r.openAccount("v1")
	r.must(r.bar("v1", "a rest"))
	st := r.wantState("v1", deliberate, 0)
	if st.SnapshotHash != "" || st.SuspendReason != "a rest" || st.LastEnd != pipeproto.ReasonSuspended {
		t.Errorf("%+v", st)
	}
	held := r.send("v1", "balance")
	r.run()
	r.reopen()
	r.want(held, "")
	r.must(r.control(pipeproto.ReqUnsuspend, "v1", ""))
	r.run()
	r.want(held, "fulfilled #40")
	r.wantState("v1", running, 1)
	r.wantAfresh("v1", "v1")
}

func TestRealVatSuspendedWakesOnDemand(t *testing.T) {
	r := newRig(t, nil)
	r.openAccount("v1")
	r.must(r.control(pipeproto.ReqSuspend, "v1", "idle"))
	st := r.wantState("v1", suspended, 0)
	if st.Online || st.SnapshotHash != "" || !st.Suspended || st.Paused {
		t.Errorf("%+v", st)
	}
	r.reopen()
	r.wantAfresh("v1", "v1")
	r.wantState("v1", running, 1)
}

func TestRealVatsRestartOnASecondEngine(t *testing.T) {
	for kind, image := range map[string]func(*testing.T) xsnap.Image{"stock": secondImage, "native": nativeImage} {
		t.Run(kind, func(t *testing.T) { restartOn(t, image(t), kind) })
	}
}

func restartOn(t *testing.T, image xsnap.Image, kind string) {
	r := newRig(t, nil)
	r.openAccount("v1")
	r.create("v2", "counter", pipeproto.VatOptions{Static: true})
	r.create("v3", "counter", pipeproto.VatOptions{})
	r.wantAnswer("fulfilled #1", "v2", "increment")
	r.wantAnswer("fulfilled #1", "v3", "increment")
	old := r.opts.Image.ID()
	r.opts.Image = image
	r.reopen()
	r.wantAnswer("fulfilled #2", "v2", "increment") // still on the old engine, beside the new one
	if st := r.wantState("v2", running, 0); st.ImageID != old || st.Engine != "stock" {
		t.Errorf("v2 runs on %s image %s", st.Engine, st.ImageID)
	}
	_, err := r.s.restartAll(pipeproto.RestartAll{Token: "second engine"})
	r.must(err)
	r.commit()
	r.wantAnswer("fulfilled #3", "v2", "increment")
	r.wantAnswer("fulfilled #1", "v2", "sinceStart")
	r.wantAfresh("v1", "v1")
	r.wantState("v3", suspended, 0)
	for _, vatID := range []string{"v1", "v2"} {
		if st := r.wantState(vatID, running, 1); st.ImageID != image.ID() || st.Engine != kind {
			t.Errorf("%s runs on %s image %s", vatID, st.Engine, st.ImageID)
		}
	}
}

func TestRealVatFaultsSuspendDeliberately(t *testing.T) {
	problems := map[string]string{
		"spin":    "Compute meter exceeded",
		"recurse": "Stack meter exceeded",
		"hog":     "Allocate meter exceeded",
	}
	for method, problem := range problems {
		t.Run(method, func(t *testing.T) {
			r := newRig(t, nil)
			r.create("v1", "spinner", pipeproto.VatOptions{})
			r.wantAnswer("fulfilled #1", "v1", "ok")
			r.ask("v1", method)
			st := r.wantState("v1", deliberate, 0)
			if !strings.Contains(st.LastError, problem) || st.Held != 1 {
				t.Errorf("last error %q, %d held", st.LastError, st.Held)
			}
			_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v1"], BundleID: r.addBundle("counter")})
			r.must(err)
			r.run() // the held delivery meets a vat that has no such method
			r.wantState("v1", running, 1)
			r.wantAnswer("fulfilled #1", "v1", "increment")
		})
	}
}

func TestRealVatThatDoesNotStart(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "throws-on-start", pipeproto.VatOptions{})
	r.send("v1", "hello")
	r.run()
	st := r.wantState("v1", deliberate, 0)
	if !strings.Contains(st.LastError, "does not want to start") || st.Held != 2 {
		t.Errorf("last error %q, %d held", st.LastError, st.Held)
	}
	before := len(r.host.events)
	r.send("v1", "hello")
	r.run()
	for _, ev := range r.host.events[before:] {
		if ev.Kind != pipeproto.VatHeld {
			t.Errorf("another attempt: %+v", ev)
		}
	}
}

func TestRealVatsRehearse(t *testing.T) {
	r := newRig(t, nil)
	r.openAccount("v1")
	r.create("v2", "throws-on-start", pipeproto.VatOptions{})
	r.run()
	r.commit()
	hash := r.s.db.ActivityHash()
	second := secondImage(t)
	reply, err := r.s.rehearse(pipeproto.Rehearse{EnginePath: second.Engine.Path})
	r.must(err)
	if len(reply.Rehearsals) != 2 || !reply.Rehearsals[0].OK || reply.Rehearsals[1].OK {
		t.Errorf("rehearsals %+v", reply.Rehearsals)
	}
	if r.s.db.ActivityHash() != hash {
		t.Error("the rehearsal changed something")
	}
	r.wantAnswer("fulfilled #40", "v1", "balance")
}

// Containment is local, as are huge pages: a vat in a sandbox does what a vat
// outside does.
func TestContainmentDoesNotShow(t *testing.T) {
	if err := xsnap.DetectSandbox().Require(); err != nil {
		t.Skipf("this kernel cannot contain workers: %v", err)
	}
	var hashes []string
	for _, policy := range []xsnap.Sandbox{xsnap.SandboxOff, xsnap.SandboxRequire} {
		r := newRig(t, func(o *Options) {
			o.Sandbox, o.HugePages, o.MaxOnline, o.CacheDir = policy, policy != xsnap.SandboxOff, 1, t.TempDir()
		})
		r.work(func(vatID string) { r.create(vatID, "counter", pipeproto.VatOptions{}) })
		hashes = append(hashes, r.s.db.ActivityHash()+"\n"+r.spanHashes())
	}
	if hashes[0] != hashes[1] {
		t.Errorf("off:\n%s\nrequire:\n%s", hashes[0], hashes[1])
	}
}
