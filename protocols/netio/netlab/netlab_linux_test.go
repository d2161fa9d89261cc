package netlab_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHostsReachEachOtherOnly(t *testing.T) {
	one, other := netlab.New(t), netlab.New(t)
	server, client := one.Host("server", "192.0.2.1/24", "2001:db8::1/64"), one.Host("client", "192.0.2.2/24", "2001:db8::2/64")
	stranger := other.Host("stranger", "192.0.2.2/24")
	for _, addr := range []string{"192.0.2.1:7", "[2001:db8::1]:7"} {
		server.Do(func() {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		})
		client.Do(func() {
			c, err := net.DialTimeout("tcp", addr, 10*time.Second)
			if err != nil {
				t.Fatalf("from the same segment: %v", err)
			}
			c.Close()
		})
	}
	if out := stranger.IP("route", "get", "192.0.2.1"); !strings.Contains(out, "dev eth0") {
		t.Errorf("the stranger's route is not its own: %s", out)
	}
	stranger.Do(func() {
		// Nobody answers for the address there.
		if c, err := net.DialTimeout("tcp", "192.0.2.1:7", 50*time.Millisecond); err == nil {
			c.Close()
			t.Error("a stranger got through")
		}
	})
}

func TestDoComesBack(t *testing.T) {
	names := func() string {
		links, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, l := range links {
			list = append(list, l.Name)
		}
		return strings.Join(list, " ")
	}
	outside := names()
	lan := netlab.New(t)
	a, b := lan.Host("a"), lan.Host("b")
	lan.Attach(b, "eth1")
	a.Do(func() {
		if got := names(); got != "lo eth0" {
			t.Errorf("in a: %s", got)
		}
		b.Do(func() {
			if got := names(); got != "lo eth0 eth1" {
				t.Errorf("in b: %s", got)
			}
		})
		if got := names(); got != "lo eth0" {
			t.Errorf("in a again: %s", got)
		}
	})
	if got := names(); got != outside {
		t.Errorf("outside again: %s, want %s", got, outside)
	}
}

func TestCommandsRunOnTheirHost(t *testing.T) {
	lan := netlab.New(t)
	h := lan.Host("server", "192.0.2.1/24")
	if out := h.Run("cat", "/proc/net/dev"); !strings.Contains(out, "eth0:") {
		t.Errorf("a command sees other interfaces:\n%s", out)
	}
	var pid int
	t.Run("inner", func(t *testing.T) {
		pid = netlab.New(t).Host("sleeper").Start("sleep", "1000").Process.Pid
	})
	if p, err := os.FindProcess(pid); err != nil || p.Signal(syscall.Signal(0)) == nil {
		t.Error("a command outlived its test")
	}
}

func TestTapIsOnTheBridge(t *testing.T) {
	netlab.Require(t, "ip")
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("needs /dev/net/tun: %v", err)
	}
	lan := netlab.New(t)
	lan.Tap("tap0")
	if out := lan.Switch.IP("-o", "link", "show", "master", "br0"); !strings.Contains(out, "tap0") {
		t.Errorf("on the bridge: %s", out)
	}
}
