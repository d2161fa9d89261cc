//go:build systemd

package systemd

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The README's commands are what an administrator types; `sudo` and the editor
// are stood in for.
func TestTheREADMEsInstallation(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)\n## Install\n.*?```sh\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md: no ```sh under \"## Install\"")
	}
	onEach(t, func(t *testing.T, h *host) {
		h.run("mkdir -p /srv/live; echo kernel >/srv/live/vmlinuz; echo initrd >/srv/live/initrd")
		h.write("/root/edited", configuration("readme"))
		for line := range strings.Lines(string(block[1])) {
			command, _, _ := strings.Cut(line, "#")
			command = strings.TrimSpace(command)
			out := h.run("sudo() { \"$@\"; }; sudoedit() { cp /root/edited \"$1\"; }\n" + strings.ReplaceAll(command, "./", "/dist/"))
			t.Logf("$ %s\n%s", command, out)
			if strings.Contains(command, "apt install") {
				installedOnly(t, h)
			}
		}
		h.mustBoot("readme")
		if got := h.run("ps -o user= -p " + h.pid()); got != "pixiecore" {
			t.Errorf("the daemon runs as %q, want pixiecore", got)
		}
		if got, want := h.run("stat -c '%U:%G %a' /etc/pixiecore.hcl"), "root:pixiecore 640"; got != want {
			t.Errorf("/etc/pixiecore.hcl: got %s, want %s", got, want)
		}
	})
}

// installedOnly holds that nothing came to life by an installation.
func installedOnly(t *testing.T, h *host) {
	t.Helper()
	if got := h.states("is-enabled"); got != "disabled" {
		t.Errorf("after the installation units are %q, want all disabled", got)
	}
	if got := h.states("is-active"); got != "inactive" {
		t.Errorf("after the installation units are %q, want all inactive", got)
	}
	if out := h.run("ss --no-header --listening --udp --tcp --numeric '( sport = :67 or sport = :69 or sport = :80 or sport = :4011 )'"); out != "" {
		t.Errorf("after the installation something listens:\n%s", out)
	}
}

// `systemctl reload` waits for the verdict and passes it on.
func TestReload(t *testing.T) {
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		h.run("systemctl start pixiecore")
		h.mustBoot("one")

		for _, field := range []string{"MAC=52:54:00:00:00:01", "RULE=all", "GENERATION=1"} {
			if out := h.run("journalctl --no-pager --quiet --unit=pixiecore " + field); !strings.Contains(out, "52:54:00:00:00:01") {
				t.Errorf("journalctl %s does not find the machine:\n%s", field, out)
			}
		}
		const counts = "listeners 5, rules 1, machines 0"
		if got, want := h.property("pixiecore.service", "StatusText"), "generation 1: "+counts; got != want {
			t.Errorf("status: got %q, want %q", got, want)
		}

		h.configure("two")
		began := time.Now()
		h.run("systemctl reload pixiecore")
		t.Logf("a reload took %v", time.Since(began).Round(time.Millisecond))
		h.mustBoot("two")

		h.write("/etc/pixiecore.hcl", strings.Replace(configuration("three"), "kernel ", "kernle ", 1))
		out, status := h.try("systemctl reload pixiecore")
		if status != 1 {
			t.Errorf("a reload of a bad file: exit status %d, want 1\n%s", status, out)
		}
		out = h.run("journalctl --no-pager --unit=pixiecore")
		for _, want := range []string{`kernle`, `kernel`, "/etc/pixiecore.hcl:10"} {
			if !strings.Contains(out, want) {
				t.Errorf("the journal does not say %q of it:\n%s", want, out)
			}
		}
		said := h.property("pixiecore.service", "StatusText")
		for _, want := range []string{"reload refused: /etc/pixiecore.hcl:10:3", "running: generation 2: " + counts} {
			if !strings.Contains(said, want) {
				t.Errorf("systemctl status does not say %q: %s", want, said)
			}
		}
		h.mustBoot("two")
		if h.property("pixiecore.service", "NRestarts") != "0" {
			t.Error("the daemon was restarted")
		}
	})
}

