package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// lab is a daemon on one host and machines on another, on one segment.
type lab struct {
	t        testing.TB
	server   *netlab.Host
	machines *netlab.Host
	other    func(address string) *netlab.Host // makes one more
	config   string
	env      []string // of the daemon, and of commands that are to read the same
	log      *syncBuffer
	cmd      *exec.Cmd
	kernel   []byte
}

const listeners = `
listener "dhcp"   {}
listener "pxe"    {}
listener "tftp"   {}
listener "http"   {}
listener "status" {}
`

// newLab starts `pixiecore serve` with the configuration, in which DIR is a
// folder with a kernel, an initrd, and loaders for BIOS and UEFI.
func newLab(t testing.TB, config string, env ...string) *lab {
	t.Helper()
	lan := netlab.New(t)
	l := &lab{t: t, server: lan.Host("server", "192.0.2.1/24"), machines: lan.Host("machines", "192.0.2.50/24"), log: &syncBuffer{}}
	l.other = func(address string) *netlab.Host { return lan.Host("other", address) }
	dir := t.TempDir()
	l.kernel = bytes.Repeat([]byte("kernel"), 100_000)
	for name, data := range map[string][]byte{
		"kernel": l.kernel, "initrd": []byte("initrd"),
		// Stand-ins: the client looks for no program in them.
		"bios": bytes.Repeat([]byte("undionly"), 9000), "efi64": bytes.Repeat([]byte("ipxe.efi"), 9000), "arm64": bytes.Repeat([]byte("ipxe.arm"), 9000),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l.config, l.env = filepath.Join(t.TempDir(), "pixiecore.hcl"), append(os.Environ(), env...)
	l.write(listeners + strings.ReplaceAll(config, "DIR", dir) + fmt.Sprintf("\nipxe {\n bios = %q\n efi64 = %q\n arm64 = %q\n}\n", dir+"/bios", dir+"/efi64", dir+"/arm64"))
	l.start()
	return l
}

func (l *lab) start() {
	l.t.Helper()
	l.cmd = command("pixiecore", "serve", "--config", l.config, "--state-dir", filepath.Dir(l.config)+"/state", "--control", filepath.Dir(l.config)+"/control.sock")
	l.cmd.Env, l.cmd.Stdout, l.cmd.Stderr = l.env, l.log, l.log
	l.server.StartCmd(l.cmd)
	l.await("the daemon to serve", func() bool { _, err := l.status(); return err == nil })
	l.t.Cleanup(func() {
		if l.t.Failed() {
			l.t.Logf("the daemon's log:\n%s", l.log)
		}
	})
}

// command is this test binary under another name (see TestMain).
func command(name string, args ...string) *exec.Cmd {
	path, err := exec.LookPath(name)
	if err != nil {
		panic(err) // testscript.Main puts it into PATH
	}
	return exec.Command(path, args...)
}

// write replaces the configuration as an editor does: by a rename.
func (l *lab) write(config string) {
	l.t.Helper()
	tmp := l.config + ".tmp"
	if err := os.WriteFile(tmp, []byte(config), 0o644); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(tmp, l.config); err != nil {
		l.t.Fatal(err)
	}
}

// read is the configuration.
func (l *lab) read() string {
	l.t.Helper()
	src, err := os.ReadFile(l.config)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(src)
}

// edit replaces text in the running configuration.
func (l *lab) edit(old, new string) {
	l.t.Helper()
	src, err := os.ReadFile(l.config)
	if err != nil || !bytes.Contains(src, []byte(old)) {
		l.t.Fatalf("%q not in the configuration (%v)", old, err)
	}
	l.write(strings.Replace(string(src), old, new, 1))
}

// await polls, within bounds, for what the daemon does in its own time.
func (l *lab) await(what string, ok func() bool) {
	l.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			l.t.Fatalf("waited for %s\n%s", what, l.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// status reads the daemon's document, on its own host.
func (l *lab) status() (status.Report, error) {
	var r status.Report
	var c net.Conn
	var err error
	l.server.Do(func() { c, err = net.DialTimeout("tcp", "127.0.0.1:8067", patience) })
	if err != nil {
		return r, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(c, "GET /api/v1/status HTTP/1.0\r\n\r\n")
	b, err := io.ReadAll(c)
	if err != nil {
		return r, err
	}
	_, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok || !bytes.HasPrefix(b, []byte("HTTP/1.0 200")) {
		return r, fmt.Errorf("%d: %s", http.StatusOK, b)
	}
	return r, json.Unmarshal(body, &r)
}

// silence is how long a machine waits that is not to be answered. The daemon answers
// within milliseconds, if it does.
const silence = time.Second

// boot boots one machine of the kind.
func (l *lab) boot(profile, mac string) booted {
	l.t.Helper()
	return bootOn(l.t, l.machines, profile, mac, "192.0.2.50", patience)
}

// ignores has a machine of the kind ask, which is not to be answered.
func (l *lab) ignores(profile, mac string) {
	l.t.Helper()
	if b := bootOn(l.t, l.machines, profile, mac, "192.0.2.50", silence); !strings.Contains(b.Err, "no offer") {
		l.t.Errorf("%s is answered: got %+v, %s", mac, b.Outcome, b.Err)
	}
}

// bootOn boots a machine of the kind on the host, which has the address, and waits for
// an offer so long.
func bootOn(t testing.TB, h *netlab.Host, profile, mac, address string, wait time.Duration) (b booted) {
	t.Helper()
	cmd := command("pxeclient", profile, mac, address, wait.String())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	var err error
	h.Do(func() { err = cmd.Run() })
	if err != nil || json.Unmarshal(out.Bytes(), &b) != nil {
		t.Fatalf("client: %v: %s", err, &out)
	}
	return b
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

const rules = `
boot "linux" {
  kernel  = "DIR/kernel"
  initrd  = ["DIR/initrd"]
  cmdline = "console=ttyS0 a  b # || root=live"
  message = "Hello ; world"
}
boot "x64-only" {
  kernel  = "DIR/kernel"
  cmdline = "x64"
}
rule "ignored" {
  match { mac = ["52:54:00:00:00:*"] }
  ignore = true
}
rule "local" {
  match { mac = ["52:54:00:00:01:*"] }
  local = true
}
rule "by-cpu" {
  match {
    mac  = ["52:54:00:00:02:*"]
    arch = ["x64"]
  }
  boot = boot.x64-only
}
rule "everything-else" {
  match { mac = ["52:54:00:*"] }
  boot = boot.linux
}
`

// Every kind of firmware comes to the same kernel by its own way.
func TestEveryFirmwareBoots(t *testing.T) {
	t.Parallel()
	l := newLab(t, rules)
	digest := sha256.Sum256(l.kernel)
	kernel := hex.EncodeToString(digest[:])
	for i, profile := range []string{
		"bios", "bios-ipxe-rom", "efi-x64", "efi-x64-ipxe-rom", "efi-arm64", "http-x64", "http-arm64",
		"undionly", "ipxe-x64", "ipxe-x64-2019", "ipxe-x64-2.0", "ipxe-arm64", "ipxe-no-http",
	} {
		t.Run(profile, func(t *testing.T) {
			mac := fmt.Sprintf("52:54:00:00:03:%02x", i)
			b := l.boot(profile, mac)
			o := b.Outcome
			if b.Err != "" || o.Action != pxeclient.ActionBoot || o.Kernel == nil || o.Kernel.SHA256 != kernel || len(o.Initrds) != 1 {
				t.Fatalf("got %+v\nsteps %+v\nerror %s", o, b.Steps, b.Err)
			}
			if want := "initrd=initrd0 console=ttyS0 a  b # || root=live"; o.Cmdline != want {
				t.Errorf("command line: got %q, want %q", o.Cmdline, want)
			}
			if got := strings.Join(o.Messages, "\n"); !strings.Contains(got, "Hello ; world") {
				t.Errorf("the screen shows %q", got)
			}
		})
	}
	r, err := l.status()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Machines) != 13 || r.Generation != 1 || len(r.Rules) != 4 {
		t.Errorf("status: %d machines, generation %d, %d rules", len(r.Machines), r.Generation, len(r.Rules))
	}
	for _, m := range r.Machines {
		if last, _ := m.Last(); last.Kind.String() != "booting" || m.Facts.Serial != "S/N 1" {
			t.Errorf("%x: the last event is %v, facts %+v", m.MAC, last, m.Facts)
		}
	}
}

// Boards boot the same kernel without iPXE: by files of their own kind, under the
// names that they ask for.
func TestBoardsBoot(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
boot "node" {
  kernel  = "DIR/kernel"
  initrd  = ["DIR/initrd", "DIR/initrd"]
  cmdline = "host=${machine.name} mac=${machine.bootif}"
  message = "Hello, board"
  rpi     = "DIR"
}
rule "not these" {
  match { mac = ["dc:a6:32:00:00:*"] }
  ignore = true
}
rule "boards" {
  match { firmware = ["rpi", "uboot"] }
  boot = boot.node
}
`)
	dir := filepath.Dir(regexp.MustCompile(`"(\S*)/kernel"`).FindStringSubmatch(l.read())[1] + "/x")
	if err := os.WriteFile(filepath.Join(dir, "start4.elf"), []byte("firmware"), 0o644); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(l.kernel)
	for _, tc := range []struct{ profile, mac string }{
		{"rpi4", "dc:a6:32:00:01:01"}, {"rpi4", "52:54:00:00:04:02"}, {"rpi3", "b8:27:eb:00:01:03"}, {"uboot-arm64", "52:54:00:00:04:04"}, {"uboot-http-arm64", "52:54:00:00:04:05"},
	} {
		t.Run(tc.profile+" "+tc.mac, func(t *testing.T) {
			b := l.boot(tc.profile, tc.mac)
			o := b.Outcome
			if b.Err != "" || o.Action != pxeclient.ActionBoot || o.Kernel == nil || o.Kernel.SHA256 != hex.EncodeToString(digest[:]) || len(o.Initrds) != 1 || o.Initrds[0].Size != 16 {
				t.Fatalf("got %+v\nsteps %+v\nerror %s", o, b.Steps, b.Err)
			}
			name := strings.ReplaceAll(tc.mac, ":", "-")
			if want := "host=" + name + " mac=01-" + name; o.Cmdline != want {
				t.Errorf("command line: got %q, want %q", o.Cmdline, want)
			}
		})
	}
	l.ignores("rpi4", "dc:a6:32:00:00:01")
	r, err := l.status()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, m := range r.Machines {
		for _, e := range m.Events() {
			kinds[e.Kind.String()] = true
		}
	}
	for _, kind := range []string{"offered", "script", "kernel", "initrd", "file"} {
		if !kinds[kind] {
			t.Errorf("no event %q", kind)
		}
	}
}

func TestWhatTheRulesSayHappens(t *testing.T) {
	t.Parallel()
	l := newLab(t, rules)
	for _, tc := range []struct {
		name, profile, mac string
		action             pxeclient.Action // "": none, for there is no answer
		cmdline            string
	}{
		{"ignored BIOS", "bios", "52:54:00:00:00:01", "", ""},
		{"ignored UEFI", "efi-x64", "52:54:00:00:00:02", "", ""},
		{"ignored iPXE", "undionly", "52:54:00:00:00:03", "", ""},
		{"no rule", "efi-x64", "52:55:00:00:00:03", "", ""},
		{"an operating system's DHCP client", "ordinary", "52:54:00:00:03:01", "", ""},
		{"local BIOS", "bios", "52:54:00:00:01:01", pxeclient.ActionSanboot, ""},
		{"local iPXE on UEFI", "ipxe-x64", "52:54:00:00:01:02", pxeclient.ActionExit, ""},
		{"a BIOS whose CPU decides", "bios", "52:54:00:00:02:01", pxeclient.ActionBoot, "x64"},
		{"UEFI whose type decides", "efi-x64", "52:54:00:00:02:02", pxeclient.ActionBoot, "x64"},
		{"another type falls through", "efi-arm64", "52:54:00:00:02:03", pxeclient.ActionBoot, "initrd=initrd0 console=ttyS0 a  b # || root=live"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.action == "" {
				l.ignores(tc.profile, tc.mac)
				return
			}
			b := l.boot(tc.profile, tc.mac)
			if b.Outcome.Action != tc.action || b.Outcome.Cmdline != tc.cmdline || b.Err != "" {
				t.Errorf("got %q %q, error %q; want %q %q\nsteps %+v", b.Outcome.Action, b.Outcome.Cmdline, b.Err, tc.action, tc.cmdline, b.Steps)
			}
		})
	}
}

func TestASavedEditChangesTheNextBootAndABrokenOneDoesNot(t *testing.T) {
	t.Parallel()
	l := newLab(t, rules)
	const mac = "52:54:00:00:02:09"
	boots := func(want string) {
		t.Helper()
		if got := l.boot("undionly", mac); got.Outcome.Cmdline != want {
			t.Errorf("boots %q, want %q\n%+v", got.Outcome.Cmdline, want, got)
		}
	}
	reload := func(ok bool, gen uint64, edit func()) status.Report {
		t.Helper()
		before, err := l.status()
		if err != nil {
			t.Fatal(err)
		}
		edit()
		var r status.Report
		l.await("the verdict on the edit", func() bool {
			if r, err = l.status(); err != nil {
				t.Fatal(err)
			}
			return r.LastReload != nil && (before.LastReload == nil || !r.LastReload.Time.Equal(before.LastReload.Time))
		})
		if r.LastReload.OK != ok || r.Generation != gen {
			t.Errorf("reload: got %+v, generation %d; want %t, generation %d", r.LastReload, r.Generation, ok, gen)
		}
		return r
	}
	boots("x64")
	reload(true, 2, func() { l.edit(`cmdline = "x64"`, `cmdline = "edited"`) })
	boots("edited")
	r := reload(false, 2, func() { l.edit(`cmdline = "edited"`, `cmdlin = "broken"`) })
	if p := r.LastReload.Problems; len(p) == 0 || p[0].Line == 0 {
		t.Errorf("the report does not say where: %+v", p)
	}
	boots("edited")
	reload(true, 3, func() { // listeners too
		l.edit(`cmdlin = "broken"`, "cmdline = \"moved\"\n}\nlistener \"http\" {\n  address = \"0.0.0.0:8080\"")
	})
	boots("moved")
	reload(true, 4, func() {
		l.edit("cmdline = \"moved\"\n}\nlistener \"http\" {\n  address = \"0.0.0.0:8080\"", `cmdline = "mended"`)
	})
	boots("mended")
	reload(true, 5, func() { l.cmd.Process.Signal(syscall.SIGHUP) })
	boots("mended")

	// A clean stop, and a start with the same key: scripts that were given out
	// before still work.
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	l.start()
	boots("mended")
}

// What is on hold is not answered, also by the daemon's successor.
func TestHold(t *testing.T) {
	t.Parallel()
	l := newLab(t, rules)
	pixiecore := func(args ...string) string {
		t.Helper()
		cmd := command("pixiecore", append(args, "--control", filepath.Dir(l.config)+"/control.sock")...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		return string(out)
	}
	answered := func(mac string, want bool) {
		t.Helper()
		if !want {
			l.ignores("undionly", mac)
		} else if b := l.boot("undionly", mac); b.Outcome.Action != pxeclient.ActionBoot {
			t.Errorf("%s: got %+v, %s; want an answer", mac, b.Outcome, b.Err)
		}
	}
	const byCPU, other = "52:54:00:00:02:01", "52:54:00:00:03:01"
	pixiecore("hold", "by-cpu", "--reason", "the image is broken")
	answered(byCPU, false)
	answered(other, true)
	if got := pixiecore("status", byCPU); !strings.Contains(got, `ignored`) || !strings.Contains(got, `rule "by-cpu" is on hold: the image is broken`) {
		t.Errorf("status of a machine that is on hold:\n%s", got)
	}
	if got := pixiecore("explain", "--live", byCPU); !strings.Contains(got, `ignored: rule "by-cpu" is on hold: the image is broken`) {
		t.Errorf("explain of a machine that is on hold:\n%s", got)
	}
	pixiecore("hold")
	answered(other, false)

	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	l.cmd.Wait()
	l.start()
	answered(other, false)
	pixiecore("resume", "by-cpu")
	answered(byCPU, false)
	pixiecore("resume")
	answered(byCPU, true)
	answered(other, true)
}

// Listeners on one address answer broadcasts on its interface, and nowhere else.
func TestListenersOnOneAddress(t *testing.T) {
	t.Parallel()
	one, two := netlab.New(t), netlab.New(t)
	l := &lab{t: t, server: one.Host("server", "192.0.2.1/24"), machines: one.Host("machines", "192.0.2.50/24"), log: &syncBuffer{}}
	two.Attach(l.server, "eth1", "198.51.100.1/24")
	elsewhere := two.Host("elsewhere", "192.0.2.50/24") // the same address, on the other network
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "kernel"), []byte("kernel"), 0o644)
	l.config = filepath.Join(dir, "pixiecore.hcl")
	var config strings.Builder
	for kind, port := range map[string]int{"dhcp": 67, "pxe": 4011, "tftp": 69, "http": 8080} {
		fmt.Fprintf(&config, "listener %q {\n  address = \"192.0.2.1:%d\"\n}\n", kind, port)
	}
	l.write(config.String() + "listener \"status\" {}\n" + fmt.Sprintf("boot \"k\" {\n  kernel = %q\n}\nrule \"all\" {\n  boot = boot.k\n}\n", dir+"/kernel"))
	l.start()
	if b := l.boot("undionly", "52:54:00:00:03:01"); b.Outcome.Action != pxeclient.ActionBoot || !strings.HasPrefix(b.Outcome.Kernel.URL, "http://192.0.2.1:8080/") {
		t.Errorf("got %+v, %s", b.Outcome, b.Err)
	}
	l.machines = elsewhere
	l.ignores("undionly", "52:54:00:00:03:02")
	r, err := l.status()
	if err != nil || len(r.Machines) != 1 {
		t.Errorf("machines: %+v, %v", r.Machines, err)
	}
}

// A listener for relayed requests answers those of the relays that it names, and
// its own link again after an edit.
func TestRelayedRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t, rules)
	l.machines.IP("address", "add", "192.0.2.51/24", "dev", "eth0")
	reload := func() {
		t.Helper()
		if out, err := command("pixiecore", "reload", "--control", filepath.Dir(l.config)+"/control.sock").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const own = `listener "dhcp"   {}`
	relayed := "listener \"dhcp\" {\n  relays    = [\"192.0.2.50\"]\n  broadcast = false\n}"
	l.edit(own, relayed)
	reload()

	rom, err := pxeclient.ProfileByName("bios")
	if err != nil {
		t.Fatal(err)
	}
	discover := func(relay string, xid byte) []byte {
		d := rom.Discover(net.HardwareAddr{0x52, 0x54, 0, 0, 3, 1}, dhcpv4.TransactionID{xid}, [16]byte{1})
		d.GatewayIPAddr = net.ParseIP(relay)
		return d.ToBytes()
	}
	l.machines.Do(func() {
		relay, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 67})
		if err != nil {
			t.Error(err)
			return
		}
		defer relay.Close()
		relay.SetDeadline(time.Now().Add(patience))
		// Requests are answered in their order: the first offer that comes tells
		// of which relay it is.
		server := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 67}
		for _, d := range [][]byte{discover("192.0.2.51", 1), discover("192.0.2.50", 2)} {
			if _, err := relay.WriteToUDP(d, server); err != nil {
				t.Error(err)
				return
			}
		}
		b := make([]byte, 1500)
		n, err := relay.Read(b)
		if err != nil {
			t.Errorf("no answer to the relay: %v", err)
			return
		}
		offer, err := dhcpv4.FromBytes(b[:n])
		if err != nil || offer.TransactionID[0] != 2 || offer.MessageType() != dhcpv4.MessageTypeOffer || offer.GatewayIPAddr.String() != "192.0.2.50" {
			t.Errorf("got %v, %v; want the offer to the relay that is named", offer, err)
		}
	})
	l.ignores("undionly", "52:54:00:00:03:02") // a broadcast of the server's own link
	out, err := command("pixiecore", "status", "--control", filepath.Dir(l.config)+"/control.sock").CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^dhcp 0\.0\.0\.0:67 +relay +1$`).Match(out) || !regexp.MustCompile(`(?m)^dhcp 0\.0\.0\.0:67 +not-relayed +[1-9]`).Match(out) {
		t.Errorf("what was dropped is not told: %v\n%s", err, out)
	}
	l.edit(relayed, own)
	reload()
	if b := l.boot("undionly", "52:54:00:00:03:02"); b.Outcome.Action != pxeclient.ActionBoot {
		t.Errorf("after the edit: got %+v, %s", b.Outcome, b.Err)
	}
}

// A DHCP server on the same host keeps all of its traffic, and the daemon
// answers beside it.
func TestBesideADHCPServerOnTheSameHost(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "dnsmasq")
	lan := netlab.New(t)
	l := &lab{t: t, server: lan.Host("server", "192.0.2.1/24"), machines: lan.Host("machines", "192.0.2.50/24"), log: &syncBuffer{}}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "kernel"), []byte("kernel"), 0o644)
	dnsmasq := exec.Command("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0", "--interface=eth0",
		"--dhcp-range=192.0.2.100,192.0.2.199,10m", "--dhcp-authoritative", "--leasefile-ro", "--no-ping", "--log-facility=-", "--log-dhcp", "--pid-file=")
	served := &syncBuffer{}
	dnsmasq.Stderr = served
	l.server.StartCmd(dnsmasq)
	l.await("dnsmasq", func() bool { return strings.Contains(served.String(), "started") })

	l.config = filepath.Join(t.TempDir(), "pixiecore.hcl")
	config := func(share bool) string {
		return strings.Replace(listeners, `"dhcp"   {}`, fmt.Sprintf("\"dhcp\" {\n  share = %t\n}", share), 1) +
			fmt.Sprintf("boot \"k\" {\n  kernel = %q\n}\nrule \"all\" {\n  boot = boot.k\n}\n", dir+"/kernel")
	}
	l.write(config(false))
	refused := command("pixiecore", "serve", "--config", l.config, "--state-dir", dir, "--control", "")
	var out bytes.Buffer
	refused.Stderr = &out
	l.server.Do(func() { refused.Run() })
	if code := refused.ProcessState.ExitCode(); code != 3 || !strings.Contains(out.String(), "dnsmasq (pid ") || !strings.Contains(out.String(), "`share = true`") {
		t.Fatalf("beside another server without share: exit %d, %s", code, &out)
	}
	l.write(config(true))
	l.start()
	b := l.boot("undionly", "52:54:00:00:03:01")
	if b.Outcome.Action != pxeclient.ActionBoot {
		t.Errorf("got %+v, %s", b.Outcome, b.Err)
	}
	if got := served.String(); !strings.Contains(got, "DHCPDISCOVER(eth0) 52:54:00:00:03:01") {
		t.Errorf("the DHCP server did not get the DISCOVER:\n%s", got)
	}
}

