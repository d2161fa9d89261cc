package daemon

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

func TestPlan(t *testing.T) {
	at := func(kind config.Kind, address string, change ...func(*config.Listener)) config.Listener {
		l := config.Listener{Kind: kind, Address: netip.MustParseAddrPort(address)}
		for _, c := range change {
			c(&l)
		}
		return l
	}
	only := func(l *config.Listener) { l.Interfaces = []string{"eth0"} }
	advertise := func(l *config.Listener) { l.Advertise = netip.MustParseAddr("192.0.2.1") }
	share := func(l *config.Listener) { l.Share = true }
	relays := func(l *config.Listener) { l.Relays = []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")} }
	relayed := func(l *config.Listener) { l.Relayed = true }
	moved := func(l *config.Listener) { l.Pos = "pixiecore.hcl:99" }
	all := func(l ...config.Listener) []config.Listener { return l }

	for name, tc := range map[string]struct {
		running, next []config.Listener
		want          []step
		err           string // part of it
	}{
		"the start": {nil, all(at("dhcp", "0.0.0.0:67"), at("http", "[::]:80")), []step{{open, -1, 0}, {open, -1, 1}}, ""},
		"nothing, though it stands elsewhere": {
			all(at("http", "[::]:80")), all(at("http", "[::]:80", moved)), []step{{keep, 0, 0}}, "",
		},
		"another order": {
			all(at("http", "[::]:80"), at("tftp", "[::]:69")), all(at("tftp", "[::]:69"), at("http", "[::]:80")),
			[]step{{keep, 1, 0}, {keep, 0, 1}}, "",
		},
		"interfaces":   {all(at("tftp", "[::]:69")), all(at("tftp", "[::]:69", only)), []step{{alter, 0, 0}}, ""},
		"advertise":    {all(at("http", "[::]:80")), all(at("http", "[::]:80", advertise)), []step{{alter, 0, 0}}, ""},
		"relays":       {all(at("dhcp", "0.0.0.0:67")), all(at("dhcp", "0.0.0.0:67", relays)), []step{{alter, 0, 0}}, ""},
		"relayed only": {all(at("dhcp", "0.0.0.0:67", relays)), all(at("dhcp", "0.0.0.0:67", relays, relayed)), []step{{alter, 0, 0}}, ""},
		"the address of a ProxyDHCP listener, whose socket takes broadcasts": {
			all(at("dhcp", "0.0.0.0:67")), all(at("dhcp", "192.0.2.1:67")), []step{{alter, 0, 0}}, "",
		},
		"another port": {
			all(at("http", "[::]:80")), all(at("http", "[::]:8080")), []step{{open, -1, 0}, {shut, 0, -1}}, "",
		},
		"another address": {
			all(at("http", "192.0.2.1:80")), all(at("http", "192.0.2.2:80")), []step{{open, -1, 0}, {shut, 0, -1}}, "",
		},
		"a snooper in the place of a bound socket": {
			all(at("dhcp", "0.0.0.0:67")), all(at("dhcp", "0.0.0.0:67", share)), []step{{open, -1, 0}, {shut, 0, -1}}, "",
		},
		"two of any port, one of them gone": {
			all(at("http", "127.0.0.1:0"), at("http", "127.0.0.1:0")), all(at("http", "127.0.0.1:0")), []step{{keep, 0, 0}, {shut, 1, -1}}, "",
		},
		"two of any port, one of them new": {
			all(at("http", "127.0.0.1:0")), all(at("http", "127.0.0.1:0"), at("http", "127.0.0.1:0")), []step{{keep, 0, 0}, {open, -1, 1}}, "",
		},
		"the same port of the other transport": {
			all(at("tftp", "[::]:69")), all(at("tftp", "[::]:69"), at("http", "[::]:69")), []step{{keep, 0, 0}, {open, -1, 1}}, "",
		},
		"one address of all": {
			all(at("http", "0.0.0.0:80")), all(at("http", "192.0.2.1:80", moved)), nil,
			`pixiecore.hcl:99: listener "http" 192.0.2.1:80 cannot be opened while listener "http" 0.0.0.0:80 is open`,
		},
		"all addresses in the place of one": {
			all(at("http", "192.0.2.1:80")), all(at("http", "[::]:80")), nil, "restart pixiecore to apply the change",
		},
		"both families in the place of one": {
			all(at("tftp", "0.0.0.0:69")), all(at("tftp", "[::]:69")), nil, "restart pixiecore to apply the change",
		},
		"a port that changes its service": {
			all(at("status", "127.0.0.1:80")), all(at("http", "127.0.0.1:80")), nil, "restart pixiecore to apply the change",
		},
		"one beside another that has the port": {
			all(at("http", "[::]:80")), all(at("http", "[::]:80"), at("status", "127.0.0.1:80")), nil, "give one of them another port",
		},
	} {
		got, err := plan(place(tc.running, nil), place(tc.next, nil))
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %v, want an error with %q", name, err, tc.err)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(step{})); err != nil || diff != "" {
			t.Errorf("%s: %v -want +got\n%s", name, err, diff)
		}
	}
}

