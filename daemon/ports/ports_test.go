package ports

import (
	"net"
	"os"
	"runtime"
	"testing"
)

// Whoever has a port is found by it: here it is this test.
func TestFind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says who has a port")
	}
	tcp, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for network, port := range map[string]int{"tcp": tcp.Addr().(*net.TCPAddr).Port, "udp": udp.LocalAddr().(*net.UDPAddr).Port} {
		h, ok := Find(network, uint16(port))
		if !ok || h.PID != os.Getpid() || h.UID != os.Getuid() || h.Process == "" {
			t.Errorf("%s: got %+v, %t", network, h, ok)
		}
	}
	udp.Close()
	if h, ok := Find("udp", uint16(udp.LocalAddr().(*net.UDPAddr).Port)); ok {
		t.Errorf("a free port: got %+v", h)
	}
}

func TestWhatIsSaidOfAHolder(t *testing.T) {
	for _, tc := range []struct {
		h    Holder
		want string
	}{
		{Holder{Process: "dnsmasq", PID: 812}, "dnsmasq (pid 812)"},
		{Holder{Process: "dnsmasq", PID: 812, Unit: "dnsmasq.service"}, "dnsmasq (pid 812, dnsmasq.service)"},
		{Holder{UID: 0, Unit: "dnsmasq.service"}, "dnsmasq.service (user root)"},
		{Holder{UID: 4_000_000}, "user 4000000"},
	} {
		if got := tc.h.String(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}
