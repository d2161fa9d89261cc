package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
	"github.com/pixiecore/pixiecore/protocols/stalls"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

// sends sends a DHCP packet as a machine does, from an address to which answers go
// that nobody reads, and waits until the daemon has noted it.
func (b *booting) sends(role dhcp4.Role, packet *dhcpv4.DHCPv4, until events.Kind) {
	b.t.Helper()
	packet.ClientIPAddr = net.IPv4(127, 0, 0, 1)
	was := b.times(until)
	for _, l := range b.d.listeners {
		if s, ok := l.server.(*dhcp4.Server); ok && s.Role == role {
			conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Conn.LocalAddr().Port())))
			must(b.t, err)
			defer conn.Close()
			_, err = conn.Write(packet.ToBytes())
			must(b.t, err)
		}
	}
	b.await(until.String(), func() bool { return b.times(until) > was })
}

func (b *booting) await(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: nothing of it was noted", what)
		}
	}
}

// times is how often something happened to the machine.
func (b *booting) times(k events.Kind) (n int) {
	m, _ := b.d.events.Machine([6]byte(b.mac))
	for _, e := range m.Events() {
		if e.Kind == k {
			n += e.Count
		}
	}
	return n
}

// discovers sends a firmware's DISCOVER, and waits for what becomes of it.
func (b *booting) discovers(profile string, until events.Kind) {
	b.t.Helper()
	firmware, err := pxeclient.ProfileByName(profile)
	must(b.t, err)
	b.sends(dhcp4.ProxyDHCP, firmware.Discover(b.mac, [4]byte{b.boot, byte(len(profile))}, [16]byte{1}), until)
}

// chooses broadcasts the REQUEST for the address that another DHCP server offers.
func (b *booting) chooses(server string) {
	b.t.Helper()
	p, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest), dhcpv4.WithHwAddr(b.mac),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(server))))
	must(b.t, err)
	b.sends(dhcp4.ProxyDHCP, p, events.Address)
}

// loads fetches a file by TFTP, and waits until the daemon has noted that it is whole.
func (b *booting) loads(name string, as events.Kind) {
	b.t.Helper()
	_, err := pxeclient.Fetch(b.t.Context(), service[*tftp.Server](b.t, b.d).Conn.LocalAddr(), b.token()+"/"+name, pxeclient.FetchOptions{})
	must(b.t, err)
	b.ended(as)
}

// ended waits for the end of a transfer.
func (b *booting) ended(k events.Kind) {
	b.t.Helper()
	b.await("the end of the "+k.String(), func() bool {
		m, _ := b.d.events.Machine([6]byte(b.mac))
		e := m.Current().Find(k)
		return e != nil && !e.Active
	})
}

// fetches begins to fetch a URL of the daemon, and returns the connection's end.
func (b *booting) fetches(url string) (body io.ReadCloser, hangUp func()) {
	b.t.Helper()
	ctx, hangUp := context.WithCancel(b.t.Context())
	b.t.Cleanup(hangUp)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	must(b.t, err)
	resp, err := http.DefaultClient.Do(req)
	must(b.t, err)
	return resp.Body, hangUp
}

