package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

const patience = 30 * time.Second

// A manager plays systemd for `pixiecore serve`: it passes sockets, keeps those that
// it is told to, and starts the daemon again with all of them.
type manager struct {
	*testing.T
	dir    string
	notify *net.UnixConn
	units  []*os.File // of .socket units; File.Name is the descriptor's
	ready  chan string
	seen   chan struct{} // what settle sent
	alive  chan struct{} // WATCHDOG=1
	bites  time.Duration // WatchdogSec=; 0: none

	mu      sync.Mutex
	kept    map[string]*os.File
	removed []string

	daemon *exec.Cmd
	exited chan error
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{T: t, dir: t.TempDir(), ready: make(chan string, 1), seen: make(chan struct{}, 1), alive: make(chan struct{}, 1), kept: map[string]*os.File{}}
	var err error
	m.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(m.dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.listen()
	}()
	t.Cleanup(func() {
		if m.daemon != nil {
			m.end(syscall.SIGKILL)
		}
		m.notify.Close()
		<-done
		for _, f := range m.kept {
			f.Close()
		}
	})
	return m
}

// listen does what the daemon says.
func (m *manager) listen() {
	b, oob := make([]byte, 64<<10), make([]byte, 256)
	for {
		n, k, _, _, err := m.notify.ReadMsgUnix(b, oob)
		if err != nil {
			return
		}
		var f *os.File
		if k > 0 {
			if messages, err := syscall.ParseSocketControlMessage(oob[:k]); err == nil {
				if fds, err := syscall.ParseUnixRights(&messages[0]); err == nil {
					f = os.NewFile(uintptr(fds[0]), "")
				}
			}
		}
		said := map[string]string{}
		for line := range strings.Lines(string(b[:n])) {
			k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			said[k] = v
		}
		m.mu.Lock()
		switch name := said["FDNAME"]; {
		case said["FDSTORE"] == "1" && f != nil:
			m.kept[name] = f
		case said["FDSTOREREMOVE"] == "1":
			if f := m.kept[name]; f != nil {
				f.Close()
			}
			delete(m.kept, name)
			m.removed = append(m.removed, name)
		case said["BARRIER"] == "1":
			f.Close()
		}
		m.mu.Unlock()
		if said["READY"] == "1" {
			select {
			case m.ready <- said["STATUS"]:
			default: // of a reload that nobody waits for
			}
		}
		if said["WATCHDOG"] == "1" {
			select {
			case m.alive <- struct{}{}:
			default:
			}
		}
		if said["X_SEEN"] == "1" {
			m.seen <- struct{}{}
		}
	}
}

// settle returns when all that the daemon has sent so far is done.
func (m *manager) settle() {
	m.Helper()
	c, err := net.DialUnix("unixgram", nil, m.notify.LocalAddr().(*net.UnixAddr))
	if err != nil {
		m.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("X_SEEN=1")); err != nil {
		m.Fatal(err)
	}
	<-m.seen
}

// names are those of the sockets that are kept, without their numbers.
func (m *manager) names() (all []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.kept {
		all = append(all, name[:strings.LastIndexByte(name, '-')])
	}
	slices.Sort(all)
	return all
}

// write replaces the configuration.
func (m *manager) write(file string) {
	m.Helper()
	path := filepath.Join(m.dir, "pixiecore.hcl")
	if err := errors.Join(os.WriteFile(path+".new", []byte(file), 0o644), os.Rename(path+".new", path)); err != nil {
		m.Fatal(err)
	}
}

// start starts the daemon and waits until it is ready.
func (m *manager) start() {
	m.Helper()
	m.launch()
	m.await("READY=1")
}