// With share, a DHCP server on the same host loses none of the requests that
// machines send to it alone.
func TestRenewalsReachTheOtherServer(t *testing.T) {
	t.Parallel()
	const renewals = 50
	lan := netlab.New(t)
	l := &lab{t: t, server: lan.Host("server", "192.0.2.1/24"), machines: lan.Host("machines", "192.0.2.50/24"), log: &syncBuffer{}}
	listen := func(h *netlab.Host, address string) net.PacketConn {
		t.Helper()
		var c net.PacketConn
		var err error
		h.Do(func() { c, err = net.ListenPacket("udp4", address) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		return c
	}
	other := listen(l.server, "0.0.0.0:67") // the DHCP server
	client := listen(l.machines, "192.0.2.50:68")

	l.config = filepath.Join(t.TempDir(), "pixiecore.hcl")
	l.write(strings.Replace(listeners, `"dhcp"   {}`, "\"dhcp\" {\n  share = true\n}", 1) + "rule \"all\" {\n  local = true\n}\n")
	l.start()

	arrived := make(chan int, 1)
	go func() {
		n, b := 0, make([]byte, 1500)
		for ; n < renewals; n++ {
			size, from, err := other.ReadFrom(b)
			if err != nil {
				break
			}
			req, err := dhcpv4.FromBytes(b[:size])
			if err != nil {
				t.Errorf("the other server got no DHCP: %v", err)
				break
			}
			ack, err := dhcpv4.NewReplyFromRequest(req, dhcpv4.WithMessageType(dhcpv4.MessageTypeAck), dhcpv4.WithYourIP(req.ClientIPAddr))
			if err == nil {
				_, err = other.WriteTo(ack.ToBytes(), from)
			}
			if err != nil {
				t.Errorf("the other server: %v", err)
				break
			}
		}
		arrived <- n
	}()
	acks := 0
	for i := range renewals {
		// RFC 2131 §4.3.2, RENEWING: unicast, with ciaddr and without a server.
		req, err := dhcpv4.New(dhcpv4.WithHwAddr(net.HardwareAddr{0x52, 0x54, 0, 0, 3, byte(i)}), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
			dhcpv4.WithClientIP(net.IPv4(192, 0, 2, 50)), dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.WriteTo(req.ToBytes(), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 67}); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1500)
		n, _, err := client.ReadFrom(b)
		if err != nil {
			t.Fatalf("renewal %d: %v", i, err)
		}
		if ack, err := dhcpv4.FromBytes(b[:n]); err == nil && ack.TransactionID == req.TransactionID && ack.MessageType() == dhcpv4.MessageTypeAck {
			acks++
		}
	}
	if n := <-arrived; n != renewals || acks != renewals {
		t.Errorf("%d of %d renewals arrived, and %d were answered", n, renewals, acks)
	}
}

// doctor finds who else answers on a network, and says what that means.
func TestDoctorFindsOtherServers(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "dnsmasq")
	l := newLab(t, "rule \"all\" {\n  boot = boot.k\n}\nboot \"k\" {\n  kernel = \"DIR/kernel\"\n}\n")
	dnsmasq := exec.Command("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0", "--interface=eth0",
		"--dhcp-range=192.0.2.100,192.0.2.199,10m", "--dhcp-authoritative", "--leasefile-ro", "--no-ping", "--log-facility=-", "--pid-file=")
	served := &syncBuffer{}
	dnsmasq.Stderr = served
	l.machines.StartCmd(dnsmasq)
	l.await("dnsmasq", func() bool { return strings.Contains(served.String(), "started") })
	doctor := command("pixiecore", "doctor", "--control", filepath.Dir(l.config)+"/control.sock", "--interface", "eth0", l.config)
	var out bytes.Buffer
	doctor.Stdout, doctor.Stderr = &out, &out
	l.server.Do(func() { doctor.Run() })
	for _, want := range []string{
		"ok  servers    a DISCOVER on eth0 is answered by 192.0.2.50, which gives addresses\n",
		"ok  servers    a DISCOVER on eth0 is answered by 192.0.2.1 (this host), a boot server beside DHCP and says to boot ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("missing %q in\n%s", want, &out)
		}
	}
}