// free is an address of loopback that nobody has at the moment.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// write replaces the file at path.
func write(t testing.TB, path, src string) {
	t.Helper()
	if err := os.WriteFile(path+".tmp", []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

func listen(kind, address string, more ...string) string {
	return fmt.Sprintf("listener %q {\n  address = %q\n  %s\n}\n", kind, address, strings.Join(more, "\n  "))
}

func TestAReloadOpensAndClosesListeners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	first, second := free(t), free(t)
	tftpAny := listen("tftp", "127.0.0.1:0")
	write(t, path, tftpAny+listen("http", first)+everyLocal)
	o := options(t, path)
	o.Path = "" // no watching: each reload is this test's
	d := run(t, o)
	autoexec := func() string {
		t.Helper()
		b, err := pxeclient.Fetch(t.Context(), service[*tftp.Server](t, d).Conn.LocalAddr(), "autoexec.ipxe", pxeclient.FetchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := service[*tftp.Server](t, d).Conn

	write(t, path, tftpAny+listen("http", second)+listen("http", first)+everyLocal)
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{first, second} {
		if code, _ := get(t, "http://"+a+"/boot.ipxe"); code != 200 {
			t.Errorf("%s: %d", a, code)
		}
	}
	if service[*tftp.Server](t, d).Conn != before {
		t.Error("a listener that stays has another socket")
	}
	if s := autoexec(); !strings.Contains(s, "http://"+second+"/boot.ipxe") {
		t.Errorf("machines are not told of the HTTP server that is first now:\n%s", s)
	}

	write(t, path, listen("tftp", "127.0.0.1:0", `interfaces = ["nonesuch"]`)+listen("http", second, `advertise = "192.0.2.7"`)+everyLocal)
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", first); err == nil {
		c.Close()
		t.Error("the listener that is gone takes connections")
	}
	if _, err := pxeclient.Fetch(t.Context(), before.LocalAddr(), "autoexec.ipxe", pxeclient.FetchOptions{}); err == nil || !strings.Contains(err.Error(), "interface") {
		t.Errorf("interfaces of a listener that stays: got %v, want a refusal", err)
	}

	// An address that was given up can be had again at once.
	write(t, path, tftpAny+listen("http", first, `advertise = "192.0.2.7"`)+everyLocal)
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	if code, _ := get(t, "http://"+first+"/boot.ipxe"); code != 200 {
		t.Errorf("opened again: %d", code)
	}
	if _, port, _ := net.SplitHostPort(first); !strings.Contains(autoexec(), "http://192.0.2.7:"+port+"/boot.ipxe") {
		t.Error("machines are not told of the address that is advertised now")
	}
}

func TestAReloadChangesWhatDHCPTells(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	web := free(t)
	port := netip.MustParseAddrPort(web).Port()
	write(t, path, listen("pxe", "127.0.0.1:0")+listen("http", web)+everyLocal)
	o := options(t, path)
	o.Path = ""
	d := run(t, o)
	server := service[*dhcp4.Server](t, d)
	loopback := netip.MustParseAddr("127.0.0.1")
	if diff := cmp.Diff(&dhcp4.Settings{Web: bootfiles.Web{Addr: loopback, Port: port}}, server.Settings(), cmp.Comparer(equal[netip.Addr])); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	us := netip.MustParseAddr("192.0.2.1")
	write(t, path, listen("pxe", "127.0.0.1:0", `advertise = "192.0.2.1"`, `interfaces = ["lo"]`)+
		listen("http", web, `advertise = "192.0.2.1"`)+listen("tftp", "127.0.0.1:0", `advertise = "192.0.2.1"`)+everyLocal)
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	want := &dhcp4.Settings{Only: []string{"lo"}, Advertise: us, TFTP: us, Web: bootfiles.Web{Addr: us, Port: port}}
	if diff := cmp.Diff(want, server.Settings(), cmp.Comparer(equal[netip.Addr])); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func equal[T comparable](a, b T) bool { return a == b }

// One port that is taken refuses all of a reload, and the others that it opened
// are given up.
func TestAReloadThatCannotBindChangesNothing(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	web, new := free(t), free(t)
	write(t, path, listen("http", web)+everyLocal)
	o := options(t, path)
	o.Path = ""
	d := run(t, o)
	before := d.swap.Current()

	write(t, path, listen("http", new)+listen("status", other.Addr().String())+"rule \"all\" {\n  ignore = true\n}\n")
	if err := d.Reload(); err == nil || !strings.Contains(err.Error(), " has the port: stop it") {
		t.Errorf("got %v", err)
	}
	if d.swap.Current() != before || len(d.report().Listeners) != 1 {
		t.Errorf("something changed: %v", d.report().Listeners)
	}
	if code, _ := get(t, "http://"+web+"/boot.ipxe"); code != 200 {
		t.Errorf("the running listener: %d", code)
	}
	l, err := net.Listen("tcp", new)
	if err != nil {
		t.Fatalf("a listener of the refused reload is open: %v", err)
	}
	l.Close()
}

// What has begun on a listener that a reload removes goes on to its end.
func TestTransfersOutliveTheirListener(t *testing.T) {
	dir := t.TempDir()
	loader := bytes.Repeat([]byte("0123456789abcdef"), 512) // 16 blocks and an empty one
	kernel := bytes.Repeat([]byte("kernel.."), 4<<20)       // more than the buffers of two sockets
	os.WriteFile(filepath.Join(dir, "undionly.kpxe"), loader, 0o644)
	os.WriteFile(filepath.Join(dir, "kernel"), kernel, 0o644)
	path := filepath.Join(dir, "pixiecore.hcl")
	rest := "boot \"b\" {\n  kernel = \"kernel\"\n}\nrule \"all\" {\n  boot = boot.b\n}\nipxe {\n  bios = \"undionly.kpxe\"\n}\n"
	write(t, path, listen("http", "127.0.0.1:0")+listen("tftp", "127.0.0.1:0")+rest)
	o := options(t, path)
	o.Path = ""
	d := run(t, o)

	spec, err := d.swap.Current().Booter.BootSpec(boot.Machine{MAC: []byte{2, 0, 0, 0, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + service[*httpboot.Server](t, d).Listener.Addr().String() + "/_/file?name=" + string(spec.Kernel))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	tftpClient, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tftpClient.Close()
	tftpClient.SetDeadline(time.Now().Add(30 * time.Second))
	tftpAddr := service[*tftp.Server](t, d).Conn.LocalAddr()
	if _, err := tftpClient.WriteToUDPAddrPort([]byte("\x00\x01undionly.kpxe\x00octet\x00"), tftpAddr); err != nil {
		t.Fatal(err)
	}
	// block reads DATA n, RFC 1350 §5.
	block := func(n uint16) (data []byte, from netip.AddrPort) {
		t.Helper()
		for b := make([]byte, 1024); ; {
			size, from, err := tftpClient.ReadFromUDPAddrPort(b)
			if err != nil {
				t.Fatal(err)
			}
			if b[1] == 3 && binary.BigEndian.Uint16(b[2:]) == n {
				return b[4:size], from
			}
		}
	}
	data, from := block(1)
	got := bytes.Clone(data)

	// Both downloads have begun. Now both listeners go.
	write(t, path, listen("http", free(t))+rest)
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	for n := uint16(1); len(data) == 512; {
		if _, err := tftpClient.WriteToUDPAddrPort(binary.BigEndian.AppendUint16([]byte{0, 4}, n), from); err != nil {
			t.Fatal(err)
		}
		n++
		data, _ = block(n)
		got = append(got, data...)
	}
	if _, err := tftpClient.WriteToUDPAddrPort([]byte{0, 4, 0, 17}, from); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, loader) {
		t.Errorf("TFTP: %d bytes of %d, or others", len(got), len(loader))
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(body, kernel) {
		t.Errorf("HTTP: %d bytes of %d, or others: %v", len(body), len(kernel), err)
	}
}

// A listener may be removed before its server has begun.
func TestAListenerThatIsStoppedAtOnce(t *testing.T) {
	d, err := New(options(t, file(t, filepath.Join(t.TempDir(), "pixiecore.hcl"), everyLocal)))
	must(t, err)
	defer d.Close()
	for _, kind := range []config.Kind{config.TFTP, config.PXE, config.HTTP, config.Status} {
		l, err := d.open(placed{Listener: config.Listener{Kind: kind, Address: netip.MustParseAddrPort("127.0.0.1:0")}})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if kind == config.TFTP {
			l.close()
		}
		if err := l.run(ctx); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		<-l.closed
	}
}

func TestAReloadChangesTheFormatOfTheLog(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out atomic.Pointer[zapcore.Core]
	set := func(format config.LogFormat) {
		core := zapcore.NewCore(encoder(config.Log{Format: format}, false), zapcore.AddSync(f), zap.DebugLevel)
		out.Store(&core)
	}
	set(config.LogConsole)
	log := newLogger(&out, zap.NewAtomicLevel()).Named("http").With(zap.String("mac", "02:00:00:00:00:01"))
	log.Info("one", zap.Int("n", 1))
	log.Debug("not logged")
	set(config.LogJSON)
	log.Info("two", zap.Int("n", 2))

	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "INFO\thttp\tone\t{\"mac\": \"02:00:00:00:00:01\", \"n\": 1}") {
		t.Fatalf("got %q", lines)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "ts")
	want := map[string]any{"level": "info", "logger": "http", "msg": "two", "mac": "02:00:00:00:00:01", "n": 2.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