// Each diagnosis, by a machine that stops where it is about.
func TestAStalledBootIsDiagnosed(t *testing.T) {
	firmwareBoots := func(b *booting) {
		b.discovers("efi-x64", events.Offered)
		b.chooses("192.0.2.53")
		b.ask("4011")
		b.loads("ipxe.efi", events.Loader)
	}
	scripted := func(b *booting) {
		firmwareBoots(b)
		b.discovers("ipxe-x64", events.Offered)
		b.chooses("192.0.2.53")
		get(b.t, b.web()+"/_/ipxe?token="+b.token())
		b.ask("script")
	}
	for _, tc := range []struct {
		name  string
		does  func(b *booting)
		after time.Duration // since the machine did that
		word  string
		says  []string
	}{
		{"no DHCP server answers", func(b *booting) {
			b.discovers("efi-x64", events.Offered)
			b.discovers("efi-x64", events.Offered)
		}, stalls.ForDHCP, stalls.NoLease, []string{"offered 2 times", "no DHCP server seems to answer"}},
		{"option 60 without 43", func(b *booting) {
			for range 4 {
				b.discovers("efi-x64", events.Offered)
			}
			b.chooses("192.0.2.53")
		}, stalls.ForDHCP, stalls.No4011, []string{"offered 4 times, no request on port 4011", "(192.0.2.53) probably sends option 60"}},
		{"another machine's server is known", func(b *booting) {
			mac := b.mac
			b.mac = net.HardwareAddr{2, 0, 0, 0, 0, 9}
			b.discovers("efi-x64", events.Offered)
			b.chooses("192.0.2.53")
			b.mac = mac
			b.discovers("efi-x64", events.Offered)
		}, stalls.ForDHCP, stalls.No4011, []string{"offered once", "192.0.2.53"}},
		{"no TFTP request", func(b *booting) {
			b.discovers("efi-x64", events.Offered)
			b.ask("4011")
		}, stalls.ForLoader, stalls.NoLoader, []string{"UDP port 69"}},
		{"no TFTP request of a BIOS", func(b *booting) {
			b.write("boot \"a\" {\n  kernel = \"kernel-a\"\n}\nrule \"a\" {\n  boot = boot.a\n}\nipxe {\n  bios = \"loader-a\"\n}\n")
			b.reload()
			b.discovers("bios", events.Offered)
			b.chooses("192.0.2.53")
		}, stalls.ForDHCP, stalls.NoLoader, []string{"UDP port 69"}},
		{"no request by HTTP Boot", func(b *booting) {
			b.discovers("http-x64", events.Offered)
			b.chooses("192.0.2.53")
		}, stalls.ForDHCP, stalls.NoHTTPLoader, []string{"TCP port of the http listener"}},
		{"the loader does not run", firmwareBoots, stalls.ForIPXE, stalls.NoIPXE, []string{"Secure Boot", "snponly.efi"}},
		{"iPXE has no link", func(b *booting) {
			firmwareBoots(b)
			b.loads("autoexec.ipxe", events.Autoexec)
		}, stalls.ForScript, stalls.IPXENoDHCP, []string{"autoexec.ipxe"}},
		{"iPXE gets no lease", func(b *booting) {
			firmwareBoots(b)
			b.discovers("ipxe-x64", events.Offered)
			b.discovers("ipxe-x64", events.Offered)
		}, stalls.ForScript, stalls.IPXENoLease, []string{"iPXE has asked 2 times", "portfast"}},
		{"a firewall on port 80", func(b *booting) {
			firmwareBoots(b)
			b.discovers("ipxe-x64", events.Offered)
			b.chooses("192.0.2.53")
		}, stalls.ForScript, stalls.NoScript, []string{"TFTP works, and HTTP does not come", "192.0.2.53"}},
		{"iPXE does not report", func(b *booting) {
			firmwareBoots(b)
			b.discovers("ipxe-x64", events.Offered)
			get(b.t, b.web()+"/_/ipxe?token="+b.token())
		}, stalls.ForReport, stalls.NoReport, []string{"its screen says why"}},
		{"no kernel", scripted, stalls.ForKernel, stalls.NoKernel, []string{`boot "a"`, "screen"}},
		{"the kernel is broken off", func(b *booting) {
			scripted(b)
			body, hangUp := b.fetches(b.kernels)
			_, err := io.CopyN(io.Discard, body, 1<<20)
			must(b.t, err)
			hangUp()
			b.ended(events.Kernel)
		}, stalls.Grace, stalls.Cut, []string{"the kernel was broken off by the machine at", "of 64.0 MiB", "memory is full"}},
		{"the kernel does not get on", func(b *booting) {
			scripted(b)
			body, _ := b.fetches(b.kernels)
			_, err := io.CopyN(io.Discard, body, 1<<20)
			must(b.t, err)
		}, stalls.ForTransfer + time.Second, stalls.Stuck, []string{"the kernel stands at", "stopped reading"}},
		{"nothing after the kernel", func(b *booting) {
			scripted(b)
			b.ask("kernel")
		}, stalls.ForStart, stalls.NoStart, []string{"too large for its memory"}},
		{"the kernel does not start", func(b *booting) {
			scripted(b)
			b.ask("kernel")
			b.ask("initrd")
		}, stalls.ForStart, stalls.NoStart, []string{"64-bit one in a 32-bit iPXE"}},
		{"the kernel is not there", func(b *booting) {
			scripted(b)
			must(b.t, os.Remove(filepath.Join(b.dir, "kernel-a")))
			get(b.t, b.kernels)
		}, stalls.Grace, stalls.Missing, []string{"no such file", "kernel-a", "put it there"}},
		{"another kernel than its digest", func(b *booting) {
			b.write(`boot "a" {
  kernel = { url = "kernel-a", sha256 = "` + strings.Repeat("ab", 32) + `" }
}
rule "a" {
  boot = boot.a
}
ipxe { efi64 = "loader-a" }`)
			b.reload()
			scripted(b)
		}, stalls.Grace, stalls.Digest, []string{"must have abababababab"}},
		{"the API is down", func(b *booting) {
			b.write(`boot "a" { api = "http://127.0.0.1:1/" }
rule "a" {
  boot = boot.a
}
ipxe { efi64 = "loader-a" }`)
			b.reload()
			b.discovers("efi-x64", events.Failed)
		}, stalls.Grace, stalls.API, []string{`API "http://127.0.0.1:1/v1/boot/`, "see that it runs"}},
		{"no loader for the platform", func(b *booting) { b.discovers("efi-arm64", events.Failed) }, stalls.Grace, stalls.LoaderMissing,
			[]string{"no loader for efi-arm64", "pixiecore check"}},
		{"the next boot has begun", func(b *booting) {
			firmwareBoots(b)
			b.boot++
			b.discovers("efi-x64", events.Offered)
		}, 0, stalls.NoIPXE, []string{"Secure Boot"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBooting(t)
			for _, name := range []string{"kernel-a"} { // larger than what sockets hold
				must(t, os.Truncate(filepath.Join(b.dir, name), 64<<20))
			}
			core, logged := observer.New(zap.WarnLevel)
			w := b.d.stalls()
			w.Log = zap.New(core)
			tc.does(b)
			w.Check(time.Now())
			first := func() events.Boot {
				m, _ := b.d.events.Machine([6]byte(b.mac))
				for _, boot := range m.Boots {
					if boot.Stall != nil {
						return boot
					}
				}
				return *m.Current()
			}
			if got := first(); got.Stall != nil && tc.after > 0 {
				t.Fatalf("diagnosed at once: %+v", got.Stall)
			}
			for range 3 { // once is enough for all to know
				w.Check(time.Now().Add(tc.after))
			}
			got := first()
			if got.Stall == nil || got.Stall.Word != tc.word {
				t.Fatalf("got %+v of %+v, want %s", got.Stall, got, tc.word)
			}
			for _, want := range tc.says {
				if !strings.Contains(got.Stall.Cause, want) {
					t.Errorf("got %q, want it to say %q", got.Stall.Cause, want)
				}
			}
			if got.Result != events.Stalled && got.Result != events.BootFailed {
				t.Errorf("the result: %s", got.Result)
			}
			n := 0
			for _, l := range logged.All() {
				if l.Message == "boot does not go on" && l.ContextMap()["mac"] == b.mac.String() {
					n++
				}
			}
			if n != 1 {
				t.Errorf("logged %d times", n)
			}
		})
	}
}

