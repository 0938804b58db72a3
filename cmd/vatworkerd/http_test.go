package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vatworkerd/internal/testrig"
	"vatworkerd/pipeproto"
)

var pageAddress = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// served is a rig whose vats a process stays with that also serves pages, at url.
func served(t *testing.T) (r *rig, url string) {
	t.Helper()
	r = newRig(t)
	r.writeConfig("config.json", threeVats)
	r.staying = &staying{rig: r}
	r.staying.start("--http", "127.0.0.1:0")
	url = pageAddress.FindString(r.staying.stderr.String())
	if url == "" {
		t.Fatalf("no address is told: %s", r.staying.stderr)
	}
	return r, url
}

func fetch(t *testing.T, url string) (status int, text string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestPagesOfRealVats(t *testing.T) {
	r, url := served(t)
	r.ok("send", "alice", "count", "--db", "db")
	r.ok("vat", "pause", "bob", "--reason", "too <b>loud</b>", "--db", "db")
	for path, want := range map[string][]string{
		"/":               {"Overview", "alice", "Page-ins by how long they took", "It does nothing at the moment."},
		"/vats":           {"alice", "bob", "paused", "offline"},
		"/vats?q=bob":     {"1 shown", "bob"},
		"/vats/alice":     {"v2 alice", "running", "Heap at each snapshot"},
		"/vats/v3":        {"too &lt;b&gt;loud&lt;/b&gt;"},
		"/vats/v1":        {"greeted alice"},
		"/troubles":       {"There is no panic."},
		"/healthz":        {"ok, height"},
		"/?format=json":   {`"health": "ok"`, `"activityHash"`},
		"/vats/carol":     {"there is no vat"},
		"/something/else": {"there is no such page"},
	} {
		eventually(t, fmt.Sprintf("%q in %s", want, path), func() bool { // what is shown may be of a moment ago
			_, text := fetch(t, url+path)
			return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(text, w) })
		})
	}
	_, text := fetch(t, url+"/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := all["vatworkerd_vats_paused"].GetMetric()[0].GetGauge().GetValue(); got != 1 {
		t.Errorf("%v vats are paused", got)
	}
	if got := all["vatworkerd_delivery_seconds"].GetMetric()[0].GetHistogram().GetSampleCount(); got == 0 {
		t.Error("no delivery was counted")
	}
}

// The pages of a process that stays outlive its daemon.
func TestPagesOutliveADaemon(t *testing.T) {
	r, url := served(t)
	var before struct {
		Live pipeproto.Live `json:"live"`
	}
	_, text := fetch(t, url+"/?format=json")
	if err := json.Unmarshal([]byte(text), &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(before.Live.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "page of another daemon", func() bool {
		status, text := fetch(t, url+"/?format=json")
		after := before
		return status == http.StatusOK && json.Unmarshal([]byte(text), &after) == nil && after.Live.PID != before.Live.PID
	})
	r.ok("send", "alice", "count", "--db", "db")
}

func TestPagesOfAServe(t *testing.T) {
	r := newRig(t)
	h := r.foreign("db", "--http", "127.0.0.1:0", "--log-level", "info")
	defer h.end()
	h.call(t, pipeproto.ReqAddBundle, pipeproto.AddBundle{ID: "b1-x", Data: testrig.ReadBundle(t, "counter")})
	h.call(t, pipeproto.ReqCreateVat, pipeproto.CreateVat{VatID: "v1", Name: "alice", BundleID: "b1-x"})
	url := ""
	eventually(t, "address", func() bool {
		url = pageAddress.FindString(h.stderr.String())
		return url != ""
	})
	eventually(t, "page of alice", func() bool { // before it had a database the pages have told so
		status, text := fetch(t, url+"/vats")
		return status == http.StatusOK && strings.Contains(text, "alice")
	})
}

func TestPageFlags(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	for flags, want := range map[string]string{
		"--http 127.0.0.1:0":                    "cannot use --http without --stay",
		"--http-anywhere":                       "without --http",
		"--stay --db db --http 0.0.0.0:0":       "hint: --http-anywhere allows it",
		"--stay --db db --http nonsense":        "cannot listen on \"nonsense\"",
		"--stay --db db --http 127.0.0.1:70000": "cannot serve pages",
	} {
		out := r.run(append([]string{"run", "config.json"}, strings.Fields(flags)...)...)
		if out.code != exitUsage || !strings.Contains(out.stderr, want) {
			t.Errorf("%s: exit %d, %s", flags, out.code, out.stderr)
		}
	}
}