// What only root may read is handed over by systemd, goes into a machine's file and
// nowhere else.
func TestACredential(t *testing.T) {
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		h.write("/root/root.pw", "hunter2\n")
		h.run("chmod 600 /root/root.pw")
		h.write("/etc/systemd/system/pixiecore.service.d/secret.conf", "[Service]\nLoadCredential=root.pw:/root/root.pw\n")
		h.write("/etc/pixiecore.hcl", strings.Replace(configuration("one"), `"name=one"`, `"url=${url(file.preseed)}"

  file "preseed" {
    content = "rootpw ${local.pw}"
    secret  = true
  }`, 1)+`
locals {
  pw = sensitive(trimspace(file("/run/credentials/pixiecore.service/root.pw")))
}
`)
		h.run("systemctl daemon-reload && systemctl start pixiecore")
		out, err := h.as("seed")
		if err != nil || !strings.Contains(out, "200 OK rootpw hunter2") {
			t.Errorf("the machine's file: got %q, %v\n%s", out, err, h.run("cat /etc/pixiecore.hcl; journalctl --no-pager --unit=pixiecore"))
		}
		if out := h.run("journalctl --no-pager; pixiecore status; pixiecore explain --mac 52:54:00:00:00:01 --firmware efi64"); strings.Contains(out, "hunter2") {
			t.Errorf("the secret is shown:\n%s", out)
		}
	})
}

// Where a DHCP server has the port, the start is refused with its unit's name and the
// way out, and succeeds when it has gone. A .socket opens beside one that allows it:
// that is said.
func TestBesideAnotherDHCPServer(t *testing.T) {
	// systemd-run's unit holds the port as a server does that sets SO_REUSEADDR.
	const other = "systemd-run --quiet --unit=kea-dhcp4 systemd-socket-activate --datagram --listen=0.0.0.0:67 /bin/true"
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		start := func() {
			h.run(other)
			h.eventually("the other server", bootLimit, func() bool {
				_, status := h.try("ss --no-header --listening --udp --numeric '( sport = :67 )' | grep -q .")
				return status == 0
			})
		}
		start()
		if out, status := h.try("systemctl start pixiecore.service"); status == 0 {
			t.Fatalf("the service has started on a port that is taken: %s", out)
		}
		out := h.run("journalctl --no-pager --unit=pixiecore")
		for _, want := range []string{"kea-dhcp4.service", "`share = true`"} {
			if !strings.Contains(out, want) {
				t.Errorf("the journal does not say %q:\n%s", want, out)
			}
		}
		h.run("systemctl stop kea-dhcp4.service")
		h.eventually("a start when the port is free", bootLimit, func() bool { return h.property("pixiecore.service", "ActiveState") == "active" })
		h.mustBoot("one")

		h.run("systemctl stop pixiecore.service")
		start()
		h.run("systemctl start pixiecore-dhcp.socket pixiecore.service")
		if out := h.run("journalctl --no-pager --unit=pixiecore"); !strings.Contains(out, "kea-dhcp4.service (user root) has port 67, too") {
			t.Errorf("the journal does not say who else has the port:\n%s", out)
		}
	})
}

// A file with an error at the start, and none served before: the daemon stays
// up, says so, and serves the file when it is right. No unit is given up.
func TestABadFileAtStart(t *testing.T) {
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		h.write("/etc/pixiecore.hcl", "listener \"http\" {\n")
		h.run("systemctl start pixiecore")
		pid := h.pid()
		if out := h.run("systemctl status --no-pager pixiecore"); !strings.Contains(out, "pixiecore.hcl") {
			t.Errorf("systemctl status does not say why nothing is served:\n%s", out)
		}
		h.configure("repaired")
		began := time.Now()
		h.eventually("a repaired file is served", 5*time.Second, func() bool {
			_, status := h.try("ss --no-header --listening --tcp --numeric '( sport = :80 )' | grep -q .")
			return status == 0
		})
		t.Logf("serving %v after the repair", time.Since(began).Round(time.Millisecond))
		h.mustBoot("repaired")
		if got := h.pid(); got != pid {
			t.Errorf("the daemon was restarted: process %s, then %s", pid, got)
		}
	})
}