// A boot that goes on after all is running again, and the next one's screen says what
// kept the one before.
func TestADiagnosisIsTakenBackAndShown(t *testing.T) {
	b := newBooting(t)
	w := b.d.stalls()
	b.discovers("efi-x64", events.Offered)
	b.ask("4011")
	w.Check(time.Now().Add(stalls.ForLoader))
	current := func() *events.Boot {
		m, _ := b.d.events.Machine([6]byte(b.mac))
		return m.Current()
	}
	if got := current(); got.Result != events.Stalled {
		t.Fatalf("got %+v", got)
	}
	b.loads("ipxe.efi", events.Loader)
	if got := current(); got.Result != events.Running || got.Stall != nil {
		t.Errorf("it goes on: got %+v", got)
	}
	b.boot++
	b.discovers("efi-x64", events.Offered)
	w.Check(time.Now())
	_, script := get(t, b.web()+"/_/ipxe?facts=1&token="+b.token())
	if !strings.Contains(script, "echo pixiecore: the boot before this one did not go on: the loader was sent") {
		t.Errorf("the script does not say it:\n%s", script)
	}
}

// What TFTP says of a transfer that failed.
func TestTheFaultOfATransfer(t *testing.T) {
	silent := errors.New("no answer from the client")
	for _, tc := range []struct {
		t    tftp.Transfer
		want events.Fault
	}{
		{tftp.Transfer{Err: tftp.ErrNotFound}, events.FaultMissing},
		{tftp.Transfer{Err: tftp.ErrDenied}, events.FaultDenied},
		{tftp.Transfer{Err: silent}, events.FaultOther},
		{tftp.Transfer{Err: fmt.Errorf("vmlinuz: %w", &boot.DigestError{File: "vmlinuz"})}, events.FaultDigest},
		{tftp.Transfer{Err: fmt.Errorf("vmlinuz %w by SHA256SUMS", boot.ErrUnverified)}, events.FaultDigest},
		{tftp.Transfer{File: "ipxe.efi", BlockSize: 1468, Err: silent}, events.FaultNoAnswer},
		{tftp.Transfer{File: "ipxe.efi", BlockSize: 1468, Answered: true, Err: silent}, events.FaultFirstBlock},
		{tftp.Transfer{File: "ipxe.efi", BlockSize: 1468, Answered: true, Bytes: 1468, Err: silent}, events.FaultCut},
	} {
		if got := faultOf(tc.t); got != tc.want {
			t.Errorf("%+v: got %s, want %s", tc.t, got, tc.want)
		}
	}
}
