//go:build e2e

package e2e

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// A rule of the configuration that a test writes: boot with a nonce, or an
// outcome.
type rule struct {
	mac     string
	nonce   string // boots with it on the command line
	outcome string // "local" or "ignore", if nonce is empty
	match   string // further conditions
}

// oddWords stand in every command line and message. iPXE would take them for
// its syntax if they were not written so that it puts them together again.
const oddWords = "a || b ; c && d  #e"

// config writes the daemon's file.
func (l *lab) config(rules ...rule) string {
	var b strings.Builder
	b.WriteString(`
listener "dhcp"   { address = "0.0.0.0:67" }
listener "pxe"    { address = "0.0.0.0:4011" }
listener "tftp"   { address = "[::]:69" }
listener "http"   { address = "[::]:80" }
listener "status" { address = "127.0.0.1:8067" }
`)
	for i, r := range rules {
		outcome := r.outcome + " = true"
		if r.nonce != "" {
			outcome = fmt.Sprintf("boot = boot.b%d", i)
			fmt.Fprintf(&b, `
boot "b%d" {
  kernel  = %q
  initrd  = [%q]
  cmdline = "console=ttyS0 quiet panic=-1 nonce=%s %[5]s"
  message = "Hello ; %[5]s"
}
`, i, l.kernel, l.initrd, r.nonce, oddWords)
		}
		fmt.Fprintf(&b, `
rule "r%d" {
  match {
    mac = [%q]
    %s
  }
  %s
}
`, i, r.mac, r.match, outcome)
	}
	return b.String()
}

// nonce is a word that nothing else prints.
func nonce() string { return strings.ToLower(rand.Text()) }

// boots switches the machine on and holds its command line to the nonce.
func (l *lab) boots(t *testing.T, d *daemon, m machine, want string) {
	t.Helper()
	r := l.powerOn(t, d, m)
	if got := r.nonce(t); got != want {
		t.Errorf("%s booted with nonce %q, want %q", m.mac, got, want)
	}
	if !strings.Contains(r.String(), want+" "+oddWords) {
		t.Errorf("%s did not get its command line word by word", m.mac)
	}
	if !m.uefi && !strings.Contains(r.String(), "Hello ; "+oddWords) { // OVMF moves the cursor about
		t.Errorf("%s did not show its message", m.mac)
	}
}

func TestBoot(t *testing.T) {
	l := newLab(t)
	bios := machine{mac: "52:54:00:00:00:01"}
	e1000 := machine{mac: "52:54:00:00:00:02", nic: "e1000"}
	uefi := machine{mac: "52:54:00:00:00:03", uefi: true}
	uefi2 := machine{mac: "52:54:00:00:00:04", uefi: true}
	rules := []rule{
		{mac: bios.mac, nonce: nonce(), match: `arch = ["x64"]`}, // which iPXE has to ask the CPU
		{mac: e1000.mac, nonce: nonce()},
		{mac: uefi.mac, nonce: nonce()},
		{mac: uefi2.mac, nonce: nonce()},
	}
	d := l.serve(t, l.config(rules...))

	t.Run("BIOS with iPXE in its ROM", func(t *testing.T) { l.boots(t, d, bios, rules[0].nonce) })
	t.Run("UEFI by its own PXE", func(t *testing.T) { l.boots(t, d, uefi, rules[2].nonce) })

	t.Run("the rule was edited", func(t *testing.T) {
		rules[0].nonce = nonce()
		d.save(t, l.config(rules...))
		l.boots(t, d, bios, rules[0].nonce)
	})
	t.Run("the file was saved broken", func(t *testing.T) {
		d.save(t, l.config(rules...)+"\nrule \"half\" {\n")
		l.boots(t, d, e1000, rules[1].nonce)
		d.save(t, l.config(rules...))
	})
	t.Run("four at once", func(t *testing.T) { l.testAtOnce(t, d, []machine{bios, e1000, uefi, uefi2}, rules) })

	for _, m := range []machine{bios, uefi} {
		name := "local disk of a BIOS"
		if m.uefi {
			name = "local disk of a UEFI" // slow: EDK2 tries PXEv6 for a minute first
		}
		t.Run(name, func(t *testing.T) {
			d.save(t, l.config(rule{mac: m.mac, outcome: "local"}))
			m.disk = nonce()
			r := l.powerOn(t, d, m)
			r.awaitDisk(t, m.disk)
			if len(r.from(m.mac)) == 0 {
				t.Error("the machine never asked the network: nothing was tested")
			}
		})
	}
}

// Each machine boots its own command line, whatever the others do.
func (l *lab) testAtOnce(t *testing.T, d *daemon, machines []machine, rules []rule) {
	on := make([]*running, len(machines))
	for i, m := range machines {
		on[i] = l.powerOn(t, d, m)
	}
	for i, m := range machines {
		if got := on[i].nonce(t); got != rules[i].nonce {
			t.Errorf("%s booted with nonce %q, want %q", m.mac, got, rules[i].nonce)
		}
	}
}

// Without a file and a kernel, every machine is shown the rule that would name
// it, and goes on to its disk.
func TestEmbeddedDefault(t *testing.T) {
	l := newLab(t)
	d := l.run(t, "boot")
	bios := machine{mac: "52:54:00:00:00:07", disk: nonce()}
	r := l.powerOn(t, d, bios)
	r.await(t, "rule to paste", regexp.MustCompile(`match \{ (mac = \["`+bios.mac+`"\]) \}`))
	r.awaitDisk(t, bios.disk)
	for _, want := range []string{"architecture x64", "firmware   bios", "address    192.0.2.1"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("the screen does not show %q", want)
		}
	}
}

// An ignored machine gets not one byte of ours. This server has never seen
// another one, whom it might be speaking to.
func TestIgnored(t *testing.T) {
	l := newLab(t)
	bios := machine{mac: "52:54:00:00:00:05", disk: nonce()}
	uefi := machine{mac: "52:54:00:00:00:06", uefi: true}
	d := l.serve(t, l.config(rule{mac: bios.mac, outcome: "ignore"})) // and uefi is not named by any rule
	onBIOS, onUEFI := l.powerOn(t, d, bios), l.powerOn(t, d, uefi)
	onBIOS.awaitDisk(t, bios.disk)
	onUEFI.await(t, "end of its patience", regexp.MustCompile(`(PXE-E16): No valid offer`)) // EDK2's PXE: some 60 s
	for _, r := range []*running{onBIOS, onUEFI} {
		if len(r.from(r.mac)) == 0 {
			t.Errorf("%s never asked the network: nothing was tested", r.mac)
		}
		for _, f := range r.from(l.serverMAC) {
			// What the server's kernel says to the all-routers group by
			// itself is for nobody.
			if dst := f.dst().String(); dst == r.mac || dst == broadcast {
				t.Errorf("the server sent %s a frame: %s", r.mac, f)
			}
		}
	}
}

const broadcast = "ff:ff:ff:ff:ff:ff"
