//go:build e2e

package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

const (
	serverAddr  = "192.0.2.1"
	machineAddr = "192.0.2.50"
	waitLimit   = 30 * time.Second // for what a process does in its own time
)

// TestMain makes this program a machine that boots, where it is started as one.
func TestMain(m *testing.M) {
	if mac := os.Getenv("PIXIECORE_MACHINE"); mac != "" {
		os.Exit(machine(mac))
	}
	os.Exit(m.Run())
}

// A lab is the network of the picture in doc.go.
type lab struct {
	t                testing.TB
	lan              *netlab.LAN
	server, machines *netlab.Host
	dir              string // of the daemon
	bin              string
	daemon           *exec.Cmd
	log              *transcript
}

func newLab(t *testing.T) *lab {
	t.Helper()
	netlab.Require(t, "ip", "setpriv")
	lan := netlab.New(t)
	l := &lab{t: t, lan: lan, server: lan.Host("server", serverAddr+"/24"), machines: lan.Host("machines", machineAddr+"/24"), dir: t.TempDir(), log: &transcript{}}
	for _, name := range []string{"undionly.kpxe", "ipxe.efi"} {
		l.write(filepath.Join(l.dir, name), random(70<<10, 1)) // stand-ins: the client looks for no program in them
	}
	if l.bin = os.Getenv("PIXIECORE_BIN"); l.bin == "" {
		l.bin = filepath.Join(t.TempDir(), "pixiecore")
		build := exec.Command("go", "build", "-o", l.bin, "../../daemon/pixiecore")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", l.log)
		}
	})
	return l
}

// configure writes the configuration. It is renamed into place, as editors do.
func (l *lab) configure(text string) {
	l.t.Helper()
	text += fmt.Sprintf("ipxe {\n  bios  = %q\n  efi64 = %q\n}\n", filepath.Join(l.dir, "undionly.kpxe"), filepath.Join(l.dir, "ipxe.efi"))
	l.write(filepath.Join(l.dir, "pixiecore.hcl"), []byte(text))
}

// serve starts the daemon as the packaged unit does: with its directories, and
// without the capabilities that this does not give.
func (l *lab) serve() {
	l.t.Helper()
	l.daemon = exec.Command("setpriv", "--bounding-set=-all,+net_bind_service,+net_raw", "--inh-caps=-all", "--no-new-privs",
		l.bin, "serve", "--config", filepath.Join(l.dir, "pixiecore.hcl"), "--control", filepath.Join(l.dir, "control"))
	l.daemon.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(l.dir, "state"), "CACHE_DIRECTORY="+filepath.Join(l.dir, "cache"))
	l.daemon.Stdout, l.daemon.Stderr = l.log, l.log
	for _, room := range []string{"state", "cache"} {
		if err := os.MkdirAll(filepath.Join(l.dir, room), 0o700); err != nil {
			l.t.Fatal(err)
		}
	}
	l.server.StartCmd(l.daemon)
	l.await("the daemon to serve", func() bool {
		c, err := l.dial(serverAddr + ":80")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// pixiecore runs a command on the server's host.
func (l *lab) pixiecore(args ...string) string {
	l.t.Helper()
	return l.server.Run(l.bin, append(args, "--control", filepath.Join(l.dir, "control"))...)
}

// await polls for what another process does in its own time.
func (l *lab) await(what string, done func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(waitLimit); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("waited for %s", what)
		}
	}
}

// write replaces a file as a whole.
func (l *lab) write(path string, content []byte) {
	l.t.Helper()
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		l.t.Fatal(err)
	}
}

// window is what a machine takes at a time, in bytes: as iPXE does, and not megabytes as
// Linux, of which two hundred do not fit into a small host's memory.
const window = 256 << 10

// dial connects from the machines' host.
func (l *lab) dial(to string) (c net.Conn, err error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, window)
		})
		return errors.Join(err, failed)
	}}
	l.machines.Do(func() { c, err = d.Dial("tcp", to) })
	return c, err
}

// get asks the daemon for a path, as a machine does.
func (l *lab) get(path string) (*http.Response, error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(_ context.Context, _, to string) (net.Conn, error) { return l.dial(to) },
	}}
	req, err := http.NewRequest(http.MethodGet, "http://"+serverAddr+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "iPXE/1.21.1")
	return client.Do(req)
}

// kernel asks for the kernel that a machine's script names.
func (l *lab) kernel(mac string) (*http.Response, error) {
	resp, err := l.get("/_/ipxe?facts=1&cpu=x64&platform=efi&buildarch=x86_64&ip=" + machineAddr + "&mac=" + mac)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	script, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(script)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "kernel" {
			return l.get(strings.TrimPrefix(f[len(f)-1], "http://"+serverAddr))
		}
	}
	return nil, fmt.Errorf("no kernel in the script of %s:\n%s", mac, script)
}

