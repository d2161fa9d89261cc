//go:build bench

package bench

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

var (
	serverAddr = netip.MustParseAddr("192.0.2.1")
	clientAddr = netip.MustParseAddr("192.0.2.50")
)

// machines is how many addresses the client has beside its own: a server may bound
// what one address has under way.
const machines = 64

// machine is one of these addresses.
func machine(i int) netip.Addr {
	a := clientAddr.As4()
	a[3] += 1 + byte(i%machines)
	return netip.AddrFrom4(a)
}

// startLimit is how long a server may take until it answers.
const startLimit = 30 * time.Second

// A subject is one server on a segment of its own.
type subject struct {
	name   string
	client *netlab.Host
	server *netlab.Host
	pid    int
	log    *log
}

// newSubject starts a server on a new segment: on processor 0, unless
// PIXIECORE_BENCH_UNPINNED is set.
func newSubject(t *testing.T, name string, cmd *exec.Cmd) *subject {
	t.Helper()
	s := newSegment(t, name)
	s.run(t, cmd)
	return s
}

// newSegment is a segment whose server is yet to be started.
func newSegment(t *testing.T, name string) *subject {
	t.Helper()
	lan := netlab.New(t)
	s := &subject{name: name, server: lan.Host("server", serverAddr.String()+"/24"), client: lan.Host("client", clientAddr.String()+"/24")}
	for i := range machines {
		s.client.IP("address", "add", machine(i).String()+"/24", "dev", "eth0")
	}
	return s
}

// run starts cmd as the server of the segment, until the test ends.
func (s *subject) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	s.log = &log{}
	if os.Getenv("PIXIECORE_BENCH_UNPINNED") == "" {
		cmd.Path, cmd.Args = "/usr/bin/taskset", append([]string{"taskset", "-c", "0"}, cmd.Args...)
	}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.server.StartCmd(cmd)
	s.pid = cmd.Process.Pid
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", s.name, s.log)
		}
	})
}

// until waits for what says that the server serves.
func (s *subject) until(t *testing.T, what string, ready func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ready() {
		if time.Since(began) > startLimit {
			t.Fatalf("%s: no %s within %s", s.name, what, startLimit)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// cpu is the processor time that the server has used: user and system, in steps
// of 10 ms (proc(5), utime and stime).
func (s *subject) cpu(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+2:])
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// memory is what the server has in memory that is its own: anonymous pages, in
// bytes (proc(5), RssAnon).
func (s *subject) memory(t *testing.T) int64 {
	t.Helper()
	return s.kilobytes(t, "RssAnon:") << 10
}

// resident is that and what it has of files, its binary above all, in bytes: pages that
// the system drops and reads again as it likes.
func (s *subject) resident(t *testing.T) int64 {
	t.Helper()
	return s.kilobytes(t, "VmRSS:") << 10
}

// kilobytes is a figure of /proc/PID/status.
func (s *subject) kilobytes(t *testing.T, of string) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, of); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatalf("%s: no %s", s.name, of)
	return 0
}

// dial connects from the segment's client.
func (s *subject) dial(network, address string) (c net.Conn, err error) {
	s.client.Do(func() { c, err = net.Dial(network, address) })
	return c, err
}

