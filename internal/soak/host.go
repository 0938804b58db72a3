package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"vatworkerd/internal/blockhost"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

type status = pipeproto.VatStatus

// hostEnv tells a process that it is the kernel host of a soak, and how: a
// HostOptions as JSON.
const hostEnv = "VATWORKERD_SOAK_HOST"

// HostOptions are those of a host process.
type HostOptions struct {
	Work
	DB          string   // directory of the state
	Daemon      string   // the vatworkerd to run
	DaemonFlags []string // for its serve
	Pool        int      // workers at a time
	Until       int64    // the last block; 0 = until it is ended
}

// ServeHost is the host process, if this is one: main and TestMain call it first.
// It does not return then.
func ServeHost() {
	text, ok := os.LookupEnv(hostEnv)
	if !ok {
		return
	}
	// The daemon is no host.
	if err := os.Unsetenv(hostEnv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var o HostOptions
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
		err = o.run(ctx, os.Stdout)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (o HostOptions) run(ctx context.Context, out io.Writer) error {
	program := blockhost.Program{Out: out, Step: func(height int64) blockhost.Step {
		if o.Until > 0 && height > o.Until {
			return nil
		}
		return o.Step(height)
	}}
	program.Options = kernelhost.Options{
		DBDir: o.DB, Daemon: []string{o.Daemon, "serve"}, Devices: []kernelhost.Device{post(out)},
		EngineFlags: append([]string{"--max-online", strconv.Itoa(o.Pool)}, o.DaemonFlags...),
	}
	return program.Run(ctx)
}

// post is a device that emits, and tells what has left.
func post(out io.Writer) kernelhost.Device {
	return kernelhost.Device{
		Name: deviceName,
		Invoke: func(call *kernelhost.Invocation) (capdata.CapData, error) {
			return capdata.CapData{}, fmt.Errorf("no vat has a %s", deviceName)
		},
		Release: func(o kernelhost.Output) error {
			_, err := blockhost.OutputLine(o).WriteTo(out)
			return err
		},
	}
}

// writeConfig writes the config of the soak's kernel: one static vat, the bundles
// of all others, a snapshot now and then.
func writeConfig(path, bundles string) error {
	bundle := func(name string) map[string]string {
		return map[string]string{"bundleSpec": filepath.Join(bundles, name+".json")}
	}
	text, err := json.MarshalIndent(map[string]any{
		"vatAdmin": false, "snapshotInitial": 6, "snapshotInterval": 12, "defaultReapInterval": 8,
		"bundles": map[string]any{bundleName: bundle("soak"), badBundleName: bundle("throws-on-start")},
		"vats":    map[string]any{"hub": bundle("soak")},
		"devices": map[string]any{deviceName: map[string]any{}},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