// load is a machine's kernel as a whole, and what went wrong with it.
func (l *lab) load(mac string) ([]byte, error) {
	resp, err := l.kernel(mac)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", resp.Status)
	}
	return b, err
}

// A mirror is an nginx on a host of its own.
type mirror struct {
	lab  *lab
	host *netlab.Host
	addr string
	root string // of its files
	dir  string // of its own
	cmd  *exec.Cmd
	log  *transcript
}

// newMirror makes a host, on which nginx is yet to be started. The directives stand
// in its server block.
func (l *lab) newMirror(addr string) *mirror {
	l.t.Helper()
	m := &mirror{lab: l, host: l.lan.Host("mirror", addr+"/24"), addr: addr, root: l.t.TempDir(), dir: l.t.TempDir(), log: &transcript{}}
	l.t.Cleanup(func() {
		if l.t.Failed() {
			l.t.Logf("nginx on %s:\n%s\n%s", addr, m.log, strings.Join(m.served(""), "\n"))
		}
	})
	// nginx serves as another user.
	for dir := m.root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			l.t.Fatal(err)
		}
	}
	return m
}

// start starts nginx. Once it is killed, it can be started again.
func (m *mirror) start(directives string) {
	m.lab.t.Helper()
	conf := filepath.Join(m.dir, "nginx.conf")
	m.lab.write(conf, fmt.Appendf(nil, `daemon off; master_process off; user root; pid %[1]s/pid; error_log stderr error;
events { worker_connections 1024; }
http {
  log_format short '$request_method $uri $status $body_bytes_sent';
  access_log %[1]s/access short;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server { listen %[2]s:80; root %[3]s;
    %[4]s
  }
}
`, m.dir, m.addr, m.root, directives))
	m.cmd = exec.Command(nginx(m.lab.t), "-e", "stderr", "-c", conf)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.host.StartCmd(m.cmd)
	m.lab.await("nginx", func() bool {
		c, err := m.lab.dial(m.addr + ":80")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill ends nginx where it is.
func (m *mirror) kill() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait() // it was killed
}

// file puts a file on the mirror.
func (m *mirror) file(name string, content []byte) {
	m.lab.t.Helper()
	m.lab.write(filepath.Join(m.root, name), content)
}

// served is what stands in the access log of a path: "GET /linux 200 4096".
func (m *mirror) served(path string) (lines []string) {
	b, err := os.ReadFile(filepath.Join(m.dir, "access"))
	if err != nil && !os.IsNotExist(err) {
		m.lab.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 4 && (path == "" || f[1] == path) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// nginx is the program: that of the host, or what e2e/setup has unpacked.
func nginx(t testing.TB) string {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	if dir, err := os.UserCacheDir(); err == nil {
		if path := filepath.Join(dir, "pixiecore-e2e", "nginx"); exec.Command(path, "-v").Run() == nil {
			return path
		}
	}
	if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
		t.Fatal("nginx is not there (and PIXIECORE_NO_SKIP=1): e2e/setup fetches it")
	}
	t.Skip("nginx is not there: e2e/setup fetches it")
	return ""
}

// random is content that has no part twice, the same for the same seed.
func random(n int, seed byte) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{seed})
	_, _ = r.Read(b) // it has no errors
	return b
}

// A transcript is what a process has written.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// booted is how a machine's boot went.
type booted struct {
	pxeclient.Transcript
	Err string
}

// machine boots one, and prints how that went.
func machine(mac string) int {
	profile, err := pxeclient.ProfileByName("efi-x64")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	hw, err := net.ParseMAC(mac)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	c := pxeclient.Client{
		Profile: profile, MAC: hw, LongMode: true, Address: netip.MustParseAddr(machineAddr), Ports: pxeclient.StandardPorts(),
		Wait: time.Second, Collect: 10 * time.Millisecond, // the test's own server is the only one
	}
	var b booted
	if b.Transcript, err = c.Boot(ctx); err != nil {
		b.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(b); err != nil {
		return 1
	}
	return 0
}

// boot boots a machine in a process of its own: wait returns when it has ended.
func (l *lab) boot(mac string) (wait func() booted) {
	l.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PIXIECORE_MACHINE="+mac)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	l.machines.StartCmd(cmd)
	return func() (b booted) {
		l.t.Helper()
		if err := cmd.Wait(); err != nil {
			l.t.Fatalf("the machine %s: %v", mac, err)
		}
		if err := json.Unmarshal(out.Bytes(), &b); err != nil {
			l.t.Fatalf("the machine %s: %v", mac, err)
		}
		return b
	}
}

// part is the part of the full size that is done.
func part(t *testing.T) int {
	s := os.Getenv("PIXIECORE_SOAK_PART")
	if s == "" {
		return 1
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("PIXIECORE_SOAK_PART=%s is no number from 1", s)
	}
	return n
}