// launch starts the daemon.
func (m *manager) launch() {
	m.Helper()
	path, err := exec.LookPath("pixiecore")
	if err != nil {
		m.Fatal(err)
	}
	files, names := slices.Clone(m.units), []string{}
	for _, f := range m.units {
		names = append(names, f.Name())
	}
	m.settle()
	for len(m.ready) > 0 {
		<-m.ready
	}
	m.mu.Lock()
	for name, f := range m.kept {
		files, names = append(files, f), append(names, name)
	}
	defer m.mu.Unlock() // none is closed while it is handed over
	// The shell knows its number, which stays with exec.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, path, "serve", "--config", filepath.Join(m.dir, "pixiecore.hcl"),
		"--state-dir", filepath.Join(m.dir, "state"), "--control", filepath.Join(m.dir, "control.sock"))
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(m.dir, "notify"),
		fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	if m.bites > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("WATCHDOG_USEC=%d", m.bites.Microseconds()))
	}
	cmd.ExtraFiles = files
	log, err := os.OpenFile(filepath.Join(m.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		m.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	m.daemon, m.exited = cmd, make(chan error, 1)
	go func() { m.exited <- cmd.Wait() }()
}

// await waits until the daemon says that it is ready, and returns its status.
func (m *manager) await(what string) string {
	m.Helper()
	select {
	case status := <-m.ready:
		return status
	case err := <-m.exited:
		m.exited <- err
		m.Fatalf("the daemon has ended before %s: %v\n%s", what, err, m.log())
	case <-time.After(patience):
		m.Fatalf("no %s\n%s", what, m.log())
	}
	panic("unreachable")
}

// end ends the daemon by a signal.
func (m *manager) end(s os.Signal) {
	m.Helper()
	_ = m.daemon.Process.Signal(s)
	select {
	case <-m.exited:
	case <-time.After(patience):
		m.Fatal("the daemon does not end")
	}
	m.daemon = nil
}

func (m *manager) log() string {
	b, _ := os.ReadFile(filepath.Join(m.dir, "log"))
	return string(b)
}

// unit opens a socket as a .socket unit does.
func (m *manager) unit(name, network string) (at string) {
	m.Helper()
	var c syscall.Conn
	if network != "tcp" {
		address, level, option := "127.0.0.1:0", syscall.IPPROTO_IP, syscall.IP_PKTINFO
		if network == "udp6" {
			address, level, option = "[::]:0", syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO
		}
		conf := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { // PassPacketInfo=yes
				_ = syscall.SetsockoptInt(int(fd), level, option, 1)
			})
		}}
		l, err := conf.ListenPacket(m.Context(), network, address)
		if err != nil {
			m.Fatal(err)
		}
		defer l.Close()
		c, at = l.(*net.UDPConn), l.LocalAddr().String()
	} else {
		l, err := net.Listen(network, "127.0.0.1:0")
		if err != nil {
			m.Fatal(err)
		}
		defer l.Close()
		c, at = l.(*net.TCPListener), l.Addr().String()
	}
	raw, err := c.SyscallConn()
	if err != nil {
		m.Fatal(err)
	}
	var fd int
	if cerr := raw.Control(func(p uintptr) { fd, err = syscall.Dup(int(p)) }); cerr != nil || err != nil {
		m.Fatal(cerr, err)
	}
	f := os.NewFile(uintptr(fd), name)
	m.Cleanup(func() { f.Close() })
	m.units = append(m.units, f)
	return at
}

// Clients of each protocol. Each call is one request, which must be answered.
func askHTTP(at string) error {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + at + "/boot.ipxe")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func askTFTP(ctx context.Context, at string) error {
	_, err := pxeclient.Fetch(ctx, netip.MustParseAddrPort(at), "undionly.kpxe", pxeclient.FetchOptions{})
	return err
}

// askPXE asks as a PC's ROM asks a boot server (PXE 2.1 §2.2.4), once.
func askPXE(c *net.UDPConn, at string) error {
	req, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest), dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 1}),
		dhcpv4.WithClientIP(net.IPv4(127, 0, 0, 1)), dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001")),
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.INTEL_X86PC)), dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientNetworkInterfaceIdentifier, []byte{1, 2, 1})))
	if err != nil {
		return err
	}
	_, err = c.WriteToUDPAddrPort(req.ToBytes(), netip.MustParseAddrPort(at))
	return err
}

