package netio_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

func TestInUse(t *testing.T) {
	lan := netlab.New(t)
	server, host := lan.Host("server", "192.0.2.1/24"), lan.Host("host", "192.0.2.50/24")
	link := strings.Fields(host.IP("-o", "link", "show", "dev", "eth0"))
	var mac net.HardwareAddr
	for i, f := range link {
		if f == "link/ether" {
			mac, _ = net.ParseMAC(link[i+1])
		}
	}
	other := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for _, c := range []struct {
		name, addr string
		mac        net.HardwareAddr
		want       bool
	}{
		{"another host's", "192.0.2.50", other, true},
		{"the client's own", "192.0.2.50", mac, false},
		{"nobody's", "192.0.2.51", other, false},
		{"of no network", "198.51.100.1", other, false},
	} {
		server.Do(func() {
			if got := netio.InUse(t.Context(), netip.MustParseAddr(c.addr), c.mac); got != c.want {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		})
	}
}