// A log is what a server has written.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() < 1<<20 {
		l.b.Write(p)
	}
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// setting reads an environment variable.
func setting[T any](t *testing.T, name string, otherwise T, parse func(string) (T, error)) T {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	v, err := parse(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// median is the middle one.
func median[T int64 | float64 | time.Duration](of []T) T {
	if len(of) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(of))
	return s[len(s)/2]
}

// quantile is the value below which the part q of the values lies.
func quantile(of []time.Duration, q float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(of))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// profiles is the folder that the daemons' profiles go to, each under the name of
// its subject. Empty: none is taken.
func profiles() string { return os.Getenv("PIXIECORE_BENCH_PROFILE") }

// daemon is the program to be loaded: PIXIECORE_BIN, or one built from this tree.
func daemon(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("PIXIECORE_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(t.TempDir(), "pixiecore")
	program := "../../daemon/pixiecore"
	if profiles() != "" {
		program = "./profiled"
	}
	build := exec.Command("go", "build", "-o", bin, program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}

// rules writes n rules for one machine each, none of which the load matches, and
// one for everybody behind them.
func rules(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "rule \"r%d\" {\n  match { mac = [\"02:01:%02x:%02x:%02x:%02x\"] }\n  boot = boot.live\n}\n", i, i>>24, i>>16&255, i>>8&255, i&255)
	}
	return b.String() + "rule \"all\" { boot = boot.live }\n"
}

// configure writes a configuration with n rules, and the files that it names.
func configure(t *testing.T, n int) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name string, size int) string {
		path := filepath.Join(dir, name)
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(i * 7)
		}
		copy(b, "MZ")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("small", smallFile)
	text := fmt.Sprintf(`
listener "dhcp" { address = "0.0.0.0:67" }
listener "pxe" { address = "0.0.0.0:4011" }
listener "tftp" { address = "0.0.0.0:69" }
listener "http" { address = "0.0.0.0:80" }
listener "status" { address = "127.0.0.1:8067" }
state { dir = %q }
log { level = "warn" }
ipxe {
  bios = %q
  efi64 = %q
  arm64 = %q
}
boot "live" {
  kernel = %q
  cmdline = "console=ttyS0 root=/dev/ram0 hostname=${machine.name} mac=${machine.mac}"
}
`, filepath.Join(dir, "state"), write("undionly.kpxe", 70<<10), write("ipxe.efi", loaderFile), filepath.Join(dir, "small"), write("large", largeFile))
	file = filepath.Join(dir, "pixiecore.hcl")
	if err := os.WriteFile(file, []byte(text+rules(n)), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// withoutLoaders takes the loaders of the load out of a configuration, of which one is
// as large as the daemon allows: left are those that are embedded, or the host's.
func withoutLoaders(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, ipxeBlock.ReplaceAll(text, nil), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

var ipxeBlock = regexp.MustCompile(`(?s)ipxe \{.*?\n\}\n`)

// machineBlocks adds machines to a configuration, which no rule names.
func machineBlocks(t *testing.T, file string, n int) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b = fmt.Appendf(b, "machine \"m%d\" {\n  mac = [\"02:01:%02x:%02x:%02x:%02x\"]\n}\n", i, i>>24, i>>16&255, i>>8&255, i&255)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// started is the daemon with a configuration, on a segment, and answers.
func started(t *testing.T, name, bin, file string) *subject {
	t.Helper()
	s := newSegment(t, name)
	s.serve(t, bin, file)
	s.until(t, "answer", func() bool { return answers(t, s) })
	if profiles() != "" { // what comes from now on
		if err := syscall.Kill(s.pid, syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// receiveBuffer is that of the socket units, in bytes.
const receiveBuffer = 16 << 20

// serve starts the daemon as the packaged units do: with the sockets of DHCP and
// of PXE opened for it, and without the capability that would let it enlarge the
// buffers of its own beyond what the system allows everybody.
func (s *subject) serve(t *testing.T, bin, file string) {
	t.Helper()
	sockets := []*os.File{s.socket(t, 67), s.socket(t, 4011)}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`,
		"setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", bin, "serve", "--config", file, "--control", filepath.Join(filepath.Dir(file), "control"))
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=pixiecore-dhcp:pixiecore-pxe")
	cmd.ExtraFiles = sockets
	if dir := profiles(); dir != "" {
		cmd.Env = append(cmd.Env, "PIXIECORE_PROFILE="+filepath.Join(dir, s.name))
	}
	s.run(t, cmd)
	if profiles() != "" {
		t.Cleanup(func() { // before it would be killed
			if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil {
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		})
	}
	for _, f := range sockets {
		f.Close()
	}
}

// socket is a UDP socket of the server as a socket unit opens it.
func (s *subject) socket(t *testing.T, port int) *os.File {
	t.Helper()
	var f *os.File
	s.server.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f = os.NewFile(uintptr(fd), strconv.Itoa(port))
		for _, o := range [...]struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_BROADCAST, 1}, {unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer}, {unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		} {
			if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
			t.Fatal(err)
		}
	})
	return f
}

// Sizes in bytes.
const (
	largeFile  = 64 << 20
	loaderFile = 16 << 20 // the largest that the daemon keeps
	smallFile  = 1 << 20
)

func TestMain(m *testing.M) {
	if role := os.Getenv("PIXIECORE_BENCH_ROLE"); role != "" {
		os.Exit(ceiling(role))
	}
	runtime.GOMAXPROCS(2) // one for the load, one for the timers beside it
	os.Exit(m.Run())
}

// itself is this program in another role.
func itself(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "PIXIECORE_BENCH_ROLE="+role, "GOMAXPROCS=1")
	return cmd
}
