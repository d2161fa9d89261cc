package pxeclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a fake server on loopback: a scripted responder for DISCOVER and
// port 4011, a TFTP and an HTTP server.
type network struct {
	tftp *fakeTFTP
	http *httptest.Server
	port [2]uint16 // of DISCOVER and of 4011

	mu       sync.Mutex
	requests []string // of HTTP: "GET /path User-Agent"
	asked    []string // of DHCP: "discover class"
}

// responder answers one request; nil is silence. SRV in a boot file name, in a
// page and in a script becomes the HTTP server's host.
type responder func(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4

func newNetwork(t *testing.T, discover, bootServer responder, files map[string][]byte, pages map[string]string) *network {
	t.Helper()
	n := &network{}
	n.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.requests = append(n.requests, r.Method+" "+r.URL.RequestURI()+" "+r.UserAgent())
		n.mu.Unlock()
		page, ok := pages[r.URL.Path]
		switch {
		case strings.HasPrefix(page, "→"):
			http.Redirect(w, r, strings.TrimPrefix(page, "→"), http.StatusFound)
		case !ok:
			http.NotFound(w, r)
		default:
			page = strings.ReplaceAll(page, "SRV", r.Host)
			w.Header().Set("Content-Length", strconv.Itoa(len(page)))
			if r.Method != http.MethodHead {
				_, _ = w.Write([]byte(page))
			}
		}
	}))
	t.Cleanup(n.http.Close)
	served := map[string][]byte{}
	for name, data := range files {
		served[name] = data
		if bytes.HasPrefix(data, []byte("#!ipxe")) {
			served[name] = bytes.ReplaceAll(data, []byte("SRV"), []byte(n.host()))
		}
	}
	n.tftp = (&fakeTFTP{files: served}).start(t)
	for i, f := range []responder{discover, bootServer} {
		conn := listen(t)
		n.port[i] = conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		var wg sync.WaitGroup
		wg.Go(func() {
			b := make([]byte, 2048)
			for {
				size, from, err := conn.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				req, err := dhcpv4.FromBytes(b[:size])
				if err != nil {
					continue
				}
				n.mu.Lock()
				n.asked = append(n.asked, strings.TrimSpace(strings.ToLower(req.MessageType().String())+" "+string(req.Options[77])))
				n.mu.Unlock()
				if resp := f(req); resp != nil {
					resp.TransactionID = req.TransactionID
					resp.BootFileName = strings.ReplaceAll(resp.BootFileName, "SRV", n.host())
					if name := resp.Options[67]; name != nil {
						resp.Options[67] = bytes.ReplaceAll(name, []byte("SRV"), []byte(n.host()))
					}
					_, _ = conn.WriteToUDPAddrPort(resp.ToBytes(), from)
				}
			}
		})
		t.Cleanup(func() { conn.Close(); wg.Wait() })
	}
	return n
}

func (n *network) client(p Profile) *Client {
	localhost := netip.MustParseAddr("127.0.0.1")
	return &Client{
		Profile: p, MAC: testMAC, UUID: testUUID, LongMode: true, Facts: map[string]string{"serial": "S 1"},
		Address: localhost, Server: localhost,
		Ports:   Ports{Server: n.port[0], BootServer: n.port[1], TFTP: n.tftp.addr.Port()},
		Collect: time.Millisecond,
	}
}

func (n *network) host() string { u, _ := url.Parse(n.http.URL); return u.Host }

// says makes a responder that always gives the same answer, from loopback.
func says(t *testing.T, fields ...string) responder {
	return func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		return answer(t, append([]string{"siaddr=127.0.0.1", "54=127.0.0.1"}, fields...)...)
	}
}

