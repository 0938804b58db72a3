package xsnap

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vatworkerd/internal/testrig"
)

func TestLoadImage(t *testing.T) {
	paths := testrig.Engine(t)
	image, err := LoadImage(paths.Engine, paths.Lockdown, paths.Supervisor)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(image.Engine.Version, "xsnap ") || len(image.Engine.SHA256) != 64 || !filepath.IsAbs(image.Engine.Path) {
		t.Errorf("engine is %+v", image.Engine)
	}
	ids := image.BundleIDs()
	if len(ids) != 2 || ids[0] != "b0-"+image.Lockdown.SHA256 || ids[1] != "b0-"+image.Supervisor.SHA256 {
		t.Errorf("bundle IDs are %v", ids)
	}
	swapped := image
	swapped.Lockdown, swapped.Supervisor = image.Supervisor, image.Lockdown
	if len(image.ID()) != 64 || image.ID() == swapped.ID() {
		t.Errorf("image ID is %s", image.ID())
	}
	if _, err := LoadImage(paths.Engine, paths.Lockdown, "/nonexistent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing bundle: got %v", err)
	}
	if _, err := LoadImage("/bin/true", paths.Lockdown, paths.Supervisor); err == nil || !strings.Contains(err.Error(), "no xsnap-worker") {
		t.Errorf("another program: got %v", err)
	}
	if _, err := LoadImage(paths.Lockdown, paths.Lockdown, paths.Supervisor); err == nil {
		t.Error("a bundle passed for an engine")
	}
}

func TestWorkerBundles(t *testing.T) {
	const source = `{"moduleFormat":"getExport","source":"  f \n"}`
	const hash = "f37bd14d9c5d2d8ff5b5dfc6f5b2a6ee04d6d8a7b1e0e4e4f5e5f2a3f6c9d8e7"
	for name, tc := range map[string]struct{ content, sum, want string }{
		"good":           {source, "", ""},
		"no JSON":        {"nonsense", "", "is no bundle"},
		"wrong format":   {`{"moduleFormat":"endoZipBase64"}`, "", "moduleFormat"},
		"other hash":     {source, hash, "install its package again"},
		"empty sum file": {source, "\n", "install its package again"},
	} {
		path := filepath.Join(t.TempDir(), "x.bundle")
		writeFile(t, path, tc.content)
		if tc.sum != "" {
			writeFile(t, path+".sha256", tc.sum)
		}
		b, err := loadWorkerBundle(path)
		if tc.want == "" && (err != nil || string(b.Code()) != "(  f \n\n)()") {
			t.Errorf("%s: got %q, %v", name, b.Code(), err)
		}
		if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want …%s…", name, err, tc.want)
		}
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestReplacedEngineIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine")
	writeFile(t, path, "#!/bin/sh\necho xsnap 0.0.0\n")
	eng, err := IdentifyEngine(path)
	if err != nil || eng.Version != "xsnap 0.0.0" {
		t.Fatal(eng, err)
	}
	writeFile(t, path+".new", "#!/bin/sh\necho xsnap 0.0.1\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if _, err := newSpawner(t).Start(eng, StartOptions{Name: "x"}); err == nil || !strings.Contains(err.Error(), "was replaced") {
		t.Errorf("got %v", err)
	}
}

func TestBaseCache(t *testing.T) {
	r := newRig(t).withEmptyCache()
	path := func() string {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(r.base.dir, "*"))
		if err != nil || len(names) != 1 {
			t.Fatalf("the cache holds %v, %v", names, err)
		}
		return names[0]
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { readBase(t, r.base, r.image) })
	}
	all.Wait()
	built := path()
	good := readBase(t, r.base, r.image)

	damaged := []byte(good)
	damaged[len(damaged)/2] ^= 1
	for name, content := range map[string]string{"damaged": string(damaged), "empty": ""} {
		if err := os.Remove(built); err != nil {
			t.Fatal(err)
		}
		writeFile(t, built, content)
		if readBase(t, r.base, r.image) != good || path() != built {
			t.Errorf("the %s file was not built again", name)
		}
	}
	// Another process's cache on the same directory finds the file.
	second, err := NewBaseCache(nil, r.base.dir)
	if err != nil {
		t.Fatal(err)
	}
	if readBase(t, second, r.image) != good {
		t.Error("the second cache reads another file")
	}
}

func readBase(t *testing.T, c *BaseCache, image Image) string {
	f, err := c.Open(image)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

func TestBaseCacheFailures(t *testing.T) {
	r := newRig(t).withEmptyCache()
	broken := r.image
	broken.Supervisor.SHA256, broken.Supervisor.code = "other", []byte("throw Error('no')")
	if _, err := r.base.Open(broken); err == nil || !strings.Contains(err.Error(), "cannot evaluate supervisor") {
		t.Errorf("got %v", err)
	}
	if names, _ := os.ReadDir(r.base.dir); len(names) != 0 {
		t.Errorf("the failed build left %v", names)
	}
	if _, err := NewBaseCache(r.spawner, filepath.Join(r.image.Lockdown.Path, "x")); err == nil {
		t.Error("a cache was made below a file")
	}
}
