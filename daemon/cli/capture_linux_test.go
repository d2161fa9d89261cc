package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// What a daemon saw of a machine that has booted is a file that tcpdump reads, and
// what it sees next is written as it comes.
func TestCapture(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "tcpdump")
	l := newLab(t, rules)
	dir := t.TempDir()
	size := func(file string) int64 {
		st, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return st.Size()
	}
	control := filepath.Dir(l.config) + "/control.sock"
	const mac = "52:54:00:00:09:01"
	if out, err := command("pixiecore", "capture", mac, "-o", dir+"/none", "--control", control).CombinedOutput(); err == nil || !strings.Contains(string(out), "no packet of this machine") {
		t.Errorf("of a stranger: %v\n%s", err, out)
	}
	followed := dir + "/followed.pcapng"
	follow := command("pixiecore", "capture", mac, "-o", followed, "--follow", "--control", control)
	l.server.StartCmd(follow)
	l.await("the capture to begin", func() bool { return size(followed) > 0 })
	if b := l.boot("efi-x64", mac); b.Err != "" {
		t.Fatal(b.Err)
	}
	file := dir + "/all.pcapng"
	if out, err := command("pixiecore", "capture", mac, "-o", file, "--control", control).CombinedOutput(); err != nil || !strings.Contains(string(out), "written") {
		t.Fatalf("%v\n%s", err, out)
	}
	l.await("the packets that were followed", func() bool { return size(followed) == size(file) })
	out, err := exec.Command("tcpdump", "-n", "-vv", "-r", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"BOOTP/DHCP, Request from " + mac, "DHCP-Message (53), length 1: Discover", "192.0.2.1.67 > 255.255.255.255.68", "192.0.2.50.68 > 192.0.2.1.4011",
		"192.0.2.1.4011 > 192.0.2.50.68", "/ipxe.efi\" octet", "/autoexec.ipxe\" octet",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}

	// The configuration that has answered would answer the same; another would not.
	replay := func(config string) (string, error) {
		out, err := command("pixiecore", "replay", file, "--config", config).CombinedOutput()
		return string(out), err
	}
	if out, err := replay(l.config); err != nil || !strings.Contains(out, "Requests for a boot: 3, of which 0 would be answered in another way. Other requests: 0.") {
		t.Errorf("by the same configuration: %v\n%s", err, out)
	}
	src, err := os.ReadFile(l.config)
	if err != nil {
		t.Fatal(err)
	}
	next := dir + "/next.hcl"
	if err := os.WriteFile(next, []byte(strings.Replace(string(src), "52:54:00:00:00:*", "52:54:00:00:09:*", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := replay(next); err == nil || !strings.Contains(out, "of which 3 would") || !strings.Contains(out, "ignored") {
		t.Errorf("by another: %v\n%s", err, out)
	}
}
