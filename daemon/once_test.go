package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

// installer is a configuration by which db1 installs once.
const installer = `
machine "db1" {
  mac = "02:00:00:00:00:01"
}
boot "V" {
  installs = true
  kernel   = "kernel-V"
  cmdline  = "auto=true done=${phone_home()}"
}
rule "V" {
  match { machine = "db1" }
  boot = boot.V
  once {}
}
ipxe {
  efi64 = "loader-V"
}
`

var db1 = boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Firmware: boot.FirmwareEFI64, Arch: boot.ArchX64, Probed: true}

// installing is the path of a configuration, with the files that it names.
func installing(t *testing.T, src string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"loader-V", "kernel-V"} {
		must(t, put(dir, "x", name))
	}
	path := filepath.Join(dir, "pixiecore.hcl")
	write(t, path, listen("http", "127.0.0.1:0")+src)
	return path
}

func state(t *testing.T, d *Daemon) once.State {
	t.Helper()
	r, _ := d.states().Find(once.Machine{Name: "db1"})
	return r.State
}

// From DHCP to the last file, a machine that is armed boots, and one that is not does
// not; a reload between two stages changes nothing of that.
func TestABootThatHappensOnceHasOneVerdict(t *testing.T) {
	b := newBooting(t)
	b.write(strings.ReplaceAll(installer, "V", "a"))
	b.reload()
	b.boot++
	b.ask("DHCP")
	if got := b.script(); strings.Contains(got, "kernel") {
		t.Errorf("nobody has armed it, and it gets %q", got)
	}
	_, err := operator{b.d}.Arm(control.Arming{Machines: []string{"db1"}})
	must(t, err)
	b.boot++
	for _, stage := range stages[:3] {
		if got := b.ask(stage); got != "a" || state(t, b.d) != once.Armed {
			t.Errorf("%s: got %q, %s", stage, got, state(t, b.d))
		}
	}
	first := b.script()
	if !strings.Contains(first, "\nboot kernel auto=true") || state(t, b.d) != once.Installing {
		t.Fatalf("got %q, %s", first, state(t, b.d))
	}
	b.write(strings.ReplaceAll(strings.ReplaceAll(installer, "V", "b"), `rule "b"`, `rule "renamed"`))
	b.reload()
	if got := b.ask("script"); got != "a" {
		t.Errorf("after a reload: got %q", got)
	}
	if got := b.ask("kernel"); got != "a" {
		t.Errorf("after a reload: got %q", got)
	}

	b.boot++ // by another rule and another boot, and still a second installation
	b.ask("DHCP")
	if got := b.script(); strings.Contains(got, "kernel") || !strings.Contains(got, "sleep") || strings.Contains(got, "sanboot") {
		t.Errorf("another boot gets %q", got)
	}
	home := strings.Fields(first[strings.Index(first, "done=")+len("done="):])[0]
	home = b.web() + home[strings.Index(home, "/_/"):]
	if status, body := get(t, home); status != 200 || state(t, b.d) != once.Spent {
		t.Errorf("phone home: %d %s, %s", status, body, state(t, b.d))
	}
	if got := b.script(); strings.Contains(got, "kernel") || !strings.Contains(got, "exit") {
		t.Errorf("when it is done: got %q", got)
	}
}

// script is the machine's.
func (b *booting) script() string {
	b.t.Helper()
	_, body := get(b.t, b.web()+"/_/ipxe?facts=1&token="+b.token())
	return body
}

// On the last good file nothing writes disks, whoever is armed for it.
func TestALastGoodFileInstallsNobody(t *testing.T) {
	path := installing(t, installer)
	o := options(t, path)
	d, err := New(o)
	must(t, err)
	_, err = operator{d}.Arm(control.Arming{Machines: []string{"db1"}})
	must(t, err)
	d.Close()
	write(t, path, "nonsense")
	d, err = New(o)
	must(t, err)
	defer d.Close()
	got, err := d.boots.Decide(t.Context(), db1, time.Now())
	if err != nil || got.Action != boot.Local || !strings.Contains(got.Reason, "stands in") || state(t, d) != once.Armed {
		t.Errorf("got %s, %q, %v", got.Action, got.Reason, err)
	}
}

// What cannot be read arms nobody, and the rest is served.
func TestADamagedStateArmsNobody(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"garbage":   func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("nonsense", 4096)), 0o600) },
		"cut":       func(p string) error { return os.Truncate(p, 5000) },
		"empty":     func(p string) error { return os.Truncate(p, 0) },
		"gone":      os.Remove,
		"directory": func(p string) error { return replaced(p, func() error { return os.Mkdir(p, 0o700) }) },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, installing(t, strings.ReplaceAll(installer, "once {}", "once { start = \"armed\" }")))
			d, err := New(o)
			must(t, err)
			must(t, d.openStates().Begin())
			_, err = operator{d}.Arm(control.Arming{Machines: []string{"db1"}})
			must(t, err)
			d.Close()
			must(t, damage(filepath.Join(o.StateDir, store.File)))
			d, err = New(o)
			must(t, err)
			defer d.Close()
			got, err := d.boots.Decide(t.Context(), db1, time.Now())
			if err != nil || got.Action != boot.Local || got.Reason == "" {
				t.Errorf("got %s, %q, %v", got.Action, got.Reason, err)
			}
			lost := name == "gone" || name == "empty" // bbolt makes a new one of these
			if r := d.report(); (r.OnceError == "") != lost {
				t.Errorf("the status says %q", r.OnceError)
			}
		})
	}
}

func replaced(path string, by func() error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return by()
}

