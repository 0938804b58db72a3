package kernelhost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

const (
	configKey    = "config.digest"
	bootstrapKey = "bootstrap.result"
)

// Initialized tells whether the kernel has vats, and the digest of the config
// they were made from.
func (k *Kernel) Initialized() (digest string, ok bool, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return "", false, err
	}
	return k.db.Get(configKey)
}

// Initialize makes the vats of a config, starts them all, and queues
// bootstrap(vats, devices) to the bootstrap vat; Run delivers it. promise is
// the kref of bootstrap's result, "" if the config names no bootstrap vat. A
// kernel that was made from the same config is left as it is. All of it is one
// block, committed only if every vat starts. Errors: *VatStartError,
// *ConfigMismatchError, and those of Run; nothing is kept then.
func (k *Kernel) Initialize(ctx context.Context, cfg config.Config) (promise string, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return "", err
	}
	stored, ok, err := k.db.Get(configKey)
	if err != nil {
		return "", err
	}
	if ok && stored != cfg.Digest {
		return "", &ConfigMismatchError{Stored: stored, Given: cfg.Digest}
	}
	if ok {
		promise, _, err = k.db.Get(bootstrapKey)
		return promise, err
	}
	if cfg, err = k.withAdmin(cfg); err != nil {
		return "", err
	}
	promise, err = k.initialize(ctx, cfg)
	if err != nil {
		return "", k.wholeBlock(ctx, err)
	}
	return promise, k.commit(ctx)
}

func (k *Kernel) initialize(ctx context.Context, cfg config.Config) (promise string, err error) {
	if err := k.sendConfig(ctx, cfg); err != nil {
		return "", err
	}
	crashpoint.Here(crashpoint.HostConfigured)
	names := map[string]string{}
	err = k.change(ctx, func(c *crank) error {
		if err := c.createKernel(cfg); err != nil {
			return err
		}
		for _, vat := range creationOrder(cfg) {
			vatID, err := k.createVat(ctx, c, vat, staticVat)
			if err != nil {
				return fmt.Errorf("cannot create vat %q: %w", vat.Name, err)
			}
			names[vatID] = vat.Name
		}
		if err := c.createDevices(cfg); err != nil {
			return err
		}
		if cfg.Bootstrap == "" {
			return nil
		}
		promise, err = c.queueBootstrap(cfg)
		return err
	})
	if err != nil {
		return "", err
	}
	crashpoint.Here(crashpoint.HostVatsMade)
	err = k.startVats(ctx, names)
	crashpoint.Here(crashpoint.HostVatsStarted)
	return promise, err
}

// sendConfig gives the daemon what it needs before there can be vats.
func (k *Kernel) sendConfig(ctx context.Context, cfg config.Config) error {
	req := pipeproto.Configure{
		SnapshotInitial: cfg.SnapshotInitial, SnapshotInterval: cfg.SnapshotInterval,
		RelaxDurabilityRules: cfg.RelaxDurabilityRules,
	}
	if err := k.call(ctx, pipeproto.ReqConfigure, req, nil); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(cfg.Bundles)) {
		bundle := pipeproto.AddBundle{ID: id, Data: cfg.Bundles[id]}
		if err := k.call(ctx, pipeproto.ReqAddBundle, bundle, nil); err != nil {
			return fmt.Errorf("cannot add bundle %s: %w", id, err)
		}
	}
	return nil
}

// creationOrder is SwingSet's: the bootstrap vat, then the others by name.
func creationOrder(cfg config.Config) []config.Vat {
	vats := slices.Clone(cfg.Vats)
	slices.SortFunc(vats, func(a, b config.Vat) int {
		switch {
		case a.Name == b.Name:
			return 0
		case a.Name == cfg.Bootstrap:
			return -1
		case b.Name == cfg.Bootstrap:
			return 1
		case a.Name < b.Name:
			return -1
		}
		return 1
	})
	return vats
}

func (c *crank) createKernel(cfg config.Config) error {
	c.create()
	c.kv.Set(configKey, cfg.Digest)
	c.kv.Set(defaultReapKey, strconv.FormatInt(deliveriesOf(cfg.DefaultReapInterval), 10))
	c.kv.Set(defaultReapGCKey, strconv.FormatInt(krefsOf(cfg.DefaultReapGCKrefs), 10))
	for _, name := range slices.Sorted(maps.Keys(cfg.NamedBundles)) {
		c.kv.Set(bundleNameKey(name), cfg.NamedBundles[name])
	}
	return c.kv.Err()
}

// queueBootstrap queues bootstrap(vats, devices) with the root objects of all
// vats by name. Its rejection panics. The root objects are pinned, as
// pinBootstrapRoot asks for one of them: each can be sent to from outside by its
// vat's name, and a vat that was told to retire its root knows it no more.
func (c *crank) queueBootstrap(cfg config.Config) (string, error) {
	names, err := c.vatNames()
	if err != nil {
		return "", err
	}
	roots := make([]capdata.Root, len(names))
	for i, name := range names {
		vatID, err := c.require("vat.name." + name)
		if err != nil {
			return "", err
		}
		kref, err := c.rootOf(vatID)
		if err != nil {
			return "", err
		}
		roots[i] = capdata.Root{Name: name, Kref: kref}
		if err := c.pin(kref); err != nil {
			return "", err
		}
	}
	vatID, err := c.require("vat.name." + cfg.Bootstrap)
	if err != nil {
		return "", fmt.Errorf("the bootstrap vat %q is not among the vats", cfg.Bootstrap)
	}
	devices, err := c.devices()
	if err != nil {
		return "", err
	}
	kpid, err := c.queueToRoot(vatID, capdata.Bootstrap(roots, devices), policyPanic)
	if err != nil {
		return "", err
	}
	c.kv.Set(bootstrapKey, kpid)
	return kpid, c.pin(kpid)
}

// startVats lets the daemon run until every vat has started. They come first
// in the queue; only what reaping puts before them runs as well. names has the
// vats' names by ID.
func (k *Kernel) startVats(ctx context.Context, names map[string]string) error {
	h := k.callbacks
	h.started = map[string]bool{}
	for len(h.started) < len(names) {
		h.begun, h.problem = "", ""
		var reply pipeproto.RunReply
		err := k.call(ctx, pipeproto.ReqRun, pipeproto.Run{MaxCranks: 1}, &reply)
		if k.dead != nil || k.cause != nil {
			return err
		}
		if err != nil && !IsPanic(err) {
			return err // the daemon's trouble, such as a full disk, and not the vat's
		}
		if h.begun != "" && !h.started[h.begun] {
			problem, err := k.startProblem(ctx, err)
			if err != nil {
				return err
			}
			return &VatStartError{Vat: names[h.begun], Problem: problem}
		}
		if err != nil {
			return err
		}
		if reply.Idle {
			return errors.New("cannot start the vats: the daemon has nothing to run, but not all have started")
		}
	}
	return nil
}

// startProblem says why the vat that began last did not start: its startVat
// said so, or the daemon knows, as when the bundle is no good.
func (k *Kernel) startProblem(ctx context.Context, panicked error) (string, error) {
	if k.callbacks.problem != "" {
		return k.callbacks.problem, nil
	}
	if panicked != nil { // a critical vat's failure
		return panicked.Error(), nil
	}
	var status pipeproto.VatStatus
	err := k.call(ctx, pipeproto.ReqVat, pipeproto.VatRef{VatID: k.callbacks.begun}, &status)
	return orElse(status.LastError, "the daemon does not say why"), err
}
