//go:build e2e

package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

const (
	kills    = 100
	minKills = 10
	// contents is how many kernels differ. Each machine's has an address of its own,
	// so that each is fetched.
	contents   = 10
	kernelSize = 3 << 20 // bytes
)

// killConfig has a machine for each kill, which installs when it is armed, and beside
// it a machine that boots the same kernel whenever it asks.
func killConfig(kills int) string {
	var b strings.Builder
	b.WriteString(`
listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
listener "status" {}
cache {}
boot "install" {
  installs = true
  kernel   = "http://192.0.2.2/${machine.labels.kernel}"
  cmdline  = "auto=true done=${phone_home()}"
}
boot "live" { kernel = "http://192.0.2.2/${machine.labels.kernel}" }
rule "once" {
  match { labels = { role = "install" } }
  boot = boot.install
  once {}
}
rule "live" { boot = boot.live }
`)
	for i := range kills {
		for _, role := range []string{"install", "live"} {
			fmt.Fprintf(&b, "machine \"%s%d\" {\n  mac    = %q\n  labels = { role = %q, kernel = \"kernel%d?%d\" }\n}\n", role, i, killMAC(role, i), role, i%contents, i)
		}
	}
	return b.String()
}

func killMAC(role string, i int) string {
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", map[string]int{"install": 1, "live": 2}[role], i>>8, i&255)
}

// told reports whether a machine was told to install: it has asked for the kernel that
// the script names.
func told(b booted) bool {
	for _, s := range b.Find(pxeclient.StepFetch) {
		if strings.Contains(s.URL, "type=kernel") {
			return true
		}
	}
	return false
}

// TestKills kills the daemon in the middle of the boots of machines that are armed,
// while their kernels are fetched for the first time. No machine is told to install
// in two boots, and no machine takes anything for its kernel that is not, neither
// then nor afterwards from the cache.
func TestKills(t *testing.T) {
	n := max(kills/part(t), minKills)
	l := newLab(t)
	m := l.newMirror("192.0.2.2")
	var digests [contents]string
	for i := range contents {
		content := random(kernelSize, byte(i))
		sum := sha256.Sum256(content)
		digests[i] = hex.EncodeToString(sum[:])
		m.file(fmt.Sprintf("kernel%d", i), content)
	}
	m.start("limit_rate 16m;")
	l.configure(killConfig(n + 1))
	l.serve()

	// The first boot is not killed, and says how long one takes.
	l.pixiecore("arm", fmt.Sprint("install", n))
	began := time.Now()
	if b := l.boot(killMAC("install", n))(); b.Outcome.Action != pxeclient.ActionBoot || !told(b) {
		t.Fatalf("a machine that is armed: %+v, %s", b.Outcome, b.Err)
	}
	took := time.Since(began)

	installed, cut := 0, 0
	for i := range n {
		l.pixiecore("arm", fmt.Sprint("install", i))
		wait := l.boot(killMAC("install", i))
		time.Sleep(took * time.Duration(i*i) / time.Duration(n*n)) // the moments of a boot, closer together where its steps are
		_ = l.daemon.Process.Kill()
		_ = l.daemon.Wait() // it was killed
		l.serve()

		boots := []booted{wait(), l.boot(killMAC("install", i))(), l.boot(killMAC("install", i))()}
		times := 0
		for at, b := range boots {
			if told(b) {
				times++
			}
			if k := b.Outcome.Kernel; k != nil && k.SHA256 != digests[i%contents] {
				t.Errorf("kill %d, boot %d: a kernel of %d bytes with another content", i, at, k.Size)
			}
		}
		if times > 1 {
			t.Errorf("kill %d: %d boots were told to install", i, times)
		}
		installed += times
		if told(boots[0]) && boots[0].Err != "" {
			cut++
		}
		b := l.boot(killMAC("live", i))()
		if k := b.Outcome.Kernel; k == nil || k.SHA256 != digests[i%contents] {
			t.Errorf("kill %d: the kernel from the cache: %+v, %s", i, k, b.Err)
		}
	}
	t.Logf("%d kills in a boot of %s: %d machines were told to install, %d were cut in their kernel", n, took.Round(time.Millisecond), installed, cut)
	if installed == 0 {
		t.Error("no machine was told to install: nothing is shown")
	}
}
