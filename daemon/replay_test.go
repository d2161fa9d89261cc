package daemon

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/pcap"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// parse is a configuration with that beside the listeners and a loader for BIOS and
// UEFI.
func parse(t testing.TB, rest string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"loader", "kernel"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	src := "listener \"dhcp\" {}\nlistener \"pxe\" {}\nlistener \"tftp\" {}\nlistener \"http\" {}\n" + rest +
		"\nboot \"linux\" {\n  kernel = \"DIR/kernel\"\n}\nipxe {\n  bios  = \"DIR/loader\"\n  efi64 = \"DIR/loader\"\n}\n"
	cfg, report := config.Parse("pixiecore.hcl", []byte(strings.ReplaceAll(src, "DIR", dir)))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

const everybody = "rule \"everybody\" {\n  boot = boot.linux\n}\n"

// simulated boots machines by a configuration, and returns a capture of that.
func simulated(t testing.TB, cfg *config.Config, clients ...pxeclient.Client) []byte {
	t.Helper()
	sim, err := Simulate(cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	var b bytes.Buffer
	w, err := pcap.NewWriter(&b, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		sim.Place(&c)
		c.Wait = patience
		if _, err := c.Boot(t.Context()); err != nil {
			t.Errorf("%s: %v\n%v", c.Profile.Name, err, sim.Said())
		}
		for _, p := range sim.daemon.packets.Of([6]byte(c.MAC)) {
			if err := w.Write(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return b.Bytes()
}

func client(t testing.TB, kind string, n byte) pxeclient.Client {
	t.Helper()
	p, err := pxeclient.ProfileByName(kind)
	if err != nil {
		t.Fatal(err)
	}
	return pxeclient.Client{Profile: p, MAC: net.HardwareAddr{2, 0, 0, 0, 0, n}, LongMode: true}
}

// port is that of the HTTP server that a capture tells machines.
func port(t testing.TB, file []byte) uint16 {
	t.Helper()
	m := regexp.MustCompile(`http://[0-9.]+:([0-9]+)/`).FindSubmatch(file)
	if m == nil {
		t.Fatal("the capture tells no URL")
	}
	n, err := strconv.ParseUint(string(m[1]), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}

func TestReplay(t *testing.T) {
	file := simulated(t, parse(t, everybody), client(t, "bios", 1), client(t, "efi-x64", 2), client(t, "http-x64", 3))
	rows := func(rest string) (got []string, differ int) {
		t.Helper()
		cfg := parse(t, rest)
		cfg.Listeners[3].Address = netip.AddrPortFrom(netip.IPv4Unspecified(), port(t, file)) // that of the simulation
		r, err := ReplayCapture(t.Context(), cfg, bytes.NewReader(file), false)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Answered || r.Cut != "" {
			t.Errorf("%+v", r)
		}
		for _, x := range r.Requests {
			got = append(got, fmt.Sprintf("%s %d %s: %s: %s", x.MAC[15:], x.Port, x.Stage, x.Offer, x.Answer+x.Why))
			if x.Differs {
				differ++
			}
		}
		return got, differ
	}

	// The configuration that has answered answers the same again.
	got, differ := rows(everybody)
	want := []string{
		"01 67 rom: loader: TOKEN/undionly.kpxe, option 43 6=8",
		"01 67 ipxe: script: http://SERVER:PORT/_/ipxe?token=TOKEN, option 43 6=8",
		"02 67 rom: loader: TOKEN/ipxe.efi",
		"02 4011 rom: loader: TOKEN/ipxe.efi",
		"02 67 ipxe: script: http://SERVER:PORT/_/ipxe?token=TOKEN, option 43 6=8",
		"03 67 http-boot: loader by HTTP: http://SERVER:PORT/TOKEN/ipxe.efi by HTTP Boot",
		"03 67 ipxe: script: http://SERVER:PORT/_/ipxe?token=TOKEN, option 43 6=8",
	}
	for i := range want {
		want[i] = strings.Replace(want[i], "PORT", fmt.Sprint(port(t, file)), 1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if differ != 0 {
		t.Errorf("%d differ", differ)
	}

	// Another one does not.
	got, differ = rows("rule \"no\" {\n  match { mac = [\"02:00:00:00:00:01\"] }\n  ignore = true\n}\n" + "rule \"disk\" {\n  match { firmware = [\"uefi\"] }\n  local = true\n}\n")
	for i, part := range map[int]string{
		0: "01 67 rom: nothing: ignored", 1: "01 67 ipxe: nothing: ignored", 2: "02 67 rom: local disk: no file, option 43 6=3 9 10",
		5: "03 67 http-boot: loader by HTTP", 6: "03 67 ipxe: script",
	} {
		if !strings.HasPrefix(got[i], part) {
			t.Errorf("row %d: got %q, want %q", i, got[i], part)
		}
	}
	if differ != 4 { // UEFI's HTTP Boot and iPXE are told where to ask, as before
		t.Errorf("%d differ in\n%s", differ, strings.Join(got, "\n"))
	}
}

// What a capture may hold beside: other machines, an end in the middle, nothing.
func TestReplayOfOtherCaptures(t *testing.T) {
	file := simulated(t, parse(t, everybody), client(t, "bios-ipxe-rom", 1))
	cfg := parse(t, everybody)
	ordinary := client(t, "ordinary", 9)
	var b bytes.Buffer
	w, _ := pcap.NewWriter(&b, "")
	at := netip.MustParseAddrPort("255.255.255.255:67")
	_ = w.Write(pcap.Datagram{Time: time.Now(), From: netip.MustParseAddrPort("0.0.0.0:68"), To: at, Data: ordinary.Profile.Discover(ordinary.MAC, [4]byte{1}, [16]byte{}).ToBytes()})
	_ = w.Write(pcap.Datagram{Time: time.Now(), From: netip.MustParseAddrPort("0.0.0.0:68"), To: at, Data: []byte("noise")})
	r, err := ReplayCapture(t.Context(), cfg, bytes.NewReader(b.Bytes()), false)
	if err != nil || r.Others != 1 || len(r.Requests) != 0 || r.Answered {
		t.Errorf("of others: %+v, %v", r, err)
	}
	r, err = ReplayCapture(t.Context(), cfg, bytes.NewReader(file[:len(file)-9]), false)
	if err != nil || len(r.Requests) == 0 || r.Cut == "" {
		t.Errorf("cut short: %+v, %v", r, err)
	}
	if _, err = ReplayCapture(t.Context(), cfg, strings.NewReader("listener"), false); err == nil {
		t.Error("a text is a capture")
	}
	cfg.Listeners = cfg.Listeners[2:]
	r, err = ReplayCapture(t.Context(), cfg, bytes.NewReader(file), false)
	if err != nil || len(r.Requests) == 0 || r.Requests[0].Why != `the configuration has no listener "dhcp"` || !r.Requests[0].Differs {
		t.Errorf("without a listener: %+v, %v", r, err)
	}
}

func FuzzReplay(f *testing.F) {
	cfg := parse(f, everybody)
	f.Add(simulated(f, cfg, client(f, "efi-x64", 2)))
	f.Add([]byte("noise"))
	r, err := newReplayer(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		all, _, err := readCapture(bytes.NewReader(file))
		if err != nil {
			return
		}
		for i, p := range all {
			r.judge(t.Context(), p, false)
			answersTo(p, all[i+1:])
			describe(p.packet)
		}
	})
}
