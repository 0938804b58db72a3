package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browserEnv set to "required" makes a missing browser an error: continuous
// integration does.
const browserEnv = "VATWORKERD_BROWSER"

// browser starts a headless Chromium.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv(browserEnv) == "required" {
			t.Fatal("there is no Chromium")
		}
		t.Skip("NOT TESTED: the pages in a browser, as there is no Chromium (apt-get install chromium)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(time.Minute), chromedp.Env("HOME="+t.TempDir()),
	)
	ctx, stopAllocator := chromedp.NewExecAllocator(t.Context(), opts...)
	tab, stop := chromedp.NewContext(ctx)
	ctx = tab
	t.Cleanup(func() {
		_ = chromedp.Cancel(tab) // closes the browser and waits for its end
		stop()
		stopAllocator()
	})
	if err := chromedp.Do(ctx); err != nil { // starts it
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// looksRight demands of the page that is shown: no sideways scrolling, a name
// for every picture and field, rows that are as wide as their table's head.
const looksRight = `(() => {
	const wrong = [];
	if (document.documentElement.scrollWidth > innerWidth) wrong.push('it scrolls sideways: ' + document.documentElement.scrollWidth);
	for (const svg of document.querySelectorAll('svg')) if (!svg.getAttribute('aria-label')) wrong.push('a picture without words');
	for (const input of document.querySelectorAll('input:not([type=hidden]), select')) if (!input.labels.length) wrong.push('a field without a label');
	for (const table of document.querySelectorAll('table')) {
		const head = table.tHead ? table.tHead.rows[0].cells.length : 0;
		for (const row of head ? table.tBodies[0].rows : []) {
			const cells = [...row.cells].reduce((n, c) => n + c.colSpan, 0);
			if (cells !== head) wrong.push('a row of ' + cells + ' cells below a head of ' + head);
		}
	}
	if (document.querySelectorAll('script').length) wrong.push('a script');
	if (getComputedStyle(document.body).maxWidth === 'none') wrong.push('no style');
	return wrong.join('; ');
})()`

func TestPagesInABrowser(t *testing.T) {
	r, url := served(t)
	r.ok("vat", "pause", "bob", "--db", "db")
	ctx := browser(t)
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	for _, width := range []int64{1280, 400} {
		for _, path := range []string{"/", "/vats", "/vats/v2", "/vats/v3", "/troubles", "/nothing"} {
			do(chromedp.EmulateViewport(width, 900), chromedp.Navigate(url+path))
			if wrong := shown(ctx, t, chromedp.Evaluate[string](looksRight)); wrong != "" {
				t.Errorf("%s at a width of %d: %s", path, width, wrong)
			}
			screenshot(ctx, t, path, width)
		}
	}
	// From page to page, as a person would go.
	do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url+"/"), chromedp.Click("nav a[href='/vats']"), chromedp.WaitVisible("form"),
		chromedp.SendKeys("input[name=q]", "BO"), chromedp.SetValue("select[name=state]", "paused"), chromedp.Click("form button"))
	shows(ctx, t, "1 shown")
	if text := shown(ctx, t, chromedp.Text("tbody")); !strings.Contains(text, "bob") || strings.Contains(text, "alice") {
		t.Errorf("the list has %q", text)
	}
	do(chromedp.Click("tbody a"), chromedp.WaitVisible("figure"))
	if title := shown(ctx, t, chromedp.Title()); !strings.Contains(title, "v3 bob") {
		t.Errorf("the page of bob is called %q", title)
	}
	do(chromedp.Navigate(url+"/vats"), chromedp.Click("th:nth-child(2) a"), chromedp.WaitVisible("th:nth-child(2)[aria-sort=ascending]"))
	if text := shown(ctx, t, chromedp.Text("tbody tr:first-child")); !strings.Contains(text, "alice") {
		t.Errorf("by name, %q is first", text)
	}
	do(chromedp.Click("footer a"))
	shows(ctx, t, "It stays as it is")
}

func shown[T any](ctx context.Context, t *testing.T, what chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(ctx, what)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// shows waits until the page has a text. While another page comes there is none to
// ask.
func shows(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	eventually(t, text+" in the browser", func() bool {
		has, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("document.body.innerText.includes("+strconv.Quote(text)+")"))
		return has && err == nil
	})
}

// screenshotEnv names a directory for pictures of the pages, for people.
const screenshotEnv = "VATWORKERD_SCREENSHOTS"

func screenshot(ctx context.Context, t *testing.T, path string, width int64) {
	dir := os.Getenv(screenshotEnv)
	if dir == "" {
		return
	}
	picture := shown(ctx, t, chromedp.FullScreenshot(100))
	name := strings.Trim(strings.ReplaceAll(path, "/", "-"), "-") + "-" + strconv.FormatInt(width, 10) + ".png"
	if err := os.WriteFile(filepath.Join(dir, name), picture, 0o600); err != nil {
		t.Fatal(err)
	}
}
