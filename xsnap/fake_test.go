package xsnap

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A scripted worker is this test binary under the name fake:<mode>[:<hex>].
const fakePrefix = "fake:"

const someMeter = `{"currentHeapCount":1,"compute":2,"allocate":3,"timestamps":[1.5,2.5]}`

func fakeReply(raw string) string { return fakePrefix + "reply:" + hex.EncodeToString([]byte(raw)) }

func netstring(payload string) string { return strconv.Itoa(len(payload)) + ":" + payload + "," }

// good is a reply with a meter.
func good(reply string) string { return netstring("." + someMeter + "\x01" + reply) }

// startFake starts a scripted worker.
func startFake(t testing.TB, name string, grace time.Duration) *Worker {
	t.Helper()
	return startWorker(t, newSpawner(t), selfEngine(t), StartOptions{Name: name, Limits: Limits{CloseGrace: grace}})
}

// selfEngine is this test binary.
func selfEngine(t testing.TB) Engine {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Engine{Path: self}
}

// playFake is the scripted worker; it returns its exit code.
func playFake(script string) int {
	mode, rest, _ := strings.Cut(script, ":")
	arg, err := hex.DecodeString(rest)
	if err != nil {
		return 100
	}
	commands, replies := newFrameReader(rawFD(fdCommands), netstrings(), MaxToWorker), rawFD(fdReplies)
	switch mode {
	case "deaf": // never reads its commands
		select {}
	case "stubborn": // outlives every request to end
		for {
			if _, err := commands.next(); err != nil {
				select {}
			}
		}
	case "pingpong": // for the benchmark
		return playPingPong()
	case "closepipe":
		_, _ = commands.next()
		_ = unix.Close(fdReplies)
		select {}
	case "die":
		_, _ = commands.next()
		fmt.Fprintf(os.Stderr, "%s\nlast words", strings.Repeat("0123456789abcdef", 1<<10))
		return int(arg[0])
	case "truncated":
		_, _ = commands.next()
		_ = replies.writeAll([]byte("100:.abc"))
		return 0
	case "endless", "more": // a snapshot that does not end
		_, _ = commands.next()
		if mode == "more" {
			_ = rawFD(fdSnapshotSave).writeAll([]byte("abcd"))
			_ = replies.writeAll([]byte(good("3")))
		}
		for rawFD(fdSnapshotSave).writeAll(make([]byte, 1<<16)) == nil {
		}
		select {}
	case "babble": // answers when it has written more than anybody wants
		_, _ = commands.next()
		line := []byte(strings.Repeat("x", 1000) + "\n")
		for range maxOutputBytes/1000 + 1000 {
			_, _ = os.Stdout.Write(line)
		}
		_ = replies.writeAll([]byte(netstring(".")))
		select {}
	case "half": // begins a message and never ends it
		_, _ = commands.next()
		_ = replies.writeAll([]byte("1000:.x"))
		select {}
	case "huge": // one upcall of the largest permitted size, then of one byte more
		return playHuge(commands, replies)
	case "snapshot":
		return playSnapshot(commands, replies, arg)
	}
	return playReplies(commands, replies, arg)
}

func playReplies(commands *frameReader, replies rawFD, answer []byte) int {
	for {
		cmd, err := commands.next()
		if err == io.EOF || err == nil && string(cmd) == "q" {
			return 0
		}
		if err != nil || replies.writeAll(answer) != nil {
			return 101
		}
	}
}

func playHuge(commands *frameReader, replies rawFD) int {
	_, _ = commands.next()
	const head, tail = `?["syscall",["vatstoreSet","k","`, `"]]`
	for _, size := range []int{MaxFromWorker, MaxFromWorker + 1} {
		fill := strings.Repeat("x", size-len(head)-len(tail))
		if replies.writeAll([]byte(netstring(head+fill+tail))) != nil {
			return 102
		}
		if _, err := commands.next(); err != nil {
			return 103
		}
	}
	return 0
}

// playSnapshot writes "<bytes>|<reply>": the bytes to the snapshot pipe.
func playSnapshot(commands *frameReader, replies rawFD, arg []byte) int {
	content, reply, _ := strings.Cut(string(arg), "|")
	for {
		cmd, err := commands.next()
		if err != nil || string(cmd) == "q" {
			return 0
		}
		if rawFD(fdSnapshotSave).writeAll([]byte(content)) != nil || replies.writeAll([]byte(good(reply))) != nil {
			return 104
		}
	}
}

func playPingPong() int {
	runtime.LockOSThread()
	ball := make([]byte, 1)
	for {
		if _, err := rawFD(fdCommands).Read(ball); err != nil {
			return 0
		}
		if err := rawFD(fdReplies).writeAll(ball); err != nil {
			return 0
		}
	}
}
