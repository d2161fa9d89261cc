//go:build e2e

package e2e

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

const proxy = `
listener "dhcp" {}
listener "pxe" {}
`

// A setting is how a network is made.
type setting struct {
	network
	dnsmasq   []string // what the other server does; nil: there is none
	listeners string   // and other blocks
	strangers bool     // no rule is for those without an outcome of their own
}

var settings = []setting{
	{network: beside, dnsmasq: addresses, listeners: proxy},
	{network: ignored, dnsmasq: addresses, listeners: proxy, strangers: true},
	{network: older, dnsmasq: addresses, listeners: proxy + `
ipxe {
  bios  = "` + cached("bookworm", "undionly.kpxe") + `"
  efi64 = "` + cached("bookworm", "snponly.efi") + `"
}
`},
	{network: alone, listeners: `
listener "pxe" {}
listener "dhcp" {
  mode = "server"
  pool {
    start = "192.0.2.100"
    size  = 50
  }
}
`},
	{network: beside6, dnsmasq: routed6, listeners: `listener "dhcp6" {}`},
	{network: alone6, dnsmasq: append([]string{"--dhcp-ignore=tag:!known"}, routed6...), listeners: `
listener "dhcp6" {
  pool {
    start = "2001:db8::1000"
    size  = 50
  }
}
`},
}

var (
	// An ordinary DHCP server: addresses, and not a word of booting.
	addresses = []string{"--dhcp-range=192.0.2.100,192.0.2.199,10m", "--dhcp-authoritative", "--no-ping", "--dhcp-option=option:router"}
	// It announces, as every router, that there is a DHCPv6 server, and is it.
	routed6 = []string{"--enable-ra", "--dhcp-range=2001:db8::2000,2001:db8::2fff,64,10m"}
)

// TestMatrix boots every machine of the list. All networks have one boot block and
// one rule for whoever boots: what the machine is must not matter.
func TestMatrix(t *testing.T) {
	var tab results
	t.Cleanup(func() { t.Log(tab.String()) }) // when the last has ended
	for _, s := range settings {
		t.Run(string(s.network), func(t *testing.T) {
			t.Parallel()
			l := newSegment(t)
			if s.dnsmasq != nil {
				l.dnsmasq(t, s.dnsmasq...)
			}
			machines := make([]machine, len(cases))
			for i, c := range cases {
				machines[i] = machine{bootCase: c, mac: fmt.Sprintf("52:54:00:00:01:%02x", i), nonce: nonce()}
			}
			d := l.serve(t, s.config(l, machines))
			for _, m := range machines {
				if m.on != s.network {
					continue
				}
				t.Run(m.machine, func(t *testing.T) {
					t.Parallel()
					r := l.powerOn(t, d, m)
					t.Cleanup(func() { tab.add(m, t, time.Since(r.on)) })
					r.proves(t, d, m)
					if *record {
						r.writeRequests(t, m)
					}
				})
			}
		})
	}
}

// config is the daemon's file for the machines on a network.
func (s setting) config(l *lab, machines []machine) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
%s
listener "tftp" { address = "[::]:69" }
listener "http" { address = "[::]:80" }

boot "linux" {
  kernel  = "%[2]s/${machine.arch}/linux"
  initrd  = ["%[2]s/${machine.arch}/initrd"]
  cmdline = "console=${machine.arch == "arm64" ? "ttyAMA0" : "ttyS0"} quiet panic=-1 nonce=${machine.labels.nonce} %[3]s"
  message = "Hello ; %[3]s"
}
`, s.listeners, l.files, oddWords)
	for i, m := range machines {
		if m.on == s.network {
			fmt.Fprintf(&b, `
machine "m%d" {
  mac    = %q
  labels = { nonce = %q, end = %q }
}
`, i, m.mac, m.nonce, m.end)
		}
	}
	if s.strangers {
		fmt.Fprintf(&b, `
