package cli_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// original starts a command line of the original's and waits for its HTTP server.
func original(t *testing.T, env []string, port string, args ...string) *lab {
	t.Helper()
	lan := netlab.New(t)
	l := &lab{t: t, server: lan.Host("server", "192.0.2.1/24"), machines: lan.Host("machines", "192.0.2.50/24"), log: &syncBuffer{}}
	dir := t.TempDir()
	for _, name := range []string{"kernel", "initrd", "efi64"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name, 9000)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "DIR", dir)
	}
	l.cmd = command("pixiecore", args...)
	l.cmd.Env = append(os.Environ(), env...)
	for i, e := range l.cmd.Env {
		l.cmd.Env[i] = strings.ReplaceAll(e, "DIR", dir)
	}
	l.cmd.Stdout, l.cmd.Stderr = l.log, l.log
	l.server.StartCmd(l.cmd)
	l.await("the daemon to serve", func() bool {
		_, err := l.ask(l.server, port, "/boot.ipxe")
		return err == nil
	})
	return l
}

// ask gets a path from the server, at its address in the network.
func (l *lab) ask(from *netlab.Host, port, path string) (body string, err error) {
	var c net.Conn
	from.Do(func() { c, err = net.DialTimeout("tcp", "192.0.2.1:"+port, patience) })
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", path)
	b, err := io.ReadAll(c)
	return string(b), err
}

// bootsWith is one machine that boots, and the lines of the log that a boot makes.
func (l *lab) bootsWith(lines ...string) {
	l.t.Helper()
	b := l.boot("efi-x64", "52:54:00:00:00:01")
	if o := b.Outcome; b.Err != "" || o.Action != pxeclient.ActionBoot || o.Cmdline != "initrd=initrd0 quiet" {
		l.t.Errorf("got %+v\nerror %s\n%s", o, b.Err, l.log)
	}
	l.await("the last line of the boot", func() bool { return strings.Contains(l.log.String(), "Booting into OS: 52:54:00:00:00:01") })
	for _, line := range lines {
		if !strings.Contains(l.log.String(), line) {
			l.t.Errorf("no line %q in\n%s", line, l.log)
		}
	}
}

// The unit of NixOS names one port twice.
func TestTheUnitOfNixOSAndItsLines(t *testing.T) {
	t.Parallel()
	l := original(t, []string{"PIXIECORE_IPXE_EFI64=DIR/efi64", "PIXIECORE_LOG_FORMAT=classic"}, "80",
		"boot", "DIR/kernel", "DIR/initrd", "--cmdline", "quiet", "--listen-addr", "192.0.2.1", "--port", "80", "--status-port", "80")
	l.bootsWith("[DHCP] Offering to boot 52:54:00:00:00:01\n", "[HTTP] Sending ipxe boot script to 192.0.2.50:", `[HTTP] Sent file "kernel" to 192.0.2.50:`, "[TFTP] Sent \"")
	if n := strings.Count(l.log.String(), "--status-port is the port of the HTTP server"); n != 1 {
		t.Errorf("%d warnings", n)
	}
	if body, err := l.ask(l.server, "80", "/api/v1/status"); err != nil || !strings.Contains(body, "52:54:00:00:00:01") {
		t.Errorf("this host is told no status: %v %s", err, body)
	}
	if body, err := l.ask(l.machines, "80", "/api/v1/status"); err != nil || strings.Contains(body, "machines") {
		t.Errorf("a machine is told the status: %v %s", err, body)
	}
}

func TestVersion1Boots(t *testing.T) {
	t.Parallel()
	l := original(t, []string{"PIXIECORE_IPXE_EFI64=DIR/efi64"}, "70", "-kernel", "DIR/kernel", "-initrd", "DIR/initrd", "-cmdline", "quiet")
	l.bootsWith(" Starting Pixiecore in static mode\n", " [DHCP] Offering to boot 52:54:00:00:00:01\n")
}

// An iPXE in a network card that cannot load by HTTP boots one that can, for which
// the original's --ipxe-ipxe names a file.
func TestAnIPXEWithoutHTTPHasALoaderOfItsOwn(t *testing.T) {
	t.Parallel()
	size := func(name string) int64 { return int64(len(name) * 9000) }
	loaded := func(l *lab, profile, mac string) (sizes []int64) {
		b := l.boot(profile, mac)
		for _, s := range b.Find(pxeclient.StepFetch) {
			if strings.HasSuffix(s.URL, ".kpxe") {
				sizes = append(sizes, s.Size)
			}
		}
		if b.Err != "" || b.Outcome.Action != pxeclient.ActionBoot {
			t.Errorf("%s: %+v %s", profile, b.Outcome, b.Err)
		}
		return sizes
	}
	for flag, want := range map[string]int64{"--debug": size("initrd"), "--ipxe-ipxe=DIR/efi64": size("efi64")} {
		l := original(t, nil, "80", "boot", "DIR/kernel", "--ipxe-bios=DIR/initrd", flag)
		if got := loaded(l, "ipxe-no-http", "52:54:00:00:00:01"); !slices.Equal(got, []int64{want}) {
			t.Errorf("%s: an iPXE loads %d bytes, want %d", flag, got, want)
		}
		if got := loaded(l, "bios", "52:54:00:00:00:02"); !slices.Equal(got, []int64{size("initrd")}) {
			t.Errorf("%s: a BIOS loads %d bytes", flag, got)
		}
	}
}
