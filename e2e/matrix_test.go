//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
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
	{network: reserve, dnsmasq: addresses, listeners: `
listener "pxe" {}
listener "dhcp" { mode = "server" }
`},
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

// TestMatrix boots every machine of the list. One boot block and one rule are for
// whoever boots, of whatever kind the machine is, but for the cases that are about
// another way to the same kernel.
func TestMatrix(t *testing.T) {
	t.Parallel()
	var tab results
	begun := time.Now()
	t.Cleanup(func() { t.Logf("%s%.0f s in all", tab.String(), time.Since(begun).Seconds()) }) // when the last has ended
	for _, s := range settings {
		if !slices.ContainsFunc(cases, func(c bootCase) bool { return c.on == s.network }) {
			continue
		}
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
			d := l.serve(t, s.config(t, l, machines))
			for i, m := range machines {
				if m.on != s.network {
					continue
				}
				t.Run(m.machine, func(t *testing.T) {
					t.Parallel()
					var r *running // nil where the machine is skipped
					t.Cleanup(func() { tab.add(i, t, r) })
					r = l.powerOn(t, d, m)
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
func (s setting) config(t *testing.T, l *lab, machines []machine) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nlistener \"tftp\" { address = \"[::]:69\" }\nlistener \"http\" { address = \"[::]:80\" }\n", s.listeners)
	used := map[content]bool{linux: true}
	for i, m := range machines {
		if m.on != s.network {
			continue
		}
		if m.boots == "" {
			m.boots = linux
		}
		used[m.boots] = true
		reserved := ""
		if m.on == reserve {
			reserved = fmt.Sprintf("ip     = \"192.0.2.%d\"", 10+i)
		}
		image := "" // only what has one is asked for it
		if m.boots == native {
			image = unifiedImage(t, l.files+"/x64/linux", l.files+"/x64/initrd", cmdline("ttyS0", m.nonce))
		}
		fmt.Fprintf(&b, `
machine "m%d" {
  mac    = %q
  labels = { nonce = %q, end = %q, boots = %q, image = %q }
  %s
}
`, i, m.mac, m.nonce, m.end, m.boots, image, reserved)
	}
	if s.strangers {
		b.WriteString(`
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
`, disk)
	for _, c := range []content{signed, grub, native, imaged, linux} {
		if !used[c] {
			continue
		}
		if c == native {
			b.WriteString("\nboot \"native\" { efi = machine.labels.image }\n")
		} else {
			at := `"` + l.files + `/${machine.arch}/%s"`
			if c == imaged {
				at = fmt.Sprintf("iso(%q, %q)", cdImage(t, l.files), "/"+onCD+"/%s")
			}
			fmt.Fprintf(&b, `
boot %q {
  kernel  = %s
  initrd  = [%s]
  cmdline = %s
  message = "Hello ; %s"
%s}
`, c, fmt.Sprintf(at, "linux"), fmt.Sprintf(at, "initrd"), `"`+cmdline(`${machine.arch == "arm64" ? "ttyAMA0" : "ttyS0"}`, "${machine.labels.nonce}")+`"`, oddWords, c.loader(t))
		}
		fmt.Fprintf(&b, "\nrule %q {\n", c)
		if c != linux {
			fmt.Fprintf(&b, "  match {\n    labels = { boots = %q }\n  }\n", c)
		}
		fmt.Fprintf(&b, "  boot = boot.%s\n}\n", c)
	}
	return b.String()
}

// cmdline is the command line of a machine with that console. On a busy host the
// kernel would count too few ticks of a timer, and take it for broken.
func cmdline(console, nonce string) string {
	return "console=" + console + " quiet panic=-1 no_timer_check nonce=" + nonce + " " + oddWords
}

// loader is what a boot block says of the way to its kernel.
func (c content) loader(t *testing.T) string {
	t.Helper()
	switch c {
	case signed:
		return fmt.Sprintf("  secure_boot {\n    shim = %q\n    grub = %q\n  }\n",
			need(t, "shim", cached("secureboot", "shimx64.efi")), need(t, "signed GRUB", cached("secureboot", "grubx64.efi")))
	case grub:
		return fmt.Sprintf("  loader = \"grub\"\n  secure_boot {\n    grub = %q\n  }\n", madeGRUB(t))
	}
	return ""
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
	first, times, scripts := "", 0, 0
	for _, request := range all {
		method, target, _ := strings.Cut(request, " ")
		switch file := method + " " + path.Base(target); {
		case target == "/_/ipxe", target == "/boot.ipxe":
			scripts++
		case method == "HEAD", strings.HasPrefix(target, "/_/"):
		case first == "", first == file:
			first = file
			times++
		}
	}
	if first != m.loader {
		t.Errorf("loads %q to begin with, want %q", first, m.loader)
	}
	// EDK2 asks by TFTP for the size, and then for the file. iPXE is asked for its facts
	// by a first script, and told the rest by a second. More is a loop.
	if times > 2 || scripts > 2 {
		t.Errorf("asked %d times for %q, and for %d scripts", times, first, scripts)
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
	rows map[int]string // by the number of the case
}

func (r *results) add(number int, t *testing.T, machine *running) {
	var took time.Duration
	if machine != nil {
		took = time.Since(machine.on)
	}
	verdict := "pass"
	switch {
	case t.Failed():
		verdict = "FAIL"
	case t.Skipped():
		verdict = "skip"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows == nil {
		r.rows = map[int]string{}
	}
	r.rows[number] = fmt.Sprintf("%s, %s\t%s\t%.0f\n", cases[number].machine, cases[number].on, verdict, took.Seconds())
}

// String is the table, in the order of the list.
func (r *results) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\ncase\tverdict\tseconds\n")
	for _, number := range slices.Sorted(maps.Keys(r.rows)) {
		fmt.Fprint(w, r.rows[number])
	}
	w.Flush()
	return b.String()
}
