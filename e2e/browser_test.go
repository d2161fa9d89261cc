//go:build e2e && browser

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var screenshots = flag.Bool("screenshots", false, "write docs/images anew")

// axeVersion is the one that browser/setup has pinned.
const axeVersion = "4.10.3"

// seeLimit is how long a page may take to show what has happened.
const seeLimit = 30 * time.Second

// A tab is a page of a real browser.
type tab struct {
	context.Context
	t   *testing.T
	at  string // http://ADDRESS of the status listener, as this process reaches it
	axe string // the source of axe-core

	mu    sync.Mutex
	wrong []string // what the console has to say
}

// browse opens a browser on the server's loopback.
func (l *lab) browse(t *testing.T) *tab {
	t.Helper()
	chromium := need(t, "Chromium; run e2e/browser/setup", "/usr/bin/chromium")
	cache, err := os.UserCacheDir()
	if err != nil {
		skip(t, "needs a cache directory for axe-core: %v", err)
	}
	axe, err := os.ReadFile(need(t, "axe-core; run e2e/browser/setup", filepath.Join(cache, "pixiecore-e2e", "axe-"+axeVersion+".js")))
	if err != nil {
		t.Fatal(err)
	}
	b := &tab{t: t, at: "http://" + l.forward(t, "127.0.0.1:8067"), axe: string(axe)}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1200, 760), chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	b.Context = ctx
	err = chromedp.Listen(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			text, _ := json.Marshal(e.ExceptionDetails)
			b.complain("exception: " + string(text))
		case *runtime.EventConsoleAPICalled:
			if e.Type == "error" || e.Type == "warning" {
				text, _ := json.Marshal(e.Args)
				b.complain("console: " + string(text))
			}
		case *log.EventEntryAdded: // a policy that is violated, a file that is not there
			if e.Entry.Level == "error" || e.Entry.Level == "warning" {
				b.complain("browser: " + e.Entry.Text + " " + e.Entry.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx); err != nil { // starts it, for as long as the test runs
		t.Fatal(err)
	}
	b.do("start", asks(log.Enable, cdp.Empty{}), asks(runtime.Enable, cdp.Empty{}))
	return b
}

// asks is a command of the protocol.
func asks[P, R any](c cdp.Command[P, R], with P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, with)
		return err
	})
}

func (b *tab) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, what)
}

// do does something, or ends the test.
func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b, seeLimit)
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v; the page shows\n%s\n%s", what, err, b.text(), strings.Join(b.wrong, "\n"))
	}
}

// text is what the page shows, as far as that can be said.
func (b *tab) text() string {
	ctx, stop := context.WithTimeout(b, seeLimit)
	defer stop()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// open loads a page and waits until it follows what happens.
func (b *tab) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.at+path))
	b.sees(path+" that is live", `document.getElementById("connection")?.textContent === "Live"`, seeLimit)
}

// sees waits until an expression is true.
func (b *tab) sees(what, expression string, limit time.Duration) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b, limit)
	defer stop()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(0))); err != nil {
		b.t.Fatalf("%s is not seen: %v; the page shows\n%s", what, err, b.text())
	}
}

// evaluates is the value of an expression.
func evaluates[T any](b *tab, expression string) (v T) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b, seeLimit)
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression[:min(len(expression), 200)], err)
	}
	return v
}

// accessible looks for barriers on the page as it is.
func (b *tab) accessible(what string) {
	b.t.Helper()
	evaluates[bool](b, b.axe+"; true")
	type violation struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	for _, v := range evaluates[[]violation](b, `axe.run(document, { resultTypes: ["violations"] }).then(r => r.violations)`) {
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Errorf("%s: %s: %s: %s: %+v", what, v.Impact, v.ID, v.Help, v.Nodes)
		}
	}
}

