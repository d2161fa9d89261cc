package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// teller starts bootipv6 or ipv6api beside the daemon of the lab, which has the files,
// and waits until it tells its service manager that it is ready.
func (l *lab) teller(args ...string) *syncBuffer {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { notify.Close() })
	log := &syncBuffer{}
	cmd := command("pixiecore", append(args, "--listen-addr", "2001:db8::1", "--log-format", "classic")...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	cmd.Stdout, cmd.Stderr = log, log
	l.server.StartCmd(cmd)
	l.t.Cleanup(func() {
		if l.t.Failed() {
			l.t.Logf("%s:\n%s", args[0], log)
		}
	})
	notify.SetReadDeadline(time.Now().Add(patience))
	for b := make([]byte, 4096); ; {
		n, err := notify.Read(b)
		if err != nil {
			l.t.Fatalf("%s does not say that it is ready: %v\n%s", args[0], err, log)
		}
		if strings.Contains(string(b[:n]), "READY=1") {
			return log
		}
	}
}

// lease6 is what ISC's client is leased by DHCPv6 that says it is of an architecture:
// its options, by name.
func (l *lab) lease6(arch uint16) map[string]string {
	l.t.Helper()
	dir := l.t.TempDir()
	conf, leases := filepath.Join(dir, "conf"), filepath.Join(dir, "leases")
	text := fmt.Sprintf("send dhcp6.client-arch-type %d;\nalso request dhcp6.bootfile-url, dhcp6.name-servers;\n", arch)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
	cmd := l.machines.Start("dhclient", "-6", "-d", "-cf", conf, "-lf", leases, "-pf", filepath.Join(dir, "pid"), "-sf", "/bin/true", "eth0")
	said := regexp.MustCompile(`(?m)^\s*(iaaddr|option \S+) ([^;{]+?)\s*[;{]`)
	quoted := regexp.MustCompile(`default-duid "(\\.|[^"\\])*"`) // any octets, braces among them
	got := map[string]string{}
	l.await("dhclient to have an address", func() bool {
		b, _ := os.ReadFile(leases)
		b = quoted.ReplaceAll(b, nil)
		for _, m := range said.FindAllStringSubmatch(string(b), -1) {
			got[strings.TrimPrefix(m[1], "option dhcp6.")] = strings.Trim(m[2], `"`)
		}
		return got["iaaddr"] != "" && bytes.Count(b, []byte("{")) == bytes.Count(b, []byte("}"))
	})
	cmd.Process.Kill()
	cmd.Wait()
	return got
}

// load fetches what a machine is told to boot, as its firmware does.
func (l *lab) load(address string) (body string) {
	l.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		l.t.Fatal(err)
	}
	host, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		l.t.Fatal(err)
	}
	l.machines.Do(func() {
		if u.Scheme == "tftp" {
			var b []byte
			b, err = pxeclient.Fetch(l.t.Context(), netip.AddrPortFrom(host, 69), strings.TrimPrefix(u.Path, "/"), pxeclient.FetchOptions{})
			body = string(b)
			return
		}
		var c net.Conn
		if c, err = net.DialTimeout("tcp", netip.AddrPortFrom(host, 80).String(), patience); err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", u.Path)
		var b []byte
		b, err = io.ReadAll(c)
		_, body, _ = strings.Cut(string(b), "\r\n\r\n")
	})
	if err != nil {
		l.t.Errorf("%s: %v", address, err)
	}
	return body
}

const (
	byTFTP = "tftp://[2001:db8::1]/ipxe-x64.efi"
	byHTTP = "http://[2001:db8::1]/ipxe-arm64.efi"
)

// TestBootIPv6 has ISC's client be told by the original's command what to boot, and
// loads it.
func TestBootIPv6(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "dhclient")
	l := newLab6(t, "")
	log := l.teller("bootipv6", "--ipxe-url", byTFTP, "--httpboot-url", byHTTP, "--preference", "7", "--dns-servers", "2001:db8::53",
		"--address-pool-start", "2001:db8::1000", "--address-pool-size", "16", "--address-pool-lifetime", "600")
	for arch, want := range map[uint16]struct{ url, file string }{7: {byTFTP, "ipxe.efi"}, 16: {byHTTP, "ipxe.arm"}} {
		got := l.lease6(arch)
		if a, err := netip.ParseAddr(got["iaaddr"]); err != nil || !netip.MustParsePrefix("2001:db8::1000/124").Contains(a) {
			t.Errorf("type %d: address %q", arch, got["iaaddr"])
		}
		if got["bootfile-url"] != want.url || got["name-servers"] != "2001:db8::53" {
			t.Errorf("type %d: told %v", arch, got)
		}
		if body := l.load(want.url); body != strings.Repeat(want.file, 9000) {
			t.Errorf("type %d: %d bytes", arch, len(body))
		}
	}
	for _, want := range []string{"Every machine that boots from the network gets " + byTFTP, "[dhcpv6] "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
}

// TestIPv6API has an API of the test decide what ISC's client boots.
func TestIPv6API(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "dhclient")
	l := newLab6(t, "")
	api := &inventory{}
	answer := byTFTP + "\n"
	api.say(func(r *http.Request) (int, string) { return 200, answer })
	api.serve(t, l.machines)
	l.teller("ipv6api", "--api-request-url", "http://192.0.2.50:4242/netboot", "--address-pool-start", "2001:db8::1000", "--address-pool-size", "16")
	var hw net.HardwareAddr
	l.machines.Do(func() {
		if i, err := net.InterfaceByName("eth0"); err == nil {
			hw = i.HardwareAddr
		}
	})
	got := l.lease6(7)
	if got["bootfile-url"] != byTFTP || l.load(byTFTP) != strings.Repeat("ipxe.efi", 9000) {
		t.Errorf("told %v", got)
	}
	// ADVERTISE and REPLY each ask.
	want := fmt.Sprintf("GET /netboot/v1/boot/%x/7", []byte(hw))
	if diff := cmp.Diff([]string{want, want}, api.take()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
