package xsnap

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkRoundTrip measures one syscall of a real vat, on the stock engine and
// on the native one, and beside it the least any pipe can do: one byte to
// another process and back.
func BenchmarkRoundTrip(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, pinned := range []bool{false, true} {
		name := "free"
		if pinned {
			name = "pinned"
		}
		b.Run("syscall/"+name, func(b *testing.B) { benchSyscalls(b, newRig(b), pinned) })
		b.Run("native/"+name, func(b *testing.B) { benchSyscalls(b, nativeRig(b), pinned) })
		b.Run("pipe/"+name, func(b *testing.B) { benchPipe(b, pinned) })
	}
}

func benchSyscalls(b *testing.B, r *rig, pinned bool) {
	w := r.start(StartOptions{})
	// The engine alone calls back n times, as a vat's syscalls do.
	const code = `globalThis.handleCommand = msg => {
  const [, n] = JSON.parse(new TextDecoder().decode(msg));
  const ask = new TextEncoder().encode('["syscall",["vatstoreGet","key"]]').buffer;
  for (let i = 0; i < n; i += 1) issueCommand(ask);
  return { result: new TextEncoder().encode('["ok",null,null]').buffer };
};`
	if err := w.Evaluate([]byte(code), nil); err != nil {
		b.Fatal(err)
	}
	pinBoth(b, w.PID(), pinned)
	n, err := json.Marshal(b.N)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	if res, err := w.Deliver(n, quickKernel{}); err != nil || res.Status != StatusOK {
		b.Fatal(res, err)
	}
}

type quickKernel struct{}

func (quickKernel) Syscall(json.RawMessage) (json.RawMessage, error) {
	return json.RawMessage(`["ok",null]`), nil
}
func (quickKernel) Console(string, string, []json.RawMessage) {}
func (quickKernel) TestLog([]json.RawMessage)                 {}

func benchPipe(b *testing.B, pinned bool) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	var to, from [2]int
	if err := unix.Pipe2(to[:], unix.O_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	if err := unix.Pipe2(from[:], unix.O_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	theirs := []*os.File{os.NewFile(uintptr(to[0]), "in"), os.NewFile(uintptr(from[1]), "out")}
	cmd := exec.Command(self, fakePrefix+"pingpong")
	cmd.ExtraFiles = theirs
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	theirs[0].Close()
	theirs[1].Close()
	write, read := rawFD(to[1]), rawFD(from[0])
	defer func() {
		unix.Close(int(write))
		unix.Close(int(read))
		_ = cmd.Wait()
	}()
	ping := []byte{'x'}
	turn := func() {
		if err := write.writeAll(ping); err != nil {
			b.Fatal(err)
		}
		if _, err := read.Read(ping); err != nil {
			b.Fatal(err)
		}
	}
	turn()
	pinBoth(b, cmd.Process.Pid, pinned)
	for b.Loop() {
		turn()
	}
}

func pinBoth(b *testing.B, pid int, pinned bool) {
	b.Helper()
	if !pinned {
		return
	}
	set, err := oneCPU(0)
	if err != nil {
		b.Fatal(err)
	}
	// A Go process answers from whichever thread it likes: pin them all.
	tasks, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
	if err != nil {
		b.Fatal(err)
	}
	for _, task := range tasks {
		thread, err := strconv.Atoi(task.Name())
		if err != nil {
			b.Fatal(err)
		}
		if err := unix.SchedSetaffinity(thread, &set); err != nil {
			b.Fatal(err)
		}
	}
	unpin, err := PinThread(0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := unpin(); err != nil {
			b.Error(err)
		}
	})
}
