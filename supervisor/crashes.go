package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"vatworkerd/frames"
	"vatworkerd/xsnap"
)

// CrashDir is where, in a supervisor's directory, the last frames are of workers
// that did not do what they were to.
const CrashDir = "crashes"

// Files of a crash.
const (
	CrashFile  = "crash.json" // a Crash
	FramesFile = "frames"
)

const (
	maxCrashes    = 32 // that are kept, the newest
	crashTime     = "20060102-150405.000000"
	maxCrashName  = 60 // bytes of the vat's ID in a directory's name
	newCrashBegin = "new-"
)

// What a worker was doing when it crashed.
const (
	DoingDelivery = "delivery"
	DoingReplay   = "replay"
	DoingSnapshot = "snapshot"
)

// Crash says what is known of a worker that was lost, met a limit, broke the
// protocol or diverged.
type Crash struct {
	Time        time.Time `json:"time"`
	VatID       string    `json:"vatID"`
	Name        string    `json:"name"`
	PID         int       `json:"pid"`
	ImageID     string    `json:"imageID"`
	Incarnation int64     `json:"incarnation"`
	Position    int64     `json:"position"` // of the delivery, in the vat's transcript
	Doing       string    `json:"doing"`
	Reason      string    `json:"reason"`
	Stderr      string    `json:"stderr"` // its end
}

// crashes keeps the last frames of workers that crashed. All of it is local, and a
// disk that does not take it changes nothing. Safe for concurrent use.
type crashes struct {
	dir string

	mu sync.Mutex // held while one is saved
}

// crashed saves what is known of a vat's worker that has failed.
func (k *kit) crashed(w *worker, rec *record, position int64, doing string, cause error) {
	tape := w.process.Tape()
	if tape == nil {
		return
	}
	c := Crash{
		Time: time.Now().UTC(), VatID: rec.ID, Name: rec.Name, PID: w.process.PID(), ImageID: rec.ImageID,
		Incarnation: rec.Incarnation, Position: position, Doing: doing, Reason: cause.Error(),
	}
	var exit *xsnap.ExitError
	if errors.As(cause, &exit) {
		c.Stderr = exit.Stderr
	}
	path, err := k.crashes.save(c, tape)
	if err != nil {
		k.log.Warn("cannot save the last frames of a worker", "vatID", rec.ID, "error", err)
		return
	}
	k.log.Info("the last frames of a worker were saved", "vatID", rec.ID, "path", path)
}

// save gives the directory of a crash, which appears with all that is in it.
func (d *crashes) save(c Crash, tape *frames.Tape) (path string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	vatID := url.PathEscape(c.VatID)
	name := fmt.Sprintf("%s-%s-%d", c.Time.Format(crashTime), vatID[:min(len(vatID), maxCrashName)], c.PID)
	fresh := filepath.Join(d.dir, newCrashBegin+name)
	if err := os.MkdirAll(fresh, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(d.dir, name)
	err = errors.Join(frames.Save(filepath.Join(fresh, FramesFile), tape), writeCrash(filepath.Join(fresh, CrashFile), c))
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(fresh))
	}
	return path, d.shrink()
}

func writeCrash(path string, c Crash) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// shrink removes the oldest, and what a supervisor that was killed had begun.
func (d *crashes) shrink() error {
	all, err := os.ReadDir(d.dir) // by name, which begins with the time
	if err != nil {
		return err
	}
	kept := 0
	for i := len(all) - 1; i >= 0; i-- {
		isNew := strings.HasPrefix(all[i].Name(), newCrashBegin)
		if !isNew {
			kept++
		}
		if isNew || kept > maxCrashes {
			err = errors.Join(err, os.RemoveAll(filepath.Join(d.dir, all[i].Name())))
		}
	}
	return err
}

// causeOf gives why a delivery counts as a crash of its worker, or nil.
func causeOf(result xsnap.DeliveryResult, err error) error {
	if err == nil && result.WorkerGone {
		return fmt.Errorf("%s (exit code %d)", result.Problem, result.ExitCode)
	}
	return err
}

// SavedCrash is a crash and the directory that it was saved in.
type SavedCrash struct {
	Path string `json:"path"`
	Crash
}

// Crashes lists the crashes that were saved in a supervisor's directory, oldest
// first. What is no crash is left out.
func Crashes(dir string) ([]SavedCrash, error) {
	root := filepath.Join(dir, CrashDir)
	all, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot list crashes: %w", err)
	}
	found := []SavedCrash{}
	for _, entry := range all {
		path := filepath.Join(root, entry.Name())
		if crash, err := ReadCrash(path); err == nil && !strings.HasPrefix(entry.Name(), newCrashBegin) {
			found = append(found, SavedCrash{path, crash})
		}
	}
	return found, nil
}

// ReadCrash reads what is known of a crash from its directory.
func ReadCrash(path string) (c Crash, err error) {
	text, err := os.ReadFile(filepath.Join(path, CrashFile))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return c, fmt.Errorf("%s is no crash: %w", path, err)
	}
	return c, nil
}