// A machine in another process, which is killed. Each line says what it does: "boot"
// begins one, "script" and the time of its token asks for the script.
func bootUntilKilled(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	d, err := New(Options{
		Load:     func() (*config.Config, *config.Report) { return config.Load(filepath.Join(dir, "pixiecore.hcl")) },
		StateDir: filepath.Join(dir, "state"), Log: zap.NewNop(),
	})
	fail(err)
	fmt.Println("ready")
	m := db1
	ctx := context.Background()
	for said := bufio.NewScanner(os.Stdin); said.Scan(); {
		var token int64
		word, rest, _ := strings.Cut(said.Text(), " ")
		fmt.Sscan(rest, &token)
		switch word {
		case "arm":
			_, err := operator{d}.Arm(control.Arming{Machines: []string{"db1"}})
			fail(err)
			fmt.Println("armed")
		case "boot":
			d.boots.Heard(boots.Request{MAC: [6]byte(m.MAC), Transaction: [4]byte{byte(time.Now().UnixNano()), byte(time.Now().UnixNano() >> 8), 1}, Discover: true, Facts: &boot.Facts{Known: boot.DHCPFacts}}, time.Now())
			_, err := d.boots.Decide(ctx, m, time.Now())
			fail(err)
			fmt.Println("offered", time.Now().Unix())
		case "script":
			m := m
			m.Issued, m.Facts = time.Unix(token, 0), d.boots.Of(m.MAC)
			now := time.Now()
			decision, err := d.boots.Decide(ctx, m, now)
			fail(err)
			if decision.Action == boot.Boot {
				_, err = d.boots.SpecFor(ctx, decision, m, "http://h", now)
				fail(err)
			}
			fmt.Println("gets", decision.Action)
		case "done":
			_, err := d.boots.Done(m.MAC, boot.DoneByPhoneHome, time.Now(), time.Now())
			fail(err)
			fmt.Println("done")
		}
	}
	os.Exit(0)
}

// A child is such a process.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Env = append(os.Environ(), "ONCE_TEST_DIR="+dir)
	var err error
	c.in, err = c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	c.out = bufio.NewScanner(out)
	if got := c.answer(); got != "ready" {
		c.kill()
		t.Fatalf("the child says %q", got)
	}
	return c
}

// answer is the next line; empty: it was killed before.
func (c *child) answer() string {
	if !c.out.Scan() {
		return ""
	}
	return c.out.Text()
}

func (c *child) kill() {
	c.Process.Kill()
	c.Wait() // it was killed
}

// Whenever the process is killed, one arm is used by one boot, which gets the same
// after the restart.
func TestAKilledProcessInstallsOnce(t *testing.T) {
	dir := filepath.Dir(installing(t, installer))
	kills := 10
	if part, err := strconv.Atoi(os.Getenv("PIXIECORE_SOAK_PART")); err == nil && part > 0 {
		kills = max(kills, 100/part) // `make soak`
	}
	boot, given := 0, map[int]bool{} // the boots that have been given the installer, of this arm
	token, armed := "", false
	c := startChild(t, dir)
	for i := 0; i < kills; {
		words := []string{"boot", "script", "script"}
		if !armed {
			words = []string{"arm", "boot", "script"}
		}
	once:
		for at, word := range words {
			say := word
			if word == "script" {
				say += " " + token
			}
			fmt.Fprintln(c.in, say)
			// The moments of one step, one after the other.
			killed := at == i%3
			if killed {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
				c.Process.Kill()
			}
			switch answer := c.answer(); {
			case answer == "armed":
				armed, given = true, map[int]bool{}
			case strings.HasPrefix(answer, "offered "):
				boot++
				token = strings.TrimPrefix(answer, "offered ")
			case answer == "gets boot":
				given[boot] = true
			case answer == "" && !killed:
				t.Fatalf("%s: the child has ended", say)
			case answer != "" && !strings.HasPrefix(answer, "gets ") && answer != "done":
				t.Fatalf("%s: the child says %q", say, answer)
			}
			if len(given) > 1 {
				t.Fatalf("kill %d: two boots were given the installer", i)
			}
			if killed {
				c.kill()
				c = startChild(t, dir)
				i++
				if word == "arm" {
					break once // who does not know whether it went well does it again
				}
				if word == "script" { // it asks again
					fmt.Fprintln(c.in, "script "+token)
					if c.answer() == "gets boot" {
						given[boot] = true
					}
					if len(given) > 1 {
						t.Fatalf("kill %d: two boots were given the installer", i)
					}
				}
			}
		}
		if len(given) == 1 && i%2 == 0 { // and now the next arm
			armed = false
		}
	}
	// Else nothing was shown.
	fmt.Fprintln(c.in, "arm\nboot")
	c.answer()
	fmt.Fprintln(c.in, "script "+strings.TrimPrefix(c.answer(), "offered "))
	if got := c.answer(); got != "gets boot" {
		t.Errorf("a machine that is armed: %q", got)
	}
	c.kill()
}

// The events of the machine say why it does not install.
func TestWhyAMachineDoesNotInstallIsAnEvent(t *testing.T) {
	b := newBooting(t)
	b.write(strings.ReplaceAll(installer, "V", "a"))
	b.reload()
	b.boot++
	b.ask("DHCP")
	b.script()
	m, _ := b.d.events.Machine(events.MAC(b.mac))
	for _, e := range m.Events() {
		if strings.Contains(e.Detail, "`pixiecore arm db1` arms it") {
			return
		}
	}
	t.Errorf("got %+v", m.Events())
}
