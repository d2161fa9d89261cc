//go:build systemd

package systemd

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

const (
	bootLimit    = 60 * time.Second // for systemd to have started everything
	commandLimit = 2 * time.Minute  // for a command in a host; apt takes seconds
	haltLimit    = 20 * time.Second
	pollEvery    = 50 * time.Millisecond
)

var (
	serverAddr = netip.MustParseAddr("192.0.2.1")
	clientAddr = netip.MustParseAddr("192.0.2.2")
)

// A host is one that systemd has started, and its network.
type host struct {
	t      *testing.T
	leader int          // PID 1 of the host, as it is called out here
	client *netlab.Host // the machine that boots from it
}

// onEach runs a test on a host of each release.
func onEach(t *testing.T, test func(t *testing.T, h *host)) {
	for _, release := range []string{"bookworm", "trixie"} {
		t.Run(release, func(t *testing.T) { test(t, start(t, release)) })
	}
}

// start boots a host, which is gone when the test ends. dist/ is /dist there.
func start(t *testing.T, release string) *host {
	t.Helper()
	netlab.Require(t, "systemd-nspawn", "nsenter", "ip")
	trees := os.Getenv("PIXIECORE_TREES")
	if trees == "" {
		trees = "/var/cache/pixiecore-systemd"
	}
	tree := filepath.Join(trees, release)
	dist, err := filepath.Abs("../../dist")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{tree, dist} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v: `make test-systemd` makes it", err)
		}
	}
	lan := netlab.New(t)
	server, client := lan.Host("server", serverAddr.String()+"/24"), lan.Host("client", clientAddr.String()+"/24")

	console := new(bytes.Buffer)
	cmd := exec.Command("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
		"--directory="+tree, "--volatile=overlay", "--bind-ro="+dist+":/dist",
		"--machine=pixiecore-"+release+"-"+strconv.Itoa(os.Getpid()), "--console=pipe",
		// ReceiveBuffer= of the .socket units is beyond net.core.rmem_max.
		"--capability=CAP_NET_ADMIN", "--system-call-filter=bpf")
	cmd.Env = append(os.Environ(), "UNIFIED_CGROUP_HIERARCHY=1")
	cmd.Stdout, cmd.Stderr = console, console
	server.StartCmd(cmd)
	h := &host{t: t, client: client}
	t.Cleanup(func() { h.halt(cmd, console) })

	h.eventually("PID 1 of the host", bootLimit, func() bool {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		h.leader, _ = strconv.Atoi(strings.TrimSpace(string(children)))
		return h.leader != 0 && exec.Command("nsenter", h.enter("systemctl", "list-jobs")...).Run() == nil
	})
	h.eventually("a system that runs", bootLimit, func() bool {
		out, _ := h.try("systemctl is-system-running")
		return out == "running" || out == "degraded"
	})
	t.Logf("%s", strings.SplitN(h.run("systemctl --version"), "\n", 2)[0])
	return h
}

// halt turns the host off. The first SIGTERM asks it, the second does not.
func (h *host) halt(cmd *exec.Cmd, console *bytes.Buffer) {
	if h.t.Failed() && h.leader != 0 {
		out, _ := h.try("systemctl status --no-pager 'pixiecore*'; journalctl --no-pager --lines=60")
		h.t.Logf("the host at its end:\n%s", out)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // how it ends is of no interest
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(haltLimit):
		_ = cmd.Process.Kill()
		<-ended
		h.t.Errorf("the host did not halt within %v:\n%s", haltLimit, console)
	}
}

// enter is the command line of nsenter that runs a command in the host.
func (h *host) enter(args ...string) []string {
	return append([]string{
		"--target", strconv.Itoa(h.leader), "--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup",
		"env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER=cat",
	}, args...)
}

// try runs a script in the host, and returns what it says, on both streams, and
// its exit status.
func (h *host) try(script string) (string, int) {
	h.t.Helper()
	// Not t.Context: this runs in Cleanup too.
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", h.enter("sh", "-e", "-c", script)...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		h.t.Fatalf("%s: no end within %v\n%s", script, commandLimit, out)
	}
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		h.t.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
}

// run is try of a script that may not fail.
func (h *host) run(script string) string {
	h.t.Helper()
	out, status := h.try(script)
	if status != 0 {
		h.t.Fatalf("%s: exit status %d\n%s", script, status, out)
	}
	return out
}

// write writes a file of the host anew, as an editor does: beside it, then over it.
func (h *host) write(path, content string) {
	h.t.Helper()
	cmd := exec.Command("nsenter", h.enter("sh", "-e", "-c",
		`mkdir -p "$(dirname "$0")"; [ ! -e "$0" ] || cp -p "$0" "$0.new"; cat >"$0.new"; mv "$0.new" "$0"`, path)...)
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("write %s: %v\n%s", path, err, out)
	}
}

// eventually waits until something is so.
func (h *host) eventually(what string, limit time.Duration, so func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(limit); !so(); time.Sleep(pollEvery) {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// property is what systemd knows of a unit.
func (h *host) property(unit, name string) string {
	h.t.Helper()
	return h.run("systemctl show --value --property=" + name + " " + unit)
}

// pid is the daemon's process, as the host calls it.
func (h *host) pid() string { return h.property("pixiecore.service", "MainPID") }

// states are the distinct states of all our units: "disabled", "inactive".
func (h *host) states(verb string) string {
	h.t.Helper()
	out, _ := h.try("cd /usr/lib/systemd/system && systemctl " + verb + " pixiecore* | sort -u")
	return out
}

// install installs the package of dist/, and a configuration that boots
// everybody by one rule.
func (h *host) install() {
	h.t.Helper()
	h.run("apt-get install --yes /dist/pixiecore_*_" + architecture + ".deb")
	h.configure("one")
}

// configure writes a configuration whose boot has a name that the client sees.
func (h *host) configure(name string) {
	h.t.Helper()
	h.run("mkdir -p /srv/live; echo kernel >/srv/live/vmlinuz; echo initrd >/srv/live/initrd")
	h.write("/etc/pixiecore.hcl", configuration(name))
}

func configuration(name string) string {
	return `include = ["pixiecore.d/*.hcl"]

listener "dhcp" { address = "0.0.0.0:67" }
listener "pxe" { address = "0.0.0.0:4011" }
listener "tftp" { address = "[::]:69" }
listener "http" { address = "[::]:80" }
listener "status" {}

boot "live" {
  kernel  = "/srv/live/vmlinuz"
  initrd  = ["/srv/live/initrd"]
  cmdline = "name=` + name + `"
}

rule "all" {
  boot = boot.live
}
`
}

// mustBoot boots a machine and expects a name on its command line.
func (h *host) mustBoot(name string) {
	h.t.Helper()
	out, err := h.as("boot")
	if err != nil {
		h.t.Fatalf("a machine that boots: %v\n%s", err, out)
	}
	if want := "name=" + name; !regexp.MustCompile(`\b` + want + `\b`).MatchString(out) {
		h.t.Fatalf("a machine boots %q, want %s in it", out, want)
	}
}

// as runs this program on the client in the role that roles_test.go has for a
// word, and returns what it prints.
func (h *host) as(role string) (string, error) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	var err error
	h.client.Do(func() { err = cmd.Run() })
	return strings.TrimSpace(out.String()), err
}