// askDHCP6 asks as a relay that has the request of a machine, once: it is answered at
// the port that it asks from (RFC 8357), so that the test needs no privilege.
func askDHCP6(c *net.UDPConn, at string) error {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	machine, err := dhcpv6.NewSolicit(mac, dhcpv6.WithArchType(iana.EFI_X86_64), dhcpv6.WithRequestedOptions(dhcpv6.OptionBootfileURL))
	if err != nil {
		return err
	}
	machine.AddOption(&dhcpv6.OptVendorClass{EnterpriseNumber: 343, Data: [][]byte{[]byte("PXEClient:Arch:00007:UNDI:003000")}})
	req, err := dhcpv6.EncapsulateRelay(machine, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8:5::1"), net.ParseIP("fe80::1"))
	if err != nil {
		return err
	}
	req.AddOption(dhcpv6.OptRelayPort(0))
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return err
	}
	_, err = c.WriteToUDPAddrPort(req.ToBytes(), netip.MustParseAddrPort("[::1]:"+port))
	return err
}

// askDHCP asks as a relay of this host that has the DISCOVER of a PC, once.
func askDHCP(at netip.AddrPort) (id dhcpv4.TransactionID, err error) {
	req, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, 0, 0, 0, 1}, dhcpv4.WithGatewayIP(net.IPv4(127, 0, 0, 1)),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001")), dhcpv4.WithOption(dhcpv4.OptClientArch(iana.INTEL_X86PC)),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientNetworkInterfaceIdentifier, []byte{1, 2, 1})))
	if err != nil {
		return id, err
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return id, err
	}
	defer c.Close()
	_, err = c.WriteToUDPAddrPort(req.ToBytes(), at)
	return req.TransactionID, err
}

func heard(c *net.UDPConn) error {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1500))
	return err
}

// rest is a configuration but for its listeners, with the loader that it names.
func (m *manager) rest() string {
	if err := os.WriteFile(filepath.Join(m.dir, "undionly.kpxe"), []byte(strings.Repeat("loader  ", 512)), 0o644); err != nil {
		m.Fatal(err)
	}
	return "ipxe { bios = \"undionly.kpxe\" }\nboot \"b\" { script = \"#!ipxe\" }\nrule \"all\" { boot = boot.b }\n"
}

func listens(kind, at string) string { return fmt.Sprintf("listener %q { address = %q }\n", kind, at) }

// load asks without a pause until it is stopped, and counts what was asked. Each
// request that is not answered is an error.
func (m *manager) load(web, tftp, pxe string) (stop func() (asked int)) {
	ctx, cancel := context.WithCancel(m.Context())
	var asking sync.WaitGroup
	var count [4]int
	for i, ask := range []func() error{
		func() error { return askHTTP(web) },
		func() error { return askHTTP(web) },
		func() error { return askTFTP(m.Context(), tftp) },
		func() error {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				return err
			}
			defer c.Close()
			if err := askPXE(c, pxe); err != nil {
				return err
			}
			return heard(c)
		},
	} {
		asking.Go(func() {
			for ctx.Err() == nil {
				if err := ask(); err != nil {
					m.Error(err)
				}
				count[i]++
			}
		})
	}
	return func() int {
		cancel()
		asking.Wait()
		return count[0] + count[1] + count[2] + count[3]
	}
}

