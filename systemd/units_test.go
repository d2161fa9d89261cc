package systemd

import (
	"embed"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/config"
)

//go:embed units
var units embed.FS

// directives are those of a unit file, in order; NAME is that of its section
// and its own: "Service.ExecStart".
func directives(t *testing.T, name string) map[string][]string {
	t.Helper()
	src, err := units.ReadFile("units/" + name)
	if err != nil {
		t.Fatal(err)
	}
	all, section := map[string][]string{}, ""
	for line := range strings.Lines(string(src)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
		} else if k, v, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			all[section+"."+k] = append(all[section+"."+k], v)
		}
	}
	return all
}

func sockets(t *testing.T) []string {
	t.Helper()
	all, err := units.ReadDir("units")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		if path.Ext(e.Name()) == ".socket" {
			names = append(names, e.Name())
		}
	}
	return names
}

// Every kind of listener can be activated, and a socket unit is of a kind.
func TestEveryListenerHasASocketUnit(t *testing.T) {
	udp := []config.Kind{config.DHCP, config.DHCP6, config.PXE, config.TFTP}
	var got []string
	for _, kind := range slices.Sorted(slices.Values(config.Kinds())) {
		name := "pixiecore-" + string(kind)
		got = append(got, name+".socket")
		u := directives(t, name+".socket")
		want := map[string][]string{
			"Socket.Service":            {"pixiecore.service"},
			"Socket.FileDescriptorName": {name},
			// systemd issue 15633: else a port is dead until somebody resets the unit.
			"Socket.TriggerLimitIntervalSec": {"0"},
		}
		if slices.Contains(udp, kind) {
			want["Socket.PassPacketInfo"] = []string{"yes"}
			want["Socket.ReceiveBuffer"] = []string{"16M"}
		}
		for k, v := range want {
			if !slices.Equal(u[k], v) {
				t.Errorf("%s: %s is %q, want %q", name, k, u[k], v)
			}
		}
		listen := "Socket.ListenStream"
		if slices.Contains(udp, kind) {
			listen = "Socket.ListenDatagram"
		}
		if len(u[listen]) != 1 {
			t.Errorf("%s: %s is %q, want one address", name, listen, u[listen])
		}
	}
	if have := sockets(t); !slices.Equal(got, have) {
		t.Errorf("socket units are %q, want %q", have, got)
	}
	// One on port 67 may take another server's unicasts.
	for _, name := range append(sockets(t), "pixiecore.service") {
		for _, k := range []string{"Unit.Wants", "Unit.Requires", "Unit.BindsTo", "Unit.Upholds", "Install.Also", "Service.Sockets"} {
			if v := strings.Join(directives(t, name)[k], " "); strings.Contains(v, "pixiecore") {
				t.Errorf("%s: %s=%s pulls in a unit", name, k, v)
			}
		}
	}
}

func TestTheServiceUnit(t *testing.T) {
	u := directives(t, "pixiecore.service")
	for k, v := range map[string]string{
		"Service.Type":               "notify", // 252 does not know notify-reload
		"Service.ExecReload":         "/usr/bin/pixiecore reload",
		"Service.User":               "pixiecore",
		"Service.StateDirectory":     "pixiecore",
		"Service.RuntimeDirectory":   "pixiecore", // control.DefaultPath
		"Unit.StartLimitIntervalSec": "0",
	} {
		if !slices.Equal(u[k], []string{v}) {
			t.Errorf("%s is %q, want %q", k, u[k], v)
		}
	}
	for _, k := range []string{"Service.WatchdogSec", "Service.FileDescriptorStoreMax"} {
		if len(u[k]) != 1 {
			t.Errorf("%s is %q, want a value", k, u[k])
			continue
		}
		if n, err := strconv.Atoi(u[k][0]); err != nil || n <= 0 {
			t.Errorf("%s is %q, want a number", k, u[k])
		}
	}
}

// systemdAnalyze runs it on the units as they would be installed, or skips.
func systemdAnalyze(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	dir := t.TempDir()
	files := append(sockets(t), "pixiecore.service")
	for _, name := range files {
		src, err := units.ReadFile("units/" + name)
		if err != nil {
			t.Fatal(err)
		}
		// Neither the program nor its manual need be installed here.
		s := strings.ReplaceAll(string(src), "/usr/bin/pixiecore", "/bin/true")
		s = regexp.MustCompile(`(?m)^Documentation=.*\n`).ReplaceAllString(s, "")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range args {
		if a == "UNITS" {
			args = slices.Delete(args, i, i+1)
			for _, name := range files {
				args = append(args, filepath.Join(dir, name))
			}
			break
		}
	}
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestSystemdUnderstandsTheUnits(t *testing.T) {
	if out := systemdAnalyze(t, "verify", "--man=no", "UNITS"); strings.Contains(out, "pixiecore") {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
}

func TestTheServiceIsConfined(t *testing.T) {
	const most = 1.8
	out := systemdAnalyze(t, "security", "--offline=true", "--no-pager", "./pixiecore.service")
	m := regexp.MustCompile(`exposure level for pixiecore.service: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no figure in\n%s", out)
	}
	if got, err := strconv.ParseFloat(m[1], 64); err != nil || got > most {
		t.Errorf("exposure is %s, want at most %v\n%s", m[1], most, out)
	}
}
