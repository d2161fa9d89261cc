//go:build systemd

package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// allSockets are the units that an administrator enables who wants no request to
// be lost; dhcp is one that nothing pulls in.
const allSockets = "pixiecore-dhcp.socket pixiecore-pxe.socket pixiecore-tftp.socket pixiecore-http.socket"

// The first packet starts the daemon, and is answered.
func TestTheFirstPacketActivates(t *testing.T) {
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		h.run("systemctl enable --now " + allSockets)
		if got := h.property("pixiecore.service", "ActiveState"); got != "inactive" {
			t.Fatalf("the service is %s before the first packet", got)
		}
		began := time.Now()
		h.mustBoot("one")
		t.Logf("a machine booted %v after it was switched on, the start of the daemon included", time.Since(began).Round(time.Millisecond))
		if got := h.property("pixiecore.service", "ActiveState"); got != "active" {
			t.Errorf("the service is %s after a boot", got)
		}
	})
}

// A stop is a stop: what comes afterwards wakes nothing. A start after it serves
// again.
func TestAStopSilences(t *testing.T) {
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		h.run("systemctl enable --now " + allSockets + " pixiecore.service")
		h.mustBoot("one")
		h.run("systemctl stop pixiecore.service")
		h.eventually("the sockets are closed", 10*time.Second, func() bool { return h.states("is-active") == "inactive" })
		if out, err := h.as("knock"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		// systemd starts what a packet wakes before it answers the next question.
		h.run("systemctl daemon-reload")
		if got := h.states("is-active"); got != "inactive" {
			t.Errorf("after a packet to each port units are %q, want all inactive", got)
		}
		h.run("systemctl start " + allSockets)
		h.mustBoot("one")
	})
}

// Machines that load while the daemon is restarted or reloaded see nothing of it: with
// the sockets of units, and with the daemon's own, which systemd keeps.
func TestUnderLoadNothingIsLost(t *testing.T) {
	const times = 20
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		for units, whose := range map[string]string{"pixiecore.service": "the daemon's own sockets", allSockets + " pixiecore.service": "the sockets of units"} {
			h.run("systemctl enable --now " + units)
			h.mustBoot("one")
			for _, verb := range []string{"restart", "reload"} {
				h.mustLoseNothing(fmt.Sprintf("%s, %d times %s", whose, times, verb), func() {
					for range times {
						h.run("systemctl " + verb + " pixiecore.service")
					}
				})
			}
			h.run("systemctl stop pixiecore.service")
		}
	})
}

// mustLoseNothing does something while machines load.
func (h *host) mustLoseNothing(what string, do func()) {
	h.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=load")
	stop, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	h.client.StartCmd(cmd)
	do()
	stop.Close()
	err = cmd.Wait()
	var asked, lost int
	if _, scanErr := fmt.Sscanf(lastLine(out.String()), "asked %d lost %d", &asked, &lost); scanErr != nil {
		h.t.Fatalf("the load: %v, %v\n%s", err, scanErr, out)
	}
	h.t.Logf("%s: %d of %d requests lost", what, lost, asked)
	const fewest = 20 // else it was no load
	if lost != 0 || asked < fewest {
		h.t.Errorf("%s: %d of %d requests lost, want 0 of at least %d:\n%s", what, lost, asked, fewest, out)
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// A daemon that hangs is killed and comes back, within twice WatchdogSec=, and
// what came meanwhile is answered.
func TestTheWatchdogRestartsADaemonThatHangs(t *testing.T) {
	const watchdog = 3 * time.Second
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		h.write("/etc/systemd/system/pixiecore.service.d/watchdog.conf", fmt.Sprintf("[Service]\nWatchdogSec=%d\n", int(watchdog.Seconds())))
		h.run("systemctl daemon-reload; systemctl enable --now " + allSockets + " pixiecore.service")
		h.mustBoot("one")
		pid := h.pid()
		// One that is idle is fed.
		time.Sleep(2 * watchdog)
		if got := h.pid(); got != pid {
			t.Fatalf("an idle daemon was restarted: process %s, then %s", pid, got)
		}
		began := time.Now()
		h.run("kill -STOP " + pid)
		h.mustBoot("one")
		took := time.Since(began)
		if got := h.pid(); got == pid {
			t.Errorf("process %s, which was stopped, still serves", pid)
		}
		if out := h.run("journalctl --no-pager --unit=pixiecore"); !strings.Contains(strings.ToLower(out), "watchdog timeout") {
			t.Errorf("the journal does not say that it was the watchdog:\n%s", out)
		}
		t.Logf("WatchdogSec=%v: a machine booted %v after the daemon had hung", watchdog, took.Round(time.Millisecond))
	})
}

// Without any .socket unit the daemon's own sockets, the raw one of share = true
// among them, wait with systemd while it restarts or has been killed.
func TestTheStoreKeepsTheDaemonsOwnSockets(t *testing.T) {
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		h.write("/etc/pixiecore.hcl", strings.Replace(configuration("one"), `{ address = "0.0.0.0:67" }`, `{ share = true }`, 1))
		h.run("systemctl enable --now pixiecore.service")
		h.mustBoot("one")
		stored := func() int {
			n, err := strconv.Atoi(h.property("pixiecore.service", "NFileDescriptorStore"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		first := stored()
		if first < 4 { // dhcp, pxe, tftp, http
			t.Errorf("%d sockets in the store, want at least 4", first)
		}
		for _, how := range []string{"systemctl restart pixiecore.service", "kill -KILL $(systemctl show --value --property=MainPID pixiecore.service)"} {
			before := h.pid()
			h.run(how)
			h.mustBoot("one")
			if h.pid() == before {
				t.Errorf("%s: process %s still runs", how, before)
			}
			if got := stored(); got != first {
				t.Errorf("%s: %d sockets in the store, %d before", how, got, first)
			}
		}
		t.Logf("%d sockets kept over a restart and a kill", first)
	})
}
