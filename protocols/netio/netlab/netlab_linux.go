package netlab

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// linkDeadline is how long a new link may take until it carries packets. It takes
// milliseconds; beyond this something is broken.
const linkDeadline = 10 * time.Second

// Require skips the test unless it runs as root and the programs are installed;
// with PIXIECORE_NO_SKIP=1 it fails instead.
func Require(t testing.TB, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "needs root: network namespaces and raw sockets")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			skip(t, "needs "+p+": "+err.Error())
		}
	}
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
		t.Fatalf("%s (and PIXIECORE_NO_SKIP=1)", why)
	}
	t.Skip(why)
}

// A LAN is one Ethernet segment: a bridge, and the hosts on it.
type LAN struct {
	// Switch is where the bridge br0 is, and the taps are. It has no address.
	Switch *Host

	t     testing.TB
	ports int
}

// New makes a segment, which is gone when the test ends.
func New(t testing.TB) *LAN {
	t.Helper()
	Require(t, "ip")
	l := &LAN{Switch: newHost(t, "switch"), t: t}
	// Snooping would hold back multicasts to groups that nobody joined by MLD yet.
	l.Switch.IP("link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
	l.Switch.IP("link", "set", "br0", "up")
	return l
}

// Host makes a host on the segment: with lo, and with eth0 that has the addresses
// ("192.0.2.1/24", "2001:db8::1/64"). The name is for messages.
func (l *LAN) Host(name string, addresses ...string) *Host {
	l.t.Helper()
	h := newHost(l.t, name)
	l.Attach(h, "eth0", addresses...)
	return h
}

// Attach gives h a further interface, on this segment: a router, or a server on two
// networks, is a host of one LAN attached to another.
func (l *LAN) Attach(h *Host, dev string, addresses ...string) {
	l.t.Helper()
	port := fmt.Sprintf("%.10s%d", h.Name, l.ports) // 15 bytes is the most
	l.ports++
	l.Switch.IP("link", "add", port, "type", "veth", "peer", "name", dev, "netns", h.path())
	l.Switch.IP("link", "set", port, "master", "br0", "up")
	h.IP("link", "set", dev, "up")
	for _, a := range addresses {
		args := []string{"address", "add", a, "dev", dev}
		if strings.Contains(a, ":") {
			args = append(args, "nodad")
		} else {
			args = append(args, "brd", "+")
		}
		h.IP(args...)
	}
	l.Switch.awaitLink(port)
	h.awaitLink(dev)
}

// Tap makes a tap interface on the bridge, in Switch, for a virtual machine that
// is started there.
func (l *LAN) Tap(name string) {
	l.t.Helper()
	l.Switch.IP("tuntap", "add", "dev", name, "mode", "tap")
	l.Switch.IP("link", "set", name, "master", "br0", "up")
}

// A Host is a network namespace.
type Host struct {
	Name string

	t  testing.TB
	ns *os.File
}

// newHost makes a namespace with nothing but lo, up.
func newHost(t testing.TB, name string) *Host {
	t.Helper()
	h := &Host{Name: name, t: t}
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread, which has left the process's namespace,
		// ends with the goroutine.
		runtime.LockOSThread()
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			h.ns, err = os.Open("/proc/thread-self/ns/net")
		}
	}()
	<-done
	if err != nil {
		skip(t, "needs root with CAP_SYS_ADMIN: new network namespace: "+err.Error())
	}
	t.Cleanup(func() { h.ns.Close() })
	h.Do(func() {
		// An address can be used as soon as it is there (RFC 4862 §5.4 is not
		// what these tests are about).
		for _, conf := range []string{"all", "default"} {
			err := os.WriteFile("/proc/sys/net/ipv6/conf/"+conf+"/accept_dad", []byte("0"), 0)
			if err != nil && !os.IsNotExist(err) { // a kernel without IPv6
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
	h.IP("link", "set", "lo", "up")
	return h
}

// path names the namespace to other processes, for as long as this one lives.
func (h *Host) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.ns.Fd()) }

// Do calls f on the host. Sockets that f opens, and processes that it starts, stay
// there for good; goroutines that it starts are not there, so beware of
// http.Transport, which dials in one (give it a DialContext that calls Do). f may
// call t.Fatal.
func (h *Host) Do(f func()) {
	h.t.Helper()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		h.t.Fatalf("%s: %v", h.Name, err)
	}
	defer home.Close()
	if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
		h.t.Fatalf("%s: setns: %v", h.Name, err)
	}
	defer func() {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			// The thread stays locked, and ends with the test's goroutine.
			h.t.Errorf("%s: setns back: %v", h.Name, err)
			return
		}
		runtime.UnlockOSThread()
	}()
	f()
}

// IP runs the ip command on the host and returns what it says. The test fails if
// it does.
func (h *Host) IP(args ...string) string {
	h.t.Helper()
	return h.Run("ip", args...)
}

// Run runs a command on the host to its end and returns what it says, on both
// streams. The test fails if it does.
func (h *Host) Run(name string, args ...string) string {
	h.t.Helper()
	out := new(bytes.Buffer)
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	var err error
	h.Do(func() { err = cmd.Run() })
	if err != nil {
		h.t.Fatalf("%s: %v: %v\n%s", h.Name, cmd, err, out)
	}
	return out.String()
}

// Start starts a command on the host, which is killed when the test ends.
func (h *Host) Start(name string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(name, args...)
	h.StartCmd(cmd)
	return cmd
}

// StartCmd starts a command that the caller has made (its streams, its folder, its
// environment) on the host. It is killed and waited for when the test ends, unless
// the test has waited for it.
func (h *Host) StartCmd(cmd *exec.Cmd) {
	h.t.Helper()
	var err error
	h.Do(func() { err = cmd.Start() })
	if err != nil {
		h.t.Fatalf("%s: %v: %v", h.Name, cmd, err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // the test may have waited
	})
}

// awaitLink waits until dev carries packets: the kernel starts the queues of a new
// link a little after both of its ends are up.
func (h *Host) awaitLink(dev string) {
	h.t.Helper()
	h.Do(func() {
		for deadline := time.Now().Add(linkDeadline); ; time.Sleep(time.Millisecond) {
			link, err := net.InterfaceByName(dev)
			if err == nil && link.Flags&net.FlagRunning != 0 {
				return
			}
			if time.Now().After(deadline) {
				h.t.Fatalf("%s: %s does not carry after %v (%v)", h.Name, dev, linkDeadline, err)
			}
		}
	})
}