// Sockets of units: whatever becomes of the daemon, no request is lost.
func TestSocketsOfUnits(t *testing.T) {
	m := newManager(t)
	web, tftp, pxe := m.unit("pixiecore-http", "tcp"), m.unit("pixiecore-tftp", "udp4"), m.unit("pixiecore-pxe", "udp4")
	rest := m.rest()
	m.write(listens("http", web) + listens("tftp", tftp) + listens("pxe", pxe) + rest)

	// What came before the first start, and between a crash and the next, is
	// answered.
	for _, crash := range []bool{false, true} {
		if crash {
			m.end(syscall.SIGKILL)
		}
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if err := askPXE(c, pxe); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", web) // the kernel accepts it
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /boot.ipxe HTTP/1.0\r\n\r\n")
		m.start()
		if err := heard(c); err != nil {
			t.Errorf("PXE, crash %v: %v\n%s", crash, err, m.log())
		}
		c.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.0 200 ") {
			t.Errorf("HTTP, crash %v: %q, %v", crash, b, err)
		}
		conn.Close()
	}

	stop := m.load(web, tftp, pxe)
	const restarts = 25
	for range restarts {
		m.end(syscall.SIGTERM)
		m.start()
	}
	t.Logf("%d requests over %d restarts", stop(), restarts)
	if kept := m.names(); len(kept) != 0 {
		t.Errorf("sockets of units are in the store: %q", kept)
	}

	// A listener that goes leaves its socket open: systemd's units stay as they
	// are, and the client is not kept waiting.
	m.write(listens("http", web) + listens("pxe", pxe) + rest)
	m.reload(true)
	c, err := net.Dial("udp4", tftp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("\x00\x01undionly.kpxe\x00octet\x00")); err != nil {
		t.Errorf("the socket was closed: %v", err)
	}
	if !strings.Contains(m.log(), `no listener \"tftp\" is for socket \"pixiecore-tftp\"`) {
		t.Errorf("not said:\n%s", m.log())
	}
	// When it is back, it has the same socket.
	m.write(listens("http", web) + listens("tftp", tftp) + listens("pxe", pxe) + rest)
	m.reload(true)
	if err := askTFTP(t.Context(), tftp); err != nil {
		t.Error(err)
	}
	// The file may have another address: the unit's wins, which is said.
	m.write(listens("http", "127.0.0.1:1") + listens("tftp", tftp) + rest)
	m.reload(true)
	if err := askHTTP(web); err != nil {
		t.Error(err)
	}
	if !strings.Contains(m.log(), "and not at 127.0.0.1:1") {
		t.Errorf("not said:\n%s", m.log())
	}
}

// reload does `systemctl reload`.
func (m *manager) reload(well bool) string {
	m.Helper()
	path, err := exec.LookPath("pixiecore")
	if err != nil {
		m.Fatal(err)
	}
	out, err := exec.Command(path, "reload", "--control", filepath.Join(m.dir, "control.sock")).CombinedOutput()
	if well != (err == nil) {
		m.Fatalf("reload: %v\n%s", err, out)
	}
	return string(out)
}

// Sockets of the daemon's own are kept over a restart, a crash included.
func TestSocketsOfTheDaemonsOwn(t *testing.T) {
	m := newManager(t)
	web, tftp, pxe, health := freeTCP(t), freeUDP(t), freeUDP(t), freeTCP(t)
	rest := m.rest()
	boots := listens("http", web) + listens("tftp", tftp) + listens("pxe", pxe)
	m.write(boots + listens("status", health) + rest)
	m.start()
	m.wantKept("own-http", "own-pxe", "own-status", "own-tftp")

	stop := m.load(web, tftp, pxe)
	const restarts = 25
	for range restarts {
		m.end(syscall.SIGTERM)
		m.start()
	}
	t.Logf("%d requests over %d restarts", stop(), restarts)
	m.wantKept("own-http", "own-pxe", "own-status", "own-tftp")

	m.end(syscall.SIGKILL)
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := askPXE(c, pxe); err != nil {
		t.Fatal(err)
	}
	// While it was down, a listener left the file. Its socket goes, and with it
	// its port.
	m.write(boots + rest)
	m.start()
	if err := heard(c); err != nil {
		t.Errorf("after the crash: %v", err)
	}
	m.wantKept("own-http", "own-pxe", "own-tftp")
	m.wantFree(health)

	// So does one that a reload takes away, and a new one is kept.
	m.write(boots + listens("status", health) + rest)
	m.reload(true)
	m.wantKept("own-http", "own-pxe", "own-status", "own-tftp")
	m.write(listens("http", health) + listens("tftp", tftp) + rest)
	if out := m.reload(false); !strings.Contains(out, "restart pixiecore") {
		t.Errorf("one port, two services: %s", out)
	}
	m.write(boots + rest)
	m.reload(true)
	m.wantKept("own-http", "own-pxe", "own-tftp")
	m.wantFree(health)
	if strings.Contains(m.log(), "may still have its port") {
		t.Errorf("%s", m.log())
	}
}