// dark and phone are how a page is looked at.
func dark(on bool) chromedp.Action[chromedp.Void] {
	scheme := "light"
	if on {
		scheme = "dark"
	}
	return asks(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

const (
	phoneWidth, phoneHeight = 360, 740
	deskWidth, deskHeight   = 1200, 760
)

// shoot writes an image of what is seen, if that is asked for.
func (b *tab) shoot(name string) {
	b.t.Helper()
	if !*screenshots {
		return
	}
	image, err := chromedp.Run(b, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("..", "docs", "images", name), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// forward makes an address of the server's namespace one of this process's, for a
// browser that is not in there.
func (l *lab) forward(t *testing.T, to string) string {
	t.Helper()
	sock, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	go func() {
		for {
			near, err := sock.Accept()
			if err != nil {
				return
			}
			var far net.Conn
			l.server.Do(func() { far, err = net.Dial("tcp", to) })
			if err != nil {
				near.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					io.Copy(pair[0], pair[1])
					pair[0].Close()
				}()
			}
		}
	}()
	return sock.Addr().String()
}

// row is the text of a machine's row in the list.
func row(mac string) string {
	return fmt.Sprintf(`(document.getElementById("m-%s")?.innerText ?? "")`, mac)
}

// A real browser shows what machines do while they do it: one that is simulated, and
// one that QEMU boots. Its console has nothing to say, and the page no barrier, light
// or dark, wide or narrow, by the keyboard alone and without JavaScript.
func TestBrowserSeesMachinesBoot(t *testing.T) {
	l := newLab(t)
	const simulated, real, stranger = "52:54:00:aa:00:01", "52:54:00:aa:00:02", "00:80:77:00:00:03"
	config := fmt.Sprintf(`
listener "dhcp"   { address = "0.0.0.0:67" }
listener "pxe"    { address = "0.0.0.0:4011" }
listener "tftp"   { address = "[::]:69" }
listener "http"   { address = "[::]:80" }
listener "status" { address = "127.0.0.1:8067" }

machine "db1" {
  mac    = %q
  labels = { role = "database" }
}
machine "web1" { mac = %q }

boot "live" {
  kernel  = %q
  initrd  = [%q]
  cmdline = "console=ttyS0 quiet panic=-1 nonce=seen host=${machine.name} answers=${url(file.answers)}"
  file "answers" {
    content = "root-password hush-hush"
    secret  = true
  }
}
rule "printers" {
  match { mac = "00:80:77:*" }
  ignore = true
}
rule "databases" {
  match { labels = { role = "database" } }
  boot = boot.live
}
rule "lab" {
  match {
    mac  = ["52:54:00:*"]
    arch = ["x64"]
  }
  boot = boot.live
}
`, simulated, real, filepath.Join(l.files, "x64", "linux"), filepath.Join(l.files, "x64", "initrd"))
	bin := daemonBinary(t)
	t.Setenv("PIXIECORE_BIN", bin)
	d := l.serve(t, config)
	b := l.browse(t)
	b.open("/")
	if got := evaluates[string](b, `document.getElementById("list").innerText`); !strings.Contains(got, "No machine has asked yet") {
		t.Errorf("at first the list says %q", got)
	}
	evaluates[bool](b, `window.stays = true`) // and is gone if the page is loaded anew

	// A machine that is simulated.
	// Who is ignored tries as long as a ROM does, so that is not waited for.
	start(t, l.Host("stranger", "192.0.2.61/24"), exec.Command(bin, "simulate", "--interface", "eth0", "--mac", stranger, "--client", "bios"))
	start(t, l.Host("client", "192.0.2.60/24"), exec.Command(bin, "simulate", "--interface", "eth0", "--mac", simulated, "--client", "efi-x64"))
	b.sees("the boot that was simulated", row(simulated)+`.includes("booted")`, seeLimit)
	if got := evaluates[string](b, row(simulated)); !strings.Contains(got, "db1") || !strings.Contains(got, "databases") || !strings.Contains(got, "live") {
		t.Errorf("its row: %q", got)
	}
	b.sees("the machine that is ignored", row(stranger)+`.includes("ignored")`, seeLimit)

	// A machine of QEMU's, seen while it boots.
	m := machine{bootCase: bootCase{machine: "BIOS", platform: seabios, on: settings[0].network, end: kernel}, mac: real, nonce: "seen"}
	r := l.powerOn(t, d, m)
	b.sees("a machine that boots", row(real)+`.includes("booting")`, bootLimit)
	b.shoot("machines.png")
	b.sees("its end", row(real)+`.includes("booted")`, bootLimit)
	if got := r.nonce(t); got != "seen" {
		t.Errorf("the machine booted with %q", got)
	}

	if !evaluates[bool](b, `window.stays === true`) {
		t.Error("the page was loaded anew")
	}
	b.open("/machines/" + real)
	b.shoot("machine.png")
	b.do("a phone in the dark", chromedp.EmulateViewport(phoneWidth, phoneHeight), dark(true))
	b.open("/")
	b.shoot("phone-dark.png")
	b.do("a desk", chromedp.EmulateViewport(deskWidth, deskHeight), dark(false))

	// An edit with an error.
	d.save(t, config+"\nrule \"typo\" { bot = boot.live }\n")
	b.sees("the edit that is refused", `document.getElementById("notices").innerText.includes("Edit refused")`, seeLimit)

	// By the keyboard.
	b.do("keys", chromedp.KeyEvent("/"))
	if got := evaluates[string](b, `document.activeElement.id`); got != "q" {
		t.Errorf("/ leads to %q", got)
	}
	// The protocol sends a key's character by itself, whatever became of the key.
	evaluates[string](b, `document.getElementById("q").value = ""`)
	b.do("keys", chromedp.KeyEvent("web1"))
	b.sees("what is looked for", fmt.Sprintf(`document.querySelectorAll("#list tbody tr").length === 1 && %s.includes("web1")`, row(real)), seeLimit)
	if got := evaluates[string](b, `location.search`); got != "?q=web1" {
		t.Errorf("the address ends in %q", got)
	}
	b.open("/")
	b.do("keys", chromedp.KeyEvent(kb.Tab))
	if got := evaluates[string](b, `document.activeElement.textContent`); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}

	paths := []string{"/", "/?q=nobody", "/machines/" + real, "/machines/" + simulated, "/configuration", "/server"}
	for _, narrow := range []bool{false, true} {
		width, height := deskWidth, deskHeight
		if narrow {
			width, height = phoneWidth, phoneHeight
		}
		b.do("size", chromedp.EmulateViewport(int64(width), int64(height)))
		for _, at := range []bool{false, true} {
			b.do("scheme", dark(at))
			for _, path := range paths {
				b.open(path)
				what := fmt.Sprintf("%s, %d wide, dark %v", path, width, at)
				b.accessible(what)
				if got := evaluates[int](b, `document.documentElement.scrollWidth`); got > width {
					t.Errorf("%s: the page is %d wide", what, got)
				}
				if body := evaluates[string](b, `document.documentElement.outerHTML`); strings.Contains(body, "hush-hush") {
					t.Errorf("%s: a secret stands on the page", what)
				}
			}
		}
	}
	if background := evaluates[string](b, `getComputedStyle(document.documentElement).backgroundColor`); background != "rgb(20, 24, 26)" {
		t.Errorf("dark is %s", background)
	}

	// Without JavaScript.
	b.do("no script", asks(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(b.at+"/"))
	text, err := chromedp.Run(b, chromedp.Text(chromedp.CSS("#list")))
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{"db1", "web1", "booted", "ignored"} {
		if !strings.Contains(text, want) {
			t.Errorf("without JavaScript the list has no %q:\n%s", want, text)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.wrong) > 0 {
		t.Errorf("the browser complains:\n%s", strings.Join(b.wrong, "\n"))
	}
}
