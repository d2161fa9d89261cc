package cli_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// An inventory is an API on the host of the machines.
type inventory struct {
	mu      sync.Mutex
	asked   []string // the request lines
	answers func(r *http.Request) (int, string)
}

func (i *inventory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/files/") {
		io.WriteString(w, strings.Repeat("kernel", 1000))
		return
	}
	i.asked = append(i.asked, r.Method+" "+r.RequestURI)
	status, body := i.answers(r)
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// take returns what was asked since it was called last.
func (i *inventory) take() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	asked := i.asked
	i.asked = nil
	return asked
}

func (i *inventory) say(answers func(*http.Request) (int, string)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers = answers
}

// serve makes the inventory listen at 192.0.2.50:4242.
func (i *inventory) serve(t *testing.T, host *netlab.Host) {
	t.Helper()
	var l net.Listener
	var err error
	host.Do(func() { l, err = net.Listen("tcp", "192.0.2.50:4242") })
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: i}
	done := make(chan struct{})
	go func() {
		srv.Serve(l)
		close(done)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
}

const linux = `{"kernel": "/files/linux", "initrd": ["/files/initrd"], "cmdline": "quiet", "message": "from the inventory"}`

func TestAnAPIDecides(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
boot "inventory" { api = "http://192.0.2.50:4242" }
boot "linux" { kernel = "DIR/kernel" }
rule "api" {
  match { mac = "52:54:00:*" }
  boot = boot.inventory
}
rule "everything-else" { boot = boot.linux }
`)
	api := &inventory{}
	api.say(func(*http.Request) (int, string) { return 200, linux })
	api.serve(t, l.machines)

	b := l.boot("efi-x64", "52:54:00:00:00:01")
	if o := b.Outcome; b.Err != "" || o.Action != pxeclient.ActionBoot || o.Cmdline != "initrd=initrd0 quiet" || !strings.Contains(strings.Join(o.Messages, "\n"), "from the inventory") {
		t.Errorf("got %+v\nerror %s", o, b.Err)
	}
	asked := api.take()
	for _, a := range asked {
		if !strings.HasPrefix(a, "GET /v1/boot/52:54:00:00:00:01?arch=x64&firmware=efi64&") {
			t.Errorf("asked %s", a)
		}
	}
	// iPXE's serial number comes with the last question, and is not asked about
	// again in this boot.
	if first, last := asked[0], asked[len(asked)-1]; strings.Contains(first, "serial=") || !strings.Contains(last, "serial=S%2FN+1") || len(asked) != 2 {
		t.Errorf("asked %q", asked)
	}

	// What it refuses is no matter of the next rule.
	event := func(mac byte, kind, detail string) {
		t.Helper()
		r, err := l.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Machines {
			if m.MAC[5] != mac {
				continue
			}
			for _, e := range m.Events() {
				if e.Kind.String() == kind && strings.Contains(e.Detail, detail) && e.Rule == "api" {
					return
				}
			}
			t.Errorf("no event %s %q among %+v", kind, detail, m.Events())
		}
	}
	api.say(func(*http.Request) (int, string) { return 404, "" })
	l.ignores("efi-x64", "52:54:00:00:00:02")
	event(2, "ignored", "the API at http://192.0.2.50:4242/v1/boot/52:54:00:00:00:02 answers 404 Not Found")

	api.say(func(*http.Request) (int, string) { return 500, "" })
	l.ignores("efi-x64", "52:54:00:00:00:03")
	event(3, "failed", "it answers 500 Internal Server Error")

	// One that fails when the machine has come as far as iPXE: its screen says so,
	// and it asks again by itself.
	failed := false
	api.say(func(r *http.Request) (int, string) {
		if r.URL.Query().Has("serial") && !failed {
			failed = true
			return 503, ""
		}
		return 200, linux
	})
	b = l.boot("efi-x64", "52:54:00:00:00:04")
	if o := b.Outcome; o.Action != pxeclient.ActionBoot || !strings.Contains(strings.Join(o.Messages, "\n"), "it answers 503 Service Unavailable") {
		t.Errorf("got %+v\nerror %s", o, b.Err)
	}
	if b := l.boot("efi-x64", "52:55:00:00:00:01"); b.Outcome.Action != pxeclient.ActionBoot {
		t.Errorf("a machine of another rule: %+v", b)
	}
}

// `pixiecore api` asks as the original did.
func TestAPIWithoutAFile(t *testing.T) {
	t.Parallel()
	lan := netlab.New(t)
	l := &lab{t: t, server: lan.Host("server", "192.0.2.1/24"), machines: lan.Host("machines", "192.0.2.50/24"), log: &syncBuffer{}}
	api := &inventory{}
	api.say(func(*http.Request) (int, string) { return 200, linux })
	api.serve(t, l.machines)
	efi := filepath.Join(t.TempDir(), "efi64")
	if err := os.WriteFile(efi, []byte(strings.Repeat("ipxe.efi", 9000)), 0o644); err != nil {
		t.Fatal(err)
	}
	l.cmd = command("pixiecore", "api", "http://192.0.2.50:4242/netboot", "-d", "-t", "--listen-addr=192.0.2.1", "--port=8080", "--status-port=8067", "--ipxe-efi64", efi)
	l.cmd.Stdout, l.cmd.Stderr = l.log, l.log
	l.server.StartCmd(l.cmd)
	l.await("the daemon to serve", func() bool { _, err := l.status(); return err == nil })
	b := l.boot("efi-x64", "52:54:00:00:00:01")
	if o := b.Outcome; b.Err != "" || o.Action != pxeclient.ActionBoot || o.Cmdline != "initrd=initrd0 quiet" {
		t.Errorf("got %+v\nerror %s\n%s", o, b.Err, l.log)
	}
	if diff := cmp.Diff([]string{"GET /netboot/v1/boot/52:54:00:00:00:01"}, api.take()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
