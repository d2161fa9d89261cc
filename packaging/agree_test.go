// Package packaging_test holds what is packaged to what the daemon and its
// units do, and, with the tag "packages", the packages themselves to what
// README.md says of them:
//
//	make test-packages
package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/config"
)

// text is a file of the repository.
func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// setting is the value of the only line NAME=VALUE of a unit.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(text(t, "systemd/units/"+unit), -1)
	if len(found) != 1 {
		t.Fatalf("%s: %d lines %s=, want 1", unit, len(found), name)
	}
	return found[0][1]
}

// mustContain reports each part that a file lacks.
func mustContain(t *testing.T, path string, parts ...string) {
	t.Helper()
	src := text(t, path)
	for _, part := range parts {
		if !strings.Contains(src, part) {
			t.Errorf("%s: no %q in it", path, part)
		}
	}
}

// The unit's user, directories and profile are those that the other files make,
// allow and remove.
func TestWhatIsPackagedAgreesWithTheUnit(t *testing.T) {
	const unit = "pixiecore.service"
	user, group := setting(t, unit, "User"), setting(t, unit, "Group")
	state := "/var/lib/" + setting(t, unit, "StateDirectory")
	cache := "/var/cache/" + setting(t, unit, "CacheDirectory")
	run := "/run/" + setting(t, unit, "RuntimeDirectory")
	profile := strings.TrimPrefix(setting(t, unit, "AppArmorProfile"), "-")

	account := "u " + user + ` - "Network boot server" ` + state + "\n"
	mustContain(t, "packaging/sysusers.d/pixiecore.conf", account)
	mustContain(t, "packaging/rpm/pre", strings.TrimSpace(account))
	mustContain(t, "packaging/apk/pre-install", "-G "+group, "-h "+state, "-g "+group+" "+user)
	mustContain(t, "packaging/apk/openrc", `command_user="`+user+":"+group+`"`, run, state, cache)

	mustContain(t, "packaging/tmpfiles.d/pixiecore.conf", "/etc/pixiecore.hcl 0640 root "+group, "/etc/pixiecore.d 0750 root "+group)
	for _, format := range []string{"rpm", "apk"} {
		mustContain(t, "packaging/"+format+"/nfpm.yaml", "mode: 0640, group: "+group, "mode: 0750, group: "+group)
	}
	mustContain(t, "packaging/deb/postrm", "rm -rf "+strings.Join([]string{state, cache, run, "/etc/pixiecore.d"}, " "), "userdel "+user)

	mustContain(t, "packaging/apparmor.d/"+profile, "profile "+profile+" ",
		"owner "+state+"/** rwk", "owner "+cache+"/** rwk", "owner "+run+"/** rw", "bin/pixiecore mrix")
	for capability := range strings.FieldsSeq(setting(t, unit, "CapabilityBoundingSet")) {
		name := strings.ToLower(strings.TrimPrefix(capability, "CAP_"))
		mustContain(t, "packaging/apparmor.d/"+profile, "capability "+name+",")
		mustContain(t, "packaging/apk/openrc", "^cap_"+name)
	}
	for command, name := range map[string]string{"serve": "ExecStart", "reload": "ExecReload"} {
		if got, want := setting(t, unit, name), "/usr/bin/pixiecore "+command; got != want {
			t.Errorf("%s: got %q, want %q, where `make install PREFIX=/usr` puts it", name, got, want)
		}
	}
}

// load loads a configuration as it lies in /etc, beside no pixiecore.d, and
// returns the summaries of what there is to say of it.
func load(t *testing.T, src string) (*config.Config, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	c, report := config.Load(path)
	var summaries []string
	for _, p := range report.Problems() {
		summaries = append(summaries, string(p.Summary))
	}
	if c == nil {
		t.Fatal(report.Err())
	}
	return c, summaries
}

