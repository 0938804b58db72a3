package soak

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"vatworkerd/internal/blockhost"
	"vatworkerd/internal/procs"
)

// process is a running host, with its daemon and the daemon's workers.
type process struct {
	cmd    *exec.Cmd
	stderr strings.Builder
	ended  chan struct{} // closed once it was reaped
	err    error         // of Wait, then
}

// start starts a host; each line that it prints goes to tell, on a goroutine of
// its own.
func start(argv []string, o HostOptions, tell func(blockhost.Line)) (*process, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), hostEnv+"="+string(text))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is the driver's alone
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start a host: %w", err)
	}
	go func() {
		defer close(p.ended)
		reader := bufio.NewReader(out)
		for {
			text, err := reader.ReadString('\n')
			if err != nil {
				break // the end; half a line says nothing
			}
			lines, err := blockhost.Read(text)
			for _, line := range lines {
				tell(line)
			}
			p.err = err
		}
		if err := p.cmd.Wait(); p.err == nil {
			p.err = err
		}
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// daemon gives the PID of the host's daemon.
func (p *process) daemon() (int, bool) { return procs.Youngest(p.pid()) }

// workers gives the PIDs of the daemon's workers.
func (p *process) workers() []int {
	daemon, ok := p.daemon()
	if !ok {
		return nil
	}
	return procs.Children(daemon)
}

// stop asks the host to end and waits until it has. Its open block is lost.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// told is what the hosts of one run have said.
type told struct {
	mu      sync.Mutex // guards the rest
	height  int64
	hashes  map[int64]string
	outputs map[string]int64 // by text, the height
	twice   int              // outputs that came more than once
	wrong   error            // the first contradiction
}

func newTold() *told { return &told{hashes: map[int64]string{}, outputs: map[string]int64{}} }

// hear takes a line of a host.
func (t *told) hear(line blockhost.Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if line.Kind == blockhost.KindOutput {
		if _, known := t.outputs[line.Text]; known {
			t.twice++
		}
		t.outputs[line.Text] = line.Height
		return
	}
	if line.Height < t.height {
		t.contradict("block %d was told, then the host is at %d: a committed block is lost", t.height, line.Height)
	}
	if known, ok := t.hashes[line.Height]; ok && known != line.Text {
		t.contradict("block %d has activity hash %s, then %s", line.Height, known, line.Text)
	}
	t.height, t.hashes[line.Height] = line.Height, line.Text
}

func (t *told) contradict(format string, args ...any) {
	if t.wrong == nil {
		t.wrong = fmt.Errorf(format, args...)
	}
}

func (t *told) at() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.height
}

// compare holds another run against this one.
func (t *told) compare(other *told) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wrong != nil || other.wrong != nil {
		return fmt.Errorf("a run contradicts itself: %v; %v", t.wrong, other.wrong)
	}
	if t.height != other.height {
		return fmt.Errorf("one run is at height %d, the other at %d", t.height, other.height)
	}
	for height := int64(1); height <= t.height; height++ {
		a, heard := t.hashes[height]
		b, alsoHeard := other.hashes[height]
		if heard && alsoHeard && a != b {
			return fmt.Errorf("the runs part at block %d: activity hash %s, and %s", height, a, b)
		}
	}
	for text, height := range t.outputs {
		if other.outputs[text] != height {
			return fmt.Errorf("the output %q of block %d has left in one run only", text, height)
		}
	}
	if len(t.outputs) != len(other.outputs) {
		return fmt.Errorf("%d outputs have left, and %d", len(t.outputs), len(other.outputs))
	}
	return nil
}