// A stranger that has asked is one machine block away from the inventory.
func TestSeen(t *testing.T) {
	t.Parallel()
	l := newLab(t, rules+"machine \"known\" {\n  mac = \"52:54:00:00:03:02\"\n}\n")
	l.boot("undionly", "52:54:00:00:03:01")
	l.boot("undionly", "52:54:00:00:03:02")
	seen := func(args ...string) string {
		t.Helper()
		out, err := command("pixiecore", append(append([]string{"seen"}, args...), "--control", filepath.Dir(l.config)+"/control.sock")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if got := seen(); !strings.Contains(got, "52:54:00:00:03:02  known") || !strings.Contains(got, "52:54:00:00:03:01  -") {
		t.Errorf("seen:\n%s", got)
	}
	if got := seen("--json"); !strings.Contains(got, `"interface": "eth0"`) {
		t.Errorf("what was said in DHCP is not told:\n%s", got)
	}
	block := seen("--unknown", "--hcl")
	if !strings.HasPrefix(block, `machine "m-52-54-00-00-03-01" {`) || strings.Count(block, "machine") != 1 {
		t.Errorf("seen --unknown --hcl:\n%s", block)
	}
	src, err := os.ReadFile(l.config)
	if err != nil {
		t.Fatal(err)
	}
	l.write(string(src) + block)
	if out, err := command("pixiecore", "reload", "--control", filepath.Dir(l.config)+"/control.sock").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := seen("--unknown", "--hcl"); got != "" {
		t.Errorf("after the reload:\n%s", got)
	}
}

// Machines of each kind boot while the configuration is reloaded again and again.
// Each boots by one generation, from its offer to its kernel.
func TestEachBootIsOfOneGeneration(t *testing.T) {
	t.Parallel()
	const reloads, atLeast = 50, 12 // of reloads, and of boots
	version := func(i int) string { return fmt.Sprintf("version-%d.", i) }
	l := newLab(t, strings.ReplaceAll(`
boot "linux" {
  kernel  = "DIR/kernel"
  cmdline = "VERSION"
  message = "VERSION"
}
rule "VERSION" {
  boot = boot.linux
}
`, "VERSION", version(0)))
	first, err := os.ReadFile(l.config)
	if err != nil {
		t.Fatal(err)
	}
	var boots atomic.Int64
	last := make(chan string, 1)
	var reloading sync.WaitGroup
	defer reloading.Wait()
	reloading.Go(func() {
		i := 1
		defer func() { last <- version(i - 1) }()
		for ; (i <= reloads || boots.Load() < atLeast) && !t.Failed(); i++ {
			l.write(strings.ReplaceAll(string(first), version(0), version(i)))
			if out, err := command("pixiecore", "reload", "--control", filepath.Dir(l.config)+"/control.sock").CombinedOutput(); err != nil {
				t.Errorf("reload %d: %v: %s", i, err, out)
			}
		}
	})
	profiles := []string{"bios", "efi-x64", "http-x64", "ipxe-x64", "bios-ipxe-rom", "ipxe-no-http"}
	for want := ""; want == ""; boots.Add(1) {
		select {
		case want = <-last: // one more boot
		default:
		}
		n := int(boots.Load())
		profile := profiles[n%len(profiles)]
		b := l.boot(profile, fmt.Sprintf("52:54:00:00:%02x:%02x", n>>8, n&255))
		if o := b.Outcome; o.Action != pxeclient.ActionBoot || len(o.Messages) == 0 || !strings.Contains(strings.Join(o.Messages, "\n"), o.Cmdline) {
			t.Fatalf("boot %d of %s: got %+v\nerror %s\nsteps %+v", n, profile, o, b.Err, b.Steps)
		}
		if want != "" && b.Outcome.Cmdline != want {
			t.Errorf("the last boot: got %s, want %s", b.Outcome.Cmdline, want)
		}
	}
	r, err := l.status()
	if err != nil {
		t.Fatal(err)
	}
	generations := map[uint64]bool{}
	for _, m := range r.Machines {
		all := slices.DeleteFunc(m.Events(), func(e events.Event) bool {
			return e.Kind == events.Asked || e.Kind == events.IPXE || e.Kind == events.Reporting
		}) // before anything is decided
		of := all[0]
		generations[of.Gen] = true
		for _, e := range all {
			if e.Gen != of.Gen || e.Rule != of.Rule {
				t.Errorf("%x: began by %s of %d, and has %s by %s of %d", m.MAC, of.Rule, of.Gen, e.Kind, e.Rule, e.Gen)
			}
		}
	}
	if len(r.Machines) != int(boots.Load()) {
		t.Errorf("%d machines for %d boots", len(r.Machines), boots.Load())
	}
	t.Logf("%d boots by %d of %d generations", boots.Load(), len(generations), r.Generation)
}
