package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vatworkerd/supervisor"
)

// recording is `frames record` in the background.
type recording struct {
	cmd    *exec.Cmd
	stdout lockedBuffer
	stderr lockedBuffer
}

func (r *rig) record(args ...string) *recording {
	r.t.Helper()
	rec := &recording{cmd: r.command(append([]string{"frames", "record", "--db", "db"}, args...)...)}
	rec.cmd.Stdout, rec.cmd.Stderr = &rec.stdout, &rec.stderr
	if err := rec.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = rec.cmd.Process.Kill() })
	eventually(r.t, "recording", func() bool { return strings.Contains(rec.stderr.String(), "recording to") })
	return rec
}

// end is Ctrl-C.
func (rec *recording) end(t *testing.T) string {
	t.Helper()
	if err := rec.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := rec.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, rec.stderr.String())
	}
	return rec.stdout.String()
}

// whats lists what went on in a recording, by direction.
func (r *rig) whats(path string) (doc framesDoc, whats []string) {
	r.t.Helper()
	r.json(&doc, "frames", "show", path)
	for _, f := range doc.Frames {
		whats = append(whats, f.Direction+" "+f.What)
	}
	return doc, whats
}

func TestFramesRecord(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	s := &staying{rig: r}
	s.start()
	rec := r.record("bob", "--out", "recording")
	if out := r.run("frames", "record", "bob", "--db", "db", "--out", "second"); out.code != exitFailed || !strings.Contains(out.stderr, "being recorded already") {
		t.Errorf("exit code %d: %s", out.code, out.stderr)
	}
	r.ok("send", "bob", "print", `"log"`, `"one\u202e"`, "--db", "db")
	r.ok("send", "alice", "print", `"log"`, `"two"`, "--db", "db")
	if out := rec.end(t); !strings.HasPrefix(out, "recorded ") || !strings.Contains(out, filepath.Join(r.dir, "recording")) {
		t.Errorf("%q", out)
	}
	doc, whats := r.whats("recording")
	text := strings.Join(whats, ",")
	if !strings.HasPrefix(text, "to deliver,from issueCommand,to answer,") || !strings.HasSuffix(text, "from reply") || doc.End == nil || doc.Crash != nil {
		t.Errorf("%s, end %v", text, doc.End)
	}
	for _, f := range doc.Frames {
		if f.Worker != "v3:bob" || strings.Contains(f.Content, "two") || f.Kept != f.Size {
			t.Errorf("%+v", f)
		}
	}
	out := r.ok("frames", "show", "recording", "--full").stdout
	if !strings.Contains(out, `one\u202e`) || strings.Contains(out, "\u202e") || !strings.Contains(out, "→") {
		t.Errorf("shown is %s", out)
	}
	// A vat that is paged in is recorded from its heap on, and one that nobody
	// waits for ends by itself.
	var ended recordDoc
	r.json(&ended, "frames", "record", "alice", "--db", "db", "--out", "short", "--for", "1ms")
	if ended.Path != filepath.Join(r.dir, "short") || ended.Full {
		t.Errorf("%+v", ended)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"record", "carol"}, exitUsage, "there is no vat"},
		{[]string{"record", "bob", "--out", "recording"}, exitUsage, "cannot use --out recording: file exists\nhint: name a file"},
		{[]string{"record", "bob", "--out", "nowhere/recording"}, exitUsage, "cannot use --out nowhere/recording: no such file or directory\nhint: name a file"},
		{[]string{"record", "bob", "--bytes", "off"}, exitUsage, "cannot record"},
		{[]string{"record"}, exitUsage, "needs vats"},
	} {
		args := append(append([]string{"frames"}, c.args...), "--db", "db")
		if out := r.run(args...); out.code != c.code || !strings.Contains(out.stderr, c.want) {
			t.Errorf("%q: exit code %d: %s", args, out.code, out.stderr)
		}
	}
}

// A worker that dies leaves its last frames, which list and show find.
func TestFramesOfACrash(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	s := &staying{rig: r}
	s.start()
	for _, w := range r.status().Daemon.Live.Workers {
		if w.Name == "bob" {
			if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.ok("send", "bob", "print", `"log"`, `"unheard"`, "--db", "db")
	var list []supervisor.SavedCrash
	r.json(&list, "frames", "list", "--db", "db")
	if len(list) != 1 || list[0].Name != "bob" || list[0].Doing != supervisor.DoingDelivery {
		t.Fatalf("%+v", list)
	}
	if out := r.ok("frames", "list", "--db", "db").stdout; !strings.Contains(out, "signal 9 (killed)") || !strings.Contains(out, list[0].Path) {
		t.Errorf("list is %s", out)
	}
	doc, whats := r.whats(list[0].Path)
	if doc.Crash == nil || len(whats) == 0 || whats[len(whats)-1] != "to deliver" || !strings.Contains(doc.Frames[len(whats)-1].Content, "unheard") {
		t.Errorf("%+v", doc)
	}
	if out := r.ok("frames", "show", list[0].Path).stdout; !strings.HasPrefix(out, "v3 bob, pid ") || !strings.Contains(out, "signal 9") {
		t.Errorf("shown is %s", out)
	}
	if err := os.Remove(filepath.Join(r.dir, list[0].Path, supervisor.CrashFile)); err != nil {
		t.Fatal(err)
	}
	if out := r.run("frames", "show", list[0].Path); out.code != exitUsage || !strings.Contains(out.stderr, "is no crash") {
		t.Errorf("exit code %d: %s", out.code, out.stderr)
	}
}
