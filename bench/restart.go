package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const restartMaxOnline = 50

// restartScenario measures a new process on an old store: from its start until
// the result of the first message is durable.
func (b *bench) restartScenario(measure string, count, quick int) scenario {
	var p *pair
	vats := xVats("many", count)
	last := vats[count-1]
	return scenario{
		name: measure, rounds: 5, quick: quick, columns: everyColumn(),
		prepare: func() (err error) {
			p, err = b.newPair(measure, vatConfig{vats: bundleOf(vats, "contract"), snapshotInterval: never})
			if err != nil {
				return err
			}
			return b.prepareRestart(p, vats)
		},
		turn: func(column string) error {
			took, err := b.restart(p, column, last)
			b.sample(measure, column, inMilliseconds(took))
			return err
		},
		finish: func() error { return p.end() },
	}
}

// prepareRestart gives all vats a snapshot and closes the stores.
func (b *bench) prepareRestart(p *pair, vats []string) error {
	var messages []message
	for _, vat := range vats {
		messages = append(messages, tell(vat, "touch", 16))
	}
	err := p.openAll(restartMaxOnline+10, func(column string) error {
		if _, err := p.run(column, messages...); err != nil {
			return err
		}
		_, err := p.systems[column].snapshot(vats...)
		return err
	})
	if err == nil {
		err = p.same(filepath.Base(p.dir), vats...)
	}
	if err == nil {
		err = p.peer().heap(vats[len(vats)-1], b.heapPath("restart"))
	}
	for _, column := range systemColumns() {
		if err == nil {
			err = p.systems[column].close()
		}
		if err == nil {
			err = p.systems[column].end()
		}
	}
	return err
}

func (b *bench) restart(p *pair, column, vat string) (time.Duration, error) {
	if column == limitColumn {
		return b.loadTime(b.heapPath("restart"))
	}
	dir := filepath.Join(b.work, "copy")
	if err := os.CopyFS(dir, os.DirFS(p.store(column))); err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if column != peerColumn {
		return b.restartOurs(column, dir, p.config, vat)
	}
	began := time.Now()
	s := b.system(peerColumn).(*peer)
	reply, err := s.ask("first", map[string]any{
		"dir": dir, "config": p.config, "maxOnline": restartMaxOnline, "message": tell(vat, "touch", 1).list(),
	})
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	if len(reply.Results) != 1 || reply.Results[0] != firstResult {
		return 0, fmt.Errorf("the first delivery of the JavaScript system gave %q", reply.Results)
	}
	return took, s.end()
}

// firstResult is what touch gives the second time.
const firstResult = "2"

// restartOurs runs this program once more, as a kernel host of its own.
func (b *bench) restartOurs(column, dir, config, vat string) (time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, firstDelivery, b.place.root, column, dir, config, vat)
	cmd.Stderr = b.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	took := time.Since(began)
	if waitErr := cmd.Wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		return 0, err
	}
	var r ran
	if err := json.Unmarshal(line, &r); err != nil {
		return 0, err
	}
	if len(r.Results) != 1 || r.Results[0] != firstResult {
		return 0, fmt.Errorf("the first delivery gave %q", r.Results)
	}
	return took, nil
}

// firstDelivery is the argument that makes this program a kernel host that sends
// one message.
const firstDelivery = "first-delivery"

func serveFirst(root, column, dir, config, vat string) error {
	p, err := findPlace(root)
	if err != nil {
		return err
	}
	o := &ours{place: p, label: column, stderr: os.Stderr}
	if err := o.open(dir, config, restartMaxOnline); err != nil {
		return err
	}
	r, err := o.run([]message{tell(vat, "touch", 1)})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	return o.close()
}

// restartAllScenario measures restart-all on stores of ever more vats, to which
// it adds as it goes.
func (b *bench) restartAllScenario() scenario {
	var o *ours
	have := 0
	sizes := []int{1_000, 100_000, 1_000_000}
	if b.quick {
		sizes = sizes[:1]
	}
	return scenario{
		name: "restart-all", rounds: 1, quick: 1, columns: []string{oursColumn},
		prepare: func() error {
			path, err := vatConfig{snapshotInterval: never}.write(b, "restart-all")
			if err != nil {
				return err
			}
			o = b.system(oursColumn).(*ours)
			return o.openWith(filepath.Join(b.work, "restart-all"), path, 10, withoutVats)
		},
		turn: func(string) error {
			for _, size := range sizes {
				if err := o.register(have, size); err != nil {
					return err
				}
				have = size
				if err := b.restartAll(o, "restartall-"+strconv.Itoa(size)); err != nil {
					return err
				}
			}
			return nil
		},
		finish: func() error { return o.end() },
	}
}

// restartAll measures it often: most of it is waiting for the disk. What the
// block before has left to do is done first.
func (b *bench) restartAll(o *ours, measure string) error {
	ctx := context.Background()
	for i := range 11 {
		if err := o.kernel.Commit(ctx); err != nil {
			return err
		}
		began := time.Now()
		if _, err := o.kernel.RestartAll(ctx, fmt.Sprintf("%s-%d", measure, i)); err != nil {
			return err
		}
		if err := o.kernel.Commit(ctx); err != nil {
			return err
		}
		b.sample(measure, oursColumn, inMilliseconds(time.Since(began)))
	}
	return nil
}
