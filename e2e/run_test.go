//go:build e2e

package e2e

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// The README's first command, on a host of its own: `make run` builds, serves
// and answers a DISCOVER of each kind of firmware. What it stages and downloads
// must be there already, since that host has no network but this one.
func TestMakeRun(t *testing.T) {
	netlab.Require(t, "ip", "make")
	lan := netlab.New(t)
	server, machine := lan.Host("server", "192.0.2.1/24"), lan.Host("machine", "192.0.2.50/24")
	start := time.Now()

	out := &output{}
	cmd := exec.Command("make", "run")
	cmd.Dir = ".."
	cmd.Stdout, cmd.Stderr = out, out
	// make, and what it has started, end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	server.StartCmd(cmd)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		if t.Failed() {
			t.Logf("make run:\n%s", out)
		}
	})

	var conn netio.Conn
	var err error
	machine.Do(func() {
		conn, err = netio.ListenUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), 68))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, name := range []string{"bios", "efi-x64", "efi-arm64", "undionly", "http-x64"} {
		p, err := pxeclient.ProfileByName(name)
		if err != nil {
			t.Fatal(err)
		}
		offer := discover(t, conn, p, byte(i))
		if err := p.Accept(offer); err != nil {
			t.Errorf("%s: the firmware refuses the offer: %v", name, err)
		}
		t.Logf("%-10s is offered %q after %.1f s", name, offer.BootFileName+string(offer.Options[67]), time.Since(start).Seconds())
	}
	for _, say := range []string{"67/udp", "4011/udp", "69/udp", "80/tcp", "Next: "} {
		if !strings.Contains(out.String(), say) {
			t.Errorf("make run does not say %q", say)
		}
	}
	if _, err := os.Stat("../pixiecore"); err != nil {
		t.Error(err)
	}
}

// discover asks until there is an answer, within the time that a build takes.
func discover(t *testing.T, conn netio.Conn, p pxeclient.Profile, n byte) *dhcpv4.DHCPv4 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 9, n}
	request := netio.Datagram{
		Data:  p.Discover(mac, [4]byte{9, 9, 9, n}, [16]byte{n}).ToBytes(),
		Peer:  netip.MustParseAddrPort("255.255.255.255:67"),
		Local: netip.MustParseAddr("192.0.2.50"),
	}
	in := netio.NewBatch(1, 1500)
	for ctx.Err() == nil {
		if _, err := conn.WriteBatch([]netio.Datagram{request}); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := conn.ReadBatch(in); err != nil {
				break // the deadline: ask again
			}
			d, err := dhcpv4.FromBytes(in[0].Data)
			if err == nil && d.OpCode == dhcpv4.OpcodeBootReply && d.ClientHWAddr.String() == mac.String() {
				return d
			}
		}
	}
	t.Fatalf("%s: no answer within %v", p.Name, buildLimit)
	return nil
}
