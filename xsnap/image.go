package xsnap

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// WorkerBundle is one of the two bundles a fresh machine evaluates before it
// can serve a vat.
type WorkerBundle struct {
	Path   string
	SHA256 string // hex, of the file; the npm packages publish it as *.bundle.sha256
	code   []byte // the expression to evaluate
}

// ID is the bundle's ID in the transcript's initialize-worker entry.
func (b WorkerBundle) ID() string { return "b0-" + b.SHA256 }

// Code is what a fresh machine evaluates; the caller must not change it.
func (b WorkerBundle) Code() []byte { return b.code }

// Image is a worker image: everything that decides, besides a vat's own
// bundle, what its heap, syscalls and computrons are.
type Image struct {
	Engine     Engine
	Lockdown   WorkerBundle
	Supervisor WorkerBundle
}

// LoadImage reads and verifies an engine and its two bundles. A file
// <bundle>.sha256 next to a bundle must name the bundle's hash.
func LoadImage(enginePath, lockdownPath, supervisorPath string) (Image, error) {
	engine, err := IdentifyEngine(enginePath)
	if err != nil {
		return Image{}, err
	}
	lockdown, err := loadWorkerBundle(lockdownPath)
	if err != nil {
		return Image{}, fmt.Errorf("cannot load lockdown bundle: %w", err)
	}
	supervisor, err := loadWorkerBundle(supervisorPath)
	if err != nil {
		return Image{}, fmt.Errorf("cannot load supervisor bundle: %w", err)
	}
	return Image{Engine: engine, Lockdown: lockdown, Supervisor: supervisor}, nil
}

// ID is the hex sha256 over the hashes of engine, lockdown and supervisor.
func (i Image) ID() string {
	sum := sha256.Sum256([]byte("worker image\n" + i.Engine.SHA256 + "\n" + i.Lockdown.SHA256 + "\n" + i.Supervisor.SHA256 + "\n"))
	return hex.EncodeToString(sum[:])
}

// BundleIDs are the lockdown's and the supervisor's IDs, in the order in which
// they are evaluated.
func (i Image) BundleIDs() []string {
	return []string{i.Lockdown.ID(), i.Supervisor.ID()}
}

// workerBundleFile is the JSON of a *.bundle file in the npm packages
// xsnap-lockdown and swingset-xsnap-supervisor.
type workerBundleFile struct {
	ModuleFormat string `json:"moduleFormat"`
	Source       string `json:"source"`
}

func loadWorkerBundle(path string) (WorkerBundle, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return WorkerBundle{}, err
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	if err := checkPublishedHash(path, hash); err != nil {
		return WorkerBundle{}, err
	}
	var file workerBundleFile
	if err := json.Unmarshal(data, &file); err != nil {
		return WorkerBundle{}, fmt.Errorf("%s is no bundle: %w", path, err)
	}
	if file.ModuleFormat != "getExport" && file.ModuleFormat != "nestedEvaluate" {
		return WorkerBundle{}, fmt.Errorf("%s is no worker bundle: moduleFormat is %q, want getExport or nestedEvaluate", path, file.ModuleFormat)
	}
	// The exact text matters: it is part of the heap of every vat.
	code := bytes.TrimSpace([]byte("(" + file.Source + "\n)()"))
	return WorkerBundle{Path: path, SHA256: hash, code: code}, nil
}

func checkPublishedHash(path, hash string) error {
	published, err := os.ReadFile(path + ".sha256")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	want, _, _ := strings.Cut(strings.TrimSpace(string(published)), " ")
	if want != hash {
		return fmt.Errorf("%s has sha256 %s but %s.sha256 says %s; install its package again", path, hash, path, want)
	}
	return nil
}