// Who has just installed the package serves nothing and answers nobody, and has
// an example that needs no more than an editor.
func TestThePackagedConfigurationBootsNothing(t *testing.T) {
	const name = "packaging/pixiecore.hcl"
	src := text(t, name)
	c, problems := load(t, src)
	if diff := cmp.Diff([]string{"no rules"}, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if len(c.Rules) > 0 || len(c.Listeners) != 5 {
		t.Fatalf("got %+v, want five listeners and no rule", c)
	}

	head, example, found := strings.Cut(src, "\n# machine ")
	if !found {
		t.Fatalf("%s: no example", name)
	}
	example = regexp.MustCompile(`(?m)^# ?`).ReplaceAllString("# machine "+example, "")
	c, problems = load(t, head+"\n"+example)
	if diff := cmp.Diff([]string{"no such file", "no such file"}, problems); diff != "" || len(c.Rules) == 0 {
		t.Errorf("with the example, whose kernel and initrd are the administrator's: %d rules, problems (-want +got):\n%s", len(c.Rules), diff)
	}
	for _, src := range []string{src, example} {
		if got, report := config.Format(name, []byte(src)); report.Err() != nil || string(got) != src {
			t.Errorf("`pixiecore fmt` would lay it out otherwise (-fmt +file):\n%s", cmp.Diff(string(got), src))
		}
	}
}

// What the firewall lets in is what the packaged configuration opens to the
// network.
func TestTheFirewallServiceHasTheListenersPorts(t *testing.T) {
	c, _ := load(t, text(t, "packaging/pixiecore.hcl"))
	var want []string
	for _, l := range c.Listeners {
		if l.Address.Addr().IsLoopback() {
			continue
		}
		protocol := "udp"
		if l.Kind == config.HTTP {
			protocol = "tcp"
		}
		want = append(want, protocol+" "+strconv.Itoa(int(l.Address.Port())))
	}
	var got []string
	for _, m := range regexp.MustCompile(`<port protocol="(\w+)" port="(\d+)"/>`).FindAllStringSubmatch(text(t, "packaging/firewalld/pixiecore.xml"), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ports (-listeners +firewall):\n%s", diff)
	}
}

// version runs packaging/version for what git would say of a commit.
func version(t *testing.T, describe, format string) string {
	t.Helper()
	cmd := exec.Command("./version", format)
	if format == "" {
		cmd.Args = cmd.Args[:1]
	}
	cmd.Env = append(os.Environ(), "VERSION="+describe)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("version %s: %v", format, err)
	}
	return strings.TrimSpace(string(out))
}

// Each format has signs of its own for "before" and "after" a version.
func TestVersionsOfThePackages(t *testing.T) {
	tests := []struct{ describe, deb, apk string }{
		{"v1.2.3", "1.2.3", "1.2.3"},
		{"v1.2.3-rc.1", "1.2.3~rc.1", "1.2.3_rc1"},
		{"v1.2.3-5-g0123456789ab", "1.2.3+5.g0123456789ab", "1.2.3_git5"},
		{"v1.2.3-5-g0123456789ab-dirty", "1.2.3+5.g0123456789ab+dirty", "1.2.3_git5"},
		{"v1.2.3-rc.1-5-g0123456789ab", "1.2.3~rc.1+5.g0123456789ab", "1.2.3_rc1_git5"},
	}
	for _, tt := range tests {
		t.Run(tt.describe, func(t *testing.T) {
			got := []string{version(t, tt.describe, ""), version(t, tt.describe, "deb"), version(t, tt.describe, "apk")}
			if diff := cmp.Diff([]string{tt.describe, tt.deb, tt.apk}, got); diff != "" {
				t.Errorf("version (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("before the first tag", func(t *testing.T) {
		deb, apk := version(t, "0123456789ab", "deb"), version(t, "0123456789ab", "apk")
		if !regexp.MustCompile(`^0\.0\.0\+git\d{8}\.g0123456789ab$`).MatchString(deb) {
			t.Errorf("deb: got %s", deb)
		}
		if !regexp.MustCompile(`^0\.0\.0_git\d{8}$`).MatchString(apk) {
			t.Errorf("apk: got %s", apk)
		}
	})
}

// Scripts that run as root on other people's machines.
func TestTheScriptsParse(t *testing.T) {
	scripts := []string{"build", "setup", "version", "apk/openrc"}
	for _, pattern := range []string{"deb/p*", "rpm/p*", "apk/p*"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) < 3 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		scripts = append(scripts, found...)
	}
	for _, script := range scripts {
		if out, err := exec.Command("sh", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", script, out)
		}
	}
}