// An upgrade restarts what runs, without a lost request, and starts nothing else; what
// was edited stays.
func TestUpgrade(t *testing.T) {
	const repack = `
		dpkg-deb --raw-extract /dist/pixiecore_*_` + architecture + `.deb /root/next
		sed -i 's/^Version: .*/Version: 99.0.0-1~upstream/' /root/next/DEBIAN/control
		echo '# of the new version' >>/root/next/etc/pixiecore.hcl
		dpkg-deb --root-owner-group -Znone --build /root/next /root/next.deb`
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		h.run("systemctl enable --now pixiecore.service")
		before := h.pid()
		h.run(repack)
		h.mustLoseNothing("an upgrade", func() { h.run("apt-get install --yes -o Dpkg::Options::=--force-confdef /root/next.deb") })
		if got := h.run("dpkg-query --show --showformat='${Version}' pixiecore"); got != "99.0.0-1~upstream" {
			t.Fatalf("version: got %s", got)
		}
		if got := h.property("pixiecore.service", "ActiveState"); got != "active" {
			t.Errorf("the service that ran is %s", got)
		}
		if h.pid() == before {
			t.Error("the old process still runs")
		}
		if got := h.run("systemctl is-enabled pixiecore.service"); got != "enabled" {
			t.Errorf("the service that was enabled is %s", got)
		}
		h.mustBoot("one")
		if got, want := h.run("stat -c '%U:%G %a' /etc/pixiecore.hcl"), "root:pixiecore 640"; got != want {
			t.Errorf("/etc/pixiecore.hcl: got %s, want %s", got, want)
		}

		h.run("systemctl disable --now pixiecore.service")
		h.run("apt-get install --yes --reinstall -o Dpkg::Options::=--force-confdef /root/next.deb")
		installedOnly(t, h)
	})
}

// A purge leaves what was there before the installation, and nothing else.
func TestPurge(t *testing.T) {
	// What apt, dpkg and the journal write of their own accord is left out, and
	// so are the copies of accounts that shadow keeps.
	const tree = `find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp -o -path /dist -o -path /root ` +
		`-o -path /var/cache/apt -o -path /var/cache/debconf -o -path /var/cache/ldconfig -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/systemd/catalog ` +
		`-o -path /var/tmp -o -name '*-' -o -name .updated -o -name .pwd.lock \) -prune -o -printf '%p %M %u:%g\n' | sort; cat /etc/passwd /etc/group; ls -d /run/pixiecore* 2>/dev/null || true`
	onEach(t, func(t *testing.T, h *host) {
		h.run("mkdir -p /srv/live; echo kernel >/srv/live/vmlinuz; echo initrd >/srv/live/initrd")
		before := h.run(tree)
		h.install()
		h.write("/etc/pixiecore.d/more.hcl", "locals { more = true }\n")
		h.run("systemctl enable --now pixiecore.service")
		h.mustBoot("one")
		pid := h.pid()
		h.run("apt-get purge --yes pixiecore")
		if _, status := h.try("test -e /proc/" + pid); status == 0 {
			t.Error("the daemon still runs")
		}
		if out := h.run("systemctl list-units --all --no-legend 'pixiecore*'"); out != "" {
			t.Errorf("units are left:\n%s", out)
		}
		was := map[string]bool{}
		for line := range strings.Lines(before) {
			was[line] = true
		}
		after := h.run(tree)
		for line := range strings.Lines(after) {
			if !was[line] {
				t.Errorf("left or changed: %s", strings.TrimSpace(line))
			}
		}
		if len(after) < len(before) {
			t.Errorf("less is there than before: %d bytes of list, %d before", len(after), len(before))
		}
	})
}

// What systemd itself thinks of the units.
func TestSecurity(t *testing.T) {
	const most = 1.8
	onEach(t, func(t *testing.T, h *host) {
		h.install()
		if out := h.run("cd /usr/lib/systemd/system && systemd-analyze verify --man=no pixiecore* 2>&1"); out != "" {
			t.Errorf("systemd-analyze verify:\n%s", out)
		}
		out := h.run("systemd-analyze security --no-pager pixiecore.service")
		m := regexp.MustCompile(`Overall exposure level for pixiecore.service: ([0-9.]+)`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("systemd-analyze security:\n%s", out)
		}
		level, err := strconv.ParseFloat(m[1], 64)
		if err != nil || level > most {
			t.Errorf("exposure %s, want at most %v:\n%s", m[1], most, out)
		}
		t.Logf("exposure %s", m[1])
	})
}