// DHCPv6, by a unit's socket and by one of the daemon's own: what comes while the daemon
// is down is answered.
func TestASocketOfDHCP6(t *testing.T) {
	for name, own := range map[string]bool{"of a unit": false, "of the daemon's own": true} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t)
			at := "[::]:" + port(freeUDP(t))
			if !own {
				at = m.unit("pixiecore-dhcp6", "udp6")
			}
			m.write(fmt.Sprintf("listener \"dhcp6\" {\n  address = %q\n  advertise = \"2001:db8::1\"\n}\n", at) + listens("http", freeTCP(t)) + listens("tftp", freeUDP(t)) +
				strings.Replace(m.rest(), "bios", "efi64", 1))
			m.start()
			for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
				m.end(how)
				c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := askDHCP6(c, at); err != nil {
					t.Fatalf("%v: nobody has the port: %v", how, err)
				}
				m.start()
				if err := heard(c); err != nil {
					t.Errorf("%v: %v\n%s", how, err, m.log())
				}
			}
			want := []string{"own-http", "own-tftp"}
			if own {
				want = []string{"own-dhcp6", "own-http", "own-tftp"}
			}
			m.wantKept(want...)
		})
	}
}

// A socket that another version stored, for a listener that this one does not know,
// is given up, and its port with it.
func TestAStoredSocketOfAnUnknownKind(t *testing.T) {
	m := newManager(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	m.kept["own-gopher-4711"] = f
	m.write(listens("http", freeTCP(t)) + m.rest())
	m.start()
	m.wantKept("own-http")
	m.wantFree(l.Addr().String())
	if want := `socket \"own-gopher-4711\" is not served, and not kept any more: this version has no such listener`; !strings.Contains(m.log(), want) {
		t.Errorf("not said: %s\n%s", want, m.log())
	}
}

// A daemon that nobody asks anything feeds the watchdog again and again.
func TestAnIdleDaemonFeedsTheWatchdog(t *testing.T) {
	m := newManager(t)
	m.bites = 200 * time.Millisecond
	m.write(listens("http", freeTCP(t)) + listens("tftp", freeUDP(t)) + m.rest())
	m.start()
	for i := range 5 {
		select {
		case <-m.alive:
		case <-time.After(patience):
			t.Fatalf("fed %d times only\n%s", i, m.log())
		}
	}
}

// A raw socket, too, with which the daemon needs no privilege at its next start.
func TestASnooperIsKept(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
			t.Fatal("needs root, for a raw socket")
		}
		t.Skip("needs root, for a raw socket")
	}
	m := newManager(t)
	port := netip.MustParseAddrPort(freeUDP(t)).Port()
	m.write(fmt.Sprintf("listener \"dhcp\" {\n  address = \"0.0.0.0:%d\"\n  share = true\n}\n", port) + listens("http", freeTCP(t)) + m.rest())
	m.start()
	name := fmt.Sprintf("own-dhcp-%d", port)
	m.wantKept(name, "own-http")
	inode := func() string {
		for full := range m.kept {
			if strings.HasPrefix(full, name) {
				return full
			}
		}
		return ""
	}
	before := inode()
	// A relay is answered at port 67, whatever ours is (RFC 2131 §4.1).
	relay, err := netio.Snoop(67)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	m.end(syscall.SIGKILL)
	id, err := askDHCP(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
	if err != nil {
		t.Fatal(err)
	}
	m.start()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answered := false
	err = netio.Serve(ctx, relay, 1, 1500, func(in []netio.Datagram) {
		if offer, err := dhcpv4.FromBytes(in[0].Data); err == nil && offer.TransactionID == id {
			answered = true
			cancel()
		}
	})
	if err != nil || !answered {
		t.Errorf("what came while nobody read is not answered: %v\n%s", err, m.log())
	}
	m.wantKept(name, "own-http")
	if after := inode(); after != before {
		t.Errorf("the socket is %s, was %s", after, before)
	}
}

func (m *manager) wantKept(want ...string) {
	m.Helper()
	m.settle()
	if got := m.names(); !slices.Equal(got, want) {
		m.Errorf("kept are %q, want %q", got, want)
	}
}

func (m *manager) wantFree(at string) {
	m.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		m.Errorf("the port of a listener that is gone: %v", err)
		return
	}
	l.Close()
}

func port(at string) string { return at[strings.LastIndexByte(at, ':')+1:] }

func freeTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func freeUDP(t *testing.T) string {
	t.Helper()
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.LocalAddr().String()
}