rule "to be ignored" {
  match {
    firmware = ["bios"] # and no rule is for the others
  }
  ignore = true
}
`)
		return b.String()
	}
	fmt.Fprintf(&b, `
rule "own disk" {
  match {
    labels = { end = %q }
  }
  local = true
}
rule "everybody else" { boot = boot.linux }
`, disk)
	return b.String()
}

// proves holds a machine that is on to what its case says.
func (r *running) proves(t *testing.T, d *daemon, m machine) {
	t.Helper()
	switch m.end {
	case kernel:
		if got := r.nonce(t); got != m.nonce {
			t.Errorf("booted with nonce %q, want %q", got, m.nonce)
		}
		if !strings.Contains(r.String(), m.nonce+" "+oddWords) {
			t.Error("the command line did not come word by word")
		}
		if m.platform == seabios && !strings.Contains(r.String(), "Hello ; "+oddWords) { // UEFI moves the cursor about
			t.Error("the message was not shown")
		}
		if m.platform == secured && !locked.MatchString(r.String()) {
			t.Error("the kernel does not know of Secure Boot")
		}
	case disk:
		r.awaitDisk(t, m.nonce)
	case nothing:
		r.await(t, "end of its patience", regexp.MustCompile(`(PXE-E16): No valid offer`)) // EDK2's PXE: some 60 s
	}
	if len(r.from(m.mac)) == 0 {
		t.Error("the machine never asked the network: nothing was tested")
	}
	r.fetched(t, m)
	if m.on == ignored {
		r.untouched(t)
	}
}

// locked matches the line of a kernel that Secure Boot has locked down.
var locked = regexp.MustCompile(regexp.QuoteMeta(lockdownMark) + `.*\[integrity\]`)

// fetched holds what the machine asked for to its case: the way by which it came to
// its loader, and that it came to its script by no detour.
func (r *running) fetched(t *testing.T, m machine) {
	t.Helper()
	all := r.requests(m.mac)
	loader, loaders, scripts := "", 0, 0
	for _, request := range all {
		method, target, _ := strings.Cut(request, " ")
		switch file := path.Base(target); {
		case target == "/_/ipxe", target == "/boot.ipxe":
			scripts++
		case method == "HEAD", strings.HasPrefix(target, "/_/"), file == "autoexec.ipxe":
		default:
			loader = method + " " + file
			loaders++
		}
	}
	if loader != m.loader {
		t.Errorf("loads %q to begin with, want %q", loader, m.loader)
	}
	// EDK2 asks by TFTP for the size, and then for the file. iPXE is asked for its facts
	// by a first script, and told the rest by a second. More is a loop.
	if loaders > 2 || scripts > 2 {
		t.Errorf("asked for %d loaders and %d scripts", loaders, scripts)
	}
	if t.Failed() {
		t.Logf("asked for %q", all)
	}
}

// untouched says that the machine did not get one byte of ours. The server must
// never have seen another one, whom it might be speaking to.
func (r *running) untouched(t *testing.T) {
	t.Helper()
	for _, f := range r.from(r.serverMAC) {
		// What the server's kernel says to the all-routers group by itself is for
		// nobody.
		if dst := f.dst().String(); dst == r.mac || dst == broadcast {
			t.Errorf("the server sent %s a frame: %s", r.mac, f)
		}
	}
}

const broadcast = "ff:ff:ff:ff:ff:ff"

// results are what became of the cases.
type results struct {
	mu   sync.Mutex
	rows []string
}

func (r *results) add(m machine, t *testing.T, took time.Duration) {
	verdict := "pass"
	switch {
	case t.Failed():
		verdict = "FAIL"
	case t.Skipped():
		verdict = "skip"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, fmt.Sprintf("%s, %s\t%s\t%.0f\n", m.machine, m.on, verdict, took.Seconds()))
}

// String is the table, in the order in which the cases ended.
func (r *results) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\ncase\tverdict\tseconds\n", strings.Join(r.rows, ""))
	w.Flush()
	return b.String()
}
