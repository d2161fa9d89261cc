//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

const (
	startLimit  = 20 * time.Second // for the daemon to be ready
	reloadLimit = 20 * time.Second // for its verdict on a saved file
	stopLimit   = 10 * time.Second // for it, or another process, to end after SIGTERM
	buildLimit  = 10 * time.Minute
)

// skip ends a test that cannot run here. In CI nothing may be skipped.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// need returns the first of the paths that is there, or skips the test.
func need(t *testing.T, what string, paths ...string) string {
	t.Helper()
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.Size() > 0 {
			return p
		}
	}
	skip(t, "needs %s: none of %q is here; run e2e/setup", what, paths)
	return ""
}

// made is what TestMain makes for all tests: the programs that they build are built
// once.
var made struct {
	dir    string
	daemon func() (string, error) // its path
	files  func() (string, error) // a folder with ARCH/linux and ARCH/initrd of each architecture
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pixiecore-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	made.dir = dir
	made.daemon = sync.OnceValues(func() (string, error) {
		bin := filepath.Join(dir, "pixiecore")
		return bin, goBuild(bin, "../daemon/pixiecore", "-tags", "embed_ipxe")
	})
	made.files = sync.OnceValues(func() (string, error) { return dir, makeFiles(dir) })
	flag.Set("test.parallel", "64") // unless the command line says another: they wait for each other in powerOn
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// goBuild builds a static program; env is "GOARCH=arm64" for example.
func goBuild(bin, pkg string, flags ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	env := append(os.Environ(), "CGO_ENABLED=0")
	args := []string{"build", "-o", bin}
	for _, f := range flags {
		if strings.HasPrefix(f, "GOARCH=") {
			env = append(env, f)
		} else {
			args = append(args, f)
		}
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// cached is a path of what e2e/setup unpacks.
func cached(name ...string) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = "/var/empty" // where nothing is: what is needed is told to be missing
	}
	return filepath.Join(append([]string{dir, "pixiecore-e2e"}, name...)...)
}

// A lab is the network of the picture in doc.go.
type lab struct {
	*netlab.LAN
	server    *netlab.Host
	serverMAC string
	files     string        // with ARCH/linux and ARCH/initrd
	places    chan struct{} // for its machines: busy, as a rule
	taps      atomic.Int32
}

// newLab makes the network and starts the DHCP server.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := newSegment(t)
	l.dnsmasq(t, addresses...)
	return l
}

// dnsmasq starts what a network has besides, on a host of its own.
func (l *lab) dnsmasq(t *testing.T, args ...string) {
	t.Helper()
	start(t, l.Host("dhcp", "192.0.2.2/24", "2001:db8::2/64"), exec.Command("dnsmasq", append([]string{"--keep-in-foreground", "--conf-file=/dev/null",
		"--user=root", "--port=0", "--interface=eth0", "--leasefile-ro", "--log-facility=-", "--pid-file="}, args...)...))
}

// newSegment makes the network without anybody else on it. All of it goes with the
// test.
func newSegment(t *testing.T) *lab {
	t.Helper()
	netlab.Require(t, "ip", "dnsmasq")
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		skip(t, "needs tap devices: %v", err)
	}
	for arch := range goarchs {
		need(t, "a kernel", cached(arch, "linux"))
	}
	files, err := made.files()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{files: files, places: busy}
	l.LAN = netlab.New(t)
	// The switch is to speak no IPv6 of its own on the machines' cables.
	l.Switch.Do(func() {
		for _, of := range []string{"all", "default"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+of+"/disable_ipv6", []byte("1"), 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	l.server = l.Host("server", "192.0.2.1/24", "2001:db8::1/64")
	l.server.Do(func() {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			t.Fatal(err)
		}
		l.serverMAC = eth0.HardwareAddr.String()
	})
	return l
}

// tap makes a port of the switch for a machine.
func (l *lab) tap(t *testing.T) string {
	name := fmt.Sprintf("tap%d", l.taps.Add(1))
	l.Tap(name)
	t.Cleanup(func() { l.Switch.IP("link", "delete", name) })
	return name
}

// A process is a running command with what it has written so far.
type process struct {
	output
	exited chan struct{} // closed when it has ended
	err    error         // of Wait; to be read after exited
}

// start runs cmd on a host until the test ends: then it is asked to stop, and
// killed when it does not within stopLimit.
func start(t *testing.T, on *netlab.Host, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the test itself be killed
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends that started the process
		// (prctl(2), PR_SET_PDEATHSIG), so that one waits for it too.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var err error
		on.Do(func() { err = cmd.Start() })
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
		select {
		case <-p.exited:
		case <-time.After(stopLimit):
			t.Errorf("%s: did not end within %v of SIGTERM", cmd.Path, stopLimit)
			_ = cmd.Process.Kill()
			<-p.exited
		}
	})
	return p
}

// An output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// tail is the end of a long text.
func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// A daemon is `pixiecore serve` in the server's namespace.
type daemon struct {
	*process
	config string // path of its file
	notify *net.UnixConn
}

// daemonBinary is the program to test.
func daemonBinary(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("PIXIECORE_BIN"); bin != "" {
		return bin
	}
	need(t, "staged iPXE binaries", "../booters/loaders/firmware/SHA256SUMS")
	bin, err := made.daemon()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// serve starts the daemon with a configuration, and flags, and waits until it is
// ready.
func (l *lab) serve(t *testing.T, config string, flags ...string) *daemon {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	d := l.run(t, append([]string{"serve", "--config", path}, flags...)...)
	d.config = path
	return d
}

// run starts the daemon by a command, and waits until it is ready.
func (l *lab) run(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := &daemon{}
	// A socket with a name in the file system is reached from every network
	// namespace.
	socket := filepath.Join(t.TempDir(), "notify")
	var err error
	if d.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.notify.Close() })
	cmd := exec.Command(daemonBinary(t), args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "STATE_DIRECTORY="+t.TempDir(), "RUNTIME_DIRECTORY="+t.TempDir())
	d.process = start(t, l.server, cmd)
	if _, err := d.await(startLimit); err != nil {
		t.Fatalf("pixiecore is not ready: %v\n%s", err, d)
	}
	return d
}

// await reads notifications until one says that the daemon is ready, and
// returns its status (sd_notify(3)).
func (d *daemon) await(limit time.Duration) (status string, err error) {
	if err := d.notify.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := d.notify.Read(buf)
		if err != nil {
			return "", err
		}
		ready := false
		for line := range strings.Lines(string(buf[:n])) {
			line = strings.TrimSuffix(line, "\n")
			ready = ready || line == "READY=1"
			if s, ok := strings.CutPrefix(line, "STATUS="); ok {
				status = s
			}
		}
		if ready {
			return status, nil
		}
	}
}

// save puts text into the daemon's file as an editor does, by renaming a new
// one over it, and waits for the verdict.
func (d *daemon) save(t *testing.T, text string) {
	t.Helper()
	d.discard(t)
	fresh := d.config + ".new"
	if err := errors.Join(os.WriteFile(fresh, []byte(text), 0o644), os.Rename(fresh, d.config)); err != nil {
		t.Fatal(err)
	}
	status, err := d.await(reloadLimit)
	if err != nil {
		t.Fatalf("no verdict on the saved file: %v\n%s", err, tail(d.String(), 8<<10))
	}
	t.Logf("saved: %s", status)
}

// discard drops the notifications that have arrived, so that await sees those
// of what comes next.
func (d *daemon) discard(t *testing.T) {
	t.Helper()
	if err := d.notify.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 64<<10); ; {
		if _, err := d.notify.Read(buf); err != nil {
			return
		}
	}
}
