package swingstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// What a span starts from.
const (
	StartSnapshot = "snapshot"
	StartBundles  = "bundles"
)

// startOf reads the first entry of a span: the place of the snapshot and its
// hash, or nothing if the span starts a new worker. The snapshot has the position
// of the save-snapshot that ended the span before.
func startOf(span transcripts.Span, first transcripts.Entry) (place, hash string, err error) {
	hash, loads, err := first.StartsFrom()
	if err != nil || !loads {
		return "", "", err
	}
	return fmt.Sprintf("snapshot.%s.%d", span.VatID, span.StartPos-1), hash, nil
}

// initialization is the second element of an initialize-worker entry.
type initialization struct {
	Source        vatSource     `json:"source"`
	WorkerOptions workerOptions `json:"workerOptions"`
}

func readInitialization(first transcripts.Entry) (initialization, error) {
	var delivery []json.RawMessage
	var init initialization
	err := json.Unmarshal(first.Delivery, &delivery)
	if err == nil && len(delivery) != 2 {
		err = errors.New("it has no options")
	}
	if err == nil {
		err = json.Unmarshal(delivery[1], &init)
	}
	if err != nil {
		return init, fmt.Errorf("its initialize-worker cannot be read: %w", err)
	}
	return init, nil
}

// startWorker brings up a worker in the state in which a span starts.
func (r *replay) startWorker(first transcripts.Entry) (*xsnap.Worker, error) {
	place, hash, err := startOf(r.span, first)
	if err != nil {
		return nil, r.refuse(r.span.Place(), err.Error())
	}
	if place != "" {
		r.report.Start, r.report.SnapshotHash = StartSnapshot, hash
		return r.fromSnapshot(place, hash)
	}
	r.report.Start = StartBundles
	init, err := readInitialization(first)
	if err != nil {
		return nil, r.refuse(r.span.Place(), err.Error())
	}
	return r.fromBundles(init)
}

func (r *replay) refuse(place, why string) error {
	return &NotReplayableError{VatID: r.span.VatID, Place: place, Why: why}
}

func (r *replay) options() xsnap.StartOptions {
	o := xsnap.StartOptions{Name: r.vat.VatID + ":" + r.vat.Name, Sink: r.opts.Sink, Limits: r.opts.Limits, Sandbox: r.opts.Sandbox, Watch: r.opts.Watch, CPU: -1}
	if r.vat.Metered {
		o.MeterLimit = xsnap.DefaultMeterLimit
	}
	return o
}

func (r *replay) fromSnapshot(place, hash string) (*xsnap.Worker, error) {
	row, ok, err := r.s.snapshotAt(r.span.VatID, r.span.StartPos-1)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, r.refuse(place, "the span starts from this snapshot and the store has no record of it")
	case row.blob == nil:
		return nil, r.refuse(place, "the span starts from this snapshot and its content was dropped; choose the current span, or a span whose snapshot was kept")
	case row.hash != hash:
		return nil, &SnapshotError{Place: place, What: "the hash in its record is not the one that the transcript loads", Want: hash, Got: row.hash}
	}
	heap, err := row.open()
	if err != nil {
		return nil, err
	}
	o := r.options()
	o.From = heap
	w, err := xsnap.Start(r.opts.Image.Engine, o)
	if err != nil {
		return nil, err
	}
	if err := r.bringUp(w, func() error { return w.Ready() }); err != nil {
		return nil, err
	}
	return w, nil
}

func (r *replay) fromBundles(init initialization) (*xsnap.Worker, error) {
	ids := init.WorkerOptions.BundleIDs
	if init.Source.BundleID == "" {
		return nil, r.refuse(r.span.Place(), "the transcript does not name the vat's bundle")
	}
	image, err := r.imageOf(ids)
	if err != nil {
		return nil, err
	}
	bundle, err := r.s.soundBundle(init.Source.BundleID)
	if err != nil {
		return nil, err
	}
	liveSlots, err := r.liveSlotsOptions()
	if err != nil {
		return nil, err
	}
	r.report.BundleID, r.report.WorkerBundleIDs = init.Source.BundleID, ids
	w, err := xsnap.Start(image.Engine, r.options())
	if err != nil {
		return nil, err
	}
	err = r.bringUp(w, func() error {
		if err := w.EvaluateImage(image, quiet{}); err != nil {
			return err
		}
		_, err := w.SetBundle(r.vat.VatID, bundleJSON(init.Source.BundleID, bundle), liveSlots, quiet{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// bringUp runs the first commands of a worker, which ends with a failure of
// them or of the context.
func (r *replay) bringUp(w *xsnap.Worker, first func() error) error {
	defer r.killOnCancel(w)()
	err := first()
	if err == nil {
		err = r.ctx.Err()
	}
	if err == nil {
		return nil
	}
	w.Kill()
	_ = w.Close()
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	return err
}

// liveSlotsOptions are written in the order of the JavaScript kernel's vat-loader.
func (r *replay) liveSlotsOptions() (json.RawMessage, error) {
	options, _, problems, err := r.s.vatRecords(r.vat.VatID)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, r.refuse(problems[0].Place, problems[0].What)
	}
	relax, _, err := r.s.kvGet("kernel.relaxDurabilityRules")
	if err != nil {
		return nil, err
	}
	return json.RawMessage(fmt.Sprintf(`{"enableDisavow":%t,"relaxDurabilityRules":%t}`, options.EnableDisavow, relax == "true")), nil
}

// imageOf gives the image with the worker bundles that the transcript names:
// the caller's if they are its own, else those that the store holds.
func (r *replay) imageOf(ids []string) (image xsnap.Image, err error) {
	image = r.opts.Image
	if slices.Equal(ids, image.BundleIDs()) {
		return image, nil
	}
	if len(ids) != 2 {
		return image, r.refuse(r.span.Place(), fmt.Sprintf("the transcript names %d worker bundles, a lockdown and a supervisor were expected", len(ids)))
	}
	dir, err := os.MkdirTemp("", "vatworkerd-bundles-")
	if err != nil {
		return image, fmt.Errorf("cannot write worker bundles: %w", err)
	}
	defer os.RemoveAll(dir)
	paths := make([]string, len(ids))
	for i, id := range ids {
		data, err := r.s.soundBundle(id)
		if err != nil {
			return image, err
		}
		paths[i] = filepath.Join(dir, fmt.Sprintf("%d.bundle", i))
		if err := os.WriteFile(paths[i], data, 0o600); err != nil {
			return image, fmt.Errorf("cannot write worker bundles: %w", err)
		}
	}
	// Loading reads the files whole, so that they may go.
	image, err = xsnap.LoadImage(image.Engine.Path, paths[0], paths[1])
	if err != nil {
		return image, err
	}
	if image.Engine.SHA256 != r.opts.Image.Engine.SHA256 {
		return image, fmt.Errorf("cannot replay vat %s: engine %s was replaced meanwhile", r.vat.VatID, image.Engine.Path)
	}
	return image, nil
}