func silence(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4 { return nil }

const (
	autoexec = "#!ipxe\nset user-class pixiecore\ndhcp\nchain --replace http://SRV/stub?mac=${mac}"
	stub     = "#!ipxe\nset cpu ia32\ncpuid --ext 29 && set cpu x64 ||\nchain --replace /script?cpu=${cpu}&serial=${serial:uristring}"
	final    = "#!ipxe\necho Hello\nkernel --name kernel http://SRV/k\ninitrd --name initrd0 /i\nboot kernel initrd=initrd0 nonce=7"
)

var (
	loader = pattern(70_000)
	pages  = map[string]string{"/stub": stub, "/script": final, "/k": "KERNEL", "/i": "INITRD", "/t/ipxe.efi": string(loader)}
)

// booted checks that the boot came to the kernel of final, with hashes.
func booted(t *testing.T, n *network, tr Transcript, err error) {
	t.Helper()
	if err != nil {
		for _, s := range tr.Steps {
			t.Logf("%+v", s)
		}
		t.Fatal(err)
	}
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	want := Outcome{
		Action:   ActionBoot,
		Kernel:   &Image{Name: "kernel", URL: "http://" + n.host() + "/k", Size: 6, SHA256: sum("KERNEL")},
		Initrds:  []Image{{Name: "initrd0", URL: "http://" + n.host() + "/i", Size: 6, SHA256: sum("INITRD")}},
		Cmdline:  "initrd=initrd0 nonce=7",
		Messages: []string{"Hello"},
	}
	if diff := cmp.Diff(want, tr.Outcome, cmp.AllowUnexported(Image{})); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func TestUEFIBootsByPort4011AndAutoexec(t *testing.T) {
	n := newNetwork(t, func(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if string(req.Options[77]) == "pixiecore" {
			return says(t, "60=PXEClient", "file=http://SRV/stub")(req)
		}
		return says(t, "60=PXEClient")(req)
	}, says(t, "type=ack", "60=PXEClient", "file=t/ipxe.efi"),
		map[string][]byte{"t/ipxe.efi": loader, "t/autoexec.ipxe": []byte(autoexec)}, pages)
	tr, err := n.client(profile(t, "efi-x64")).Boot(t.Context())
	booted(t, n, tr, err)

	want := []string{"t/ipxe.efi tsize=0", "t/ipxe.efi blksize=1468 windowsize=4", "t/autoexec.ipxe tsize=0 blksize=1432"}
	if diff := cmp.Diff(want, n.tftp.requests); diff != "" {
		t.Errorf("TFTP (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"discover", "request", "discover pixiecore"}, n.asked); diff != "" {
		t.Errorf("DHCP (-want +got):\n%s", diff)
	}
	wantHTTP := []string{
		"GET /stub?mac=52:54:00:12:34:56 iPXE/1.21.1", "GET /script?cpu=x64&serial=S%201 iPXE/1.21.1",
		"GET /k iPXE/1.21.1", "GET /i iPXE/1.21.1",
	}
	if diff := cmp.Diff(wantHTTP, n.requests); diff != "" {
		t.Errorf("HTTP (-want +got):\n%s", diff)
	}
	kinds := []StepKind{}
	for _, s := range tr.Steps {
		kinds = append(kinds, s.Kind)
	}
	wantKinds := []StepKind{StepDiscover, StepOffer, StepBootServer, StepProbe, StepFetch, StepStage, StepFetch,
		StepDiscover, StepOffer, StepFetch, StepFetch, StepFetch, StepFetch}
	if diff := cmp.Diff(wantKinds, kinds); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// byStage answers a ROM with the loader and iPXE with a script.
func byStage(t *testing.T, loader, script string) responder {
	return func(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if string(req.Options[77]) == "iPXE" {
			return says(t, "60=PXEClient", "file="+script)(req)
		}
		return says(t, "60=PXEClient", "43=060108ff", "file="+loader)(req)
	}
}

func TestABIOSChainsUndionly(t *testing.T) {
	n := newNetwork(t, byStage(t, "t/undionly.kpxe", "http://SRV/stub"), silence, map[string][]byte{"t/undionly.kpxe": loader}, pages)
	tr, err := n.client(profile(t, "bios")).Boot(t.Context())
	booted(t, n, tr, err)
	if diff := cmp.Diff([]string{"discover", "discover iPXE"}, n.asked); diff != "" {
		t.Errorf("DHCP (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"t/undionly.kpxe tsize=0 blksize=1456"}, n.tftp.requests); diff != "" {
		t.Errorf("TFTP (-want +got):\n%s", diff)
	}
}

func TestAnIPXEROMGoesStraightToTheScript(t *testing.T) {
	n := newNetwork(t, byStage(t, "no-such-loader", "http://SRV/stub"), silence, nil, pages)
	tr, err := n.client(profile(t, "bios-ipxe-rom")).Boot(t.Context())
	booted(t, n, tr, err)
}

// TestAnOldIPXEBootsAgainByDHCP: the build of 2019 never asks for autoexec.ipxe.
func TestAnOldIPXEBootsAgainByDHCP(t *testing.T) {
	n := newNetwork(t, byStage(t, "t/ipxe.efi", "http://SRV/stub"), says(t, "type=ack", "60=PXEClient", "file=t/ipxe.efi"),
		map[string][]byte{"t/ipxe.efi": loader, "t/autoexec.ipxe": []byte("#!ipxe\nshell")}, pages)
	c := n.client(profile(t, "efi-x64"))
	old := profile(t, "ipxe-x64-2019")
	c.Program = &old
	tr, err := c.Boot(t.Context())
	booted(t, n, tr, err)
}

func TestHTTPBoot(t *testing.T) {
	withAutoexec := map[string]string{"/t/autoexec.ipxe": "#!ipxe\nchain /stub"}
	for path, page := range pages {
		withAutoexec[path] = page
	}
	n := newNetwork(t, says(t, "60=HTTPClient", "67=http://SRV/t/ipxe.efi"), silence, nil, withAutoexec)
	tr, err := n.client(profile(t, "http-arm64")).Boot(t.Context())
	booted(t, n, tr, err)
	want := []string{"HEAD /t/ipxe.efi UefiHttpBoot/1.0", "GET /t/ipxe.efi UefiHttpBoot/1.0", "GET /t/autoexec.ipxe iPXE/1.21.1"}
	if diff := cmp.Diff(want, n.requests[:3]); diff != "" {
		t.Errorf("HTTP (-want +got):\n%s", diff)
	}
}

func TestHTTPBootFollowsNoRedirect(t *testing.T) {
	n := newNetwork(t, says(t, "60=HTTPClient", "67=http://SRV/moved"), silence, nil, map[string]string{"/moved": "→/t/ipxe.efi", "/t/ipxe.efi": "x"})
	if _, err := n.client(profile(t, "http-x64")).Boot(t.Context()); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("got %v", err)
	}
}

func TestAnIPXEWithoutHTTPNeedsTheLoaderFirst(t *testing.T) {
	n := newNetwork(t, func(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if p := (Profile{Features: req.Options[175]}); p.announces(featureHTTP) {
			return says(t, "60=PXEClient", "file=http://SRV/stub")(req)
		}
		return says(t, "60=PXEClient", "file=undionly.kpxe")(req)
	}, silence, map[string][]byte{"undionly.kpxe": loader}, pages)
	tr, err := n.client(profile(t, "ipxe-no-http")).Boot(t.Context())
	booted(t, n, tr, err)

	n = newNetwork(t, says(t, "60=PXEClient", "file=http://SRV/stub"), silence, nil, pages)
	if _, err := n.client(profile(t, "ipxe-no-http")).Boot(t.Context()); err == nil || !strings.Contains(err.Error(), "does not speak HTTP") {
		t.Errorf("got %v", err)
	}
}

func TestAServerThatAlwaysChainsIsALoop(t *testing.T) {
	n := newNetwork(t, says(t, "60=PXEClient", "43=060108ff", "file=undionly.kpxe"), silence, map[string][]byte{"undionly.kpxe": []byte("x")}, nil)
	tr, err := n.client(profile(t, "bios")).Boot(t.Context())
	if !errors.Is(err, ErrLoop) || len(tr.Find(StepStage)) != maxStages {
		t.Errorf("got %v after %d stages", err, len(tr.Find(StepStage)))
	}
}

func TestAnOrdinaryMachineDoesNotBoot(t *testing.T) {
	n := newNetwork(t, silence, silence, nil, nil)
	c := n.client(profile(t, "ordinary"))
	c.Wait = 10 * time.Millisecond
	tr, err := c.Boot(t.Context())
	if !errors.Is(err, ErrNoOffer) || len(tr.Find(StepOffer)) != 0 {
		t.Errorf("got %v and %d offers", err, len(tr.Find(StepOffer)))
	}
}

func TestPort4011Refuses(t *testing.T) {
	n := newNetwork(t, says(t, "60=PXEClient"), silence, nil, nil)
	c := n.client(profile(t, "efi-x64"))
	c.Wait = 200 * time.Millisecond
	tr, err := c.Boot(t.Context())
	if steps := tr.Find(StepBootServer); err == nil || len(steps) != 1 || !strings.Contains(steps[0].Err, "does not answer") {
		t.Errorf("silence: got %v", err)
	}
	n = newNetwork(t, says(t, "60=PXEClient"), says(t, "type=ack", "60=PXEClient"), nil, nil)
	if _, err := n.client(profile(t, "efi-x64")).Boot(t.Context()); !errors.Is(err, errNoFile) {
		t.Errorf("no boot file: got %v", err)
	}
}

func TestAScriptThatEndsReturnsToTheFirmware(t *testing.T) {
	for script, want := range map[string]Outcome{
		"#!ipxe\nexit 1":                  {Action: ActionExit, ExitCode: 1},
		"#!ipxe\necho bye":                {Action: ActionExit, Messages: []string{"bye"}},
		"#!ipxe\nsanboot --drive 0x80 ||": {Action: ActionSanboot, Target: "0x80"},
		"#!ipxe\nchain /other":            {Action: ActionExit, ExitCode: 2},
		"#!ipxe\niseq ${filename} http://SRV/s && echo named\necho ${next-server}": {Action: ActionExit, Messages: []string{"named", "127.0.0.1"}},
	} {
		n := newNetwork(t, says(t, "60=PXEClient", "file=http://SRV/s"), silence, nil, map[string]string{"/s": script, "/other": "#!ipxe\nexit 2"})
		tr, err := n.client(profile(t, "undionly")).Boot(t.Context())
		if diff := cmp.Diff(want, tr.Outcome); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", script, err, diff)
		}
	}
}

func TestBootEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := newNetwork(t, func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4 { cancel(); return nil }, silence, nil, nil)
	c := n.client(profile(t, "undionly"))
	c.Wait = time.Hour
	if _, err := c.Boot(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAClientNeedsAnAddressOfThisHost(t *testing.T) {
	c := &Client{Profile: profile(t, "bios"), MAC: testMAC, Address: netip.MustParseAddr("192.0.2.1")}
	if _, err := c.Boot(t.Context()); err == nil || !strings.Contains(err.Error(), "on no interface") {
		t.Errorf("got %v", err)
	}
	c.MAC = nil
	if _, err := c.Boot(t.Context()); err == nil {
		t.Error("a client without a MAC booted")
	}
}
