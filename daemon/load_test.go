package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

// Clients of each protocol are served across many reloads, which open and close
// other listeners and change the settings of theirs. Not one datagram goes
// unanswered: the clients never ask twice.
func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	const reloads = 50
	dir := t.TempDir()
	kernel, loader := make([]byte, 8<<20), make([]byte, 100<<10)
	rand.Read(kernel) // more than the buffers of two sockets
	rand.Read(loader)
	must(t, put(dir, string(kernel), "kernel"), put(dir, string(loader), "loader"))
	path := filepath.Join(dir, "pixiecore.hcl")
	extra, other := free(t), free(t)
	const boots = "boot \"b\" {\n  kernel = \"kernel\"\n}\nrule \"all\" {\n  boot = boot.b\n}\nipxe {\n  efi64 = \"loader\"\n}\n"
	const more = "rule \"first\" {\n  match { mac = \"06:*\" }\n  ignore = true\n}\n"
	configurations := []string{
		listen("pxe", "127.0.0.1:0") + listen("tftp", "127.0.0.1:0") + listen("http", "127.0.0.1:0") + boots,
		listen("pxe", "127.0.0.1:0", `advertise = "127.0.0.1"`) + listen("status", other) + listen("tftp", "127.0.0.1:0", `advertise = "127.0.0.1"`) +
			listen("http", "127.0.0.1:0") + listen("http", extra) + listen("tftp", extra) + listen("pxe", other) + more + boots,
	}
	write(t, path, configurations[0])
	o := options(t, path)
	o.Path = "" // no watching: the reloads are this test's
	d := run(t, o)
	pxe := service[*dhcp4.Server](t, d).Conn.LocalAddr()
	files := service[*tftp.Server](t, d).Conn.LocalAddr()
	web := "http://" + service[*httpboot.Server](t, d).Listener.Addr().String()
	m := boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
	spec, err := d.swap.Current().Booter.BootSpec(m)
	must(t, err)
	kernelURL := web + "/_/file?name=" + string(spec.Kernel)

	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	ask, err := bootServerClient(t, pxe, m.MAC)
	must(t, err)
	clients := map[string]func() error{
		"DHCP": ask,
		"TFTP": func() error {
			start := time.Now()
			got, err := pxeclient.Fetch(ctx, files, "ipxe-x64.efi", pxeclient.FetchOptions{BlockSize: 1468, WindowSize: 4, Timeout: patience})
			return errors.Join(err, same(got, loader), atOnce(start))
		},
		"HTTP": func() error {
			resp, err := http.Get(kernelURL)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			return errors.Join(err, same(got, kernel))
		},
		"scripts": func() error {
			resp, err := http.Get(web + "/_/ipxe?facts=1&mac=02:00:00:00:00:01&arch=1")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if !strings.Contains(string(got), string(spec.Kernel)) {
				err = errors.Join(err, fmt.Errorf("another script:\n%s", got))
			}
			return err
		},
	}
	var wg sync.WaitGroup
	var end atomic.Bool
	served := map[string]*atomic.Int64{}
	step := make(chan struct{}, 1) // some client was served
	for name, client := range clients {
		n := new(atomic.Int64)
		served[name] = n
		wg.Go(func() {
			for !end.Load() {
				if err := client(); err != nil {
					t.Errorf("%s: after %d: %v", name, n.Load(), err)
					end.Store(true)
				}
				n.Add(1)
				select {
				case step <- struct{}{}:
				default:
				}
			}
		})
	}

	// One download goes on from before the first reload until behind the last.
	resp, err := http.Get(kernelURL)
	must(t, err)
	defer resp.Body.Close()
	var long bytes.Buffer
	for i := range reloads {
		write(t, path, configurations[(i+1)%2])
		if err := d.Reload(); err != nil {
			t.Errorf("reload %d: %v", i, err)
		}
		_, err := io.CopyN(&long, resp.Body, int64(len(kernel)/(2*reloads)))
		must(t, err)
		for range len(clients) { // that many are served between two reloads
			select {
			case <-step:
			case <-ctx.Done():
				end.Store(true)
			}
		}
		if end.Load() {
			break
		}
	}
	end.Store(true)
	wg.Wait()
	_, err = io.Copy(&long, resp.Body)
	must(t, err, same(long.Bytes(), kernel))
	for name, n := range served {
		t.Logf("%s: %d served across %d reloads", name, n.Load(), reloads)
		if n.Load() == 0 {
			t.Errorf("%s: nobody was served", name)
		}
	}
	if gen := d.swap.Current().Gen; gen != reloads+1 {
		t.Errorf("generation %d", gen)
	}
}

// bootServerClient asks port 4011 once, as an x64 UEFI machine does, and checks
// the answer.
func bootServerClient(t *testing.T, server netip.AddrPort, mac net.HardwareAddr) (func() error, error) {
	firmware, err := pxeclient.ProfileByName("efi-x64")
	if err != nil {
		return nil, err
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	var xid [4]byte
	return func() error {
		xid[0]++
		req := firmware.BootServerRequest(mac, xid, [16]byte{1}, netip.MustParseAddr("127.0.0.1"), &dhcpv4.DHCPv4{})
		if _, err := conn.Write(req.ToBytes()); err != nil {
			return err
		}
		conn.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 1500)
		n, err := conn.Read(b)
		if err != nil {
			return err
		}
		ack, err := dhcpv4.FromBytes(b[:n])
		if err != nil {
			return err
		}
		if ack.TransactionID != xid || !strings.HasSuffix(ack.BootFileName, "/ipxe.efi") {
			return fmt.Errorf("another answer: %s", ack.Summary())
		}
		return nil
	}, nil
}

func same(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes of %d, or others", len(got), len(want))
	}
	return nil
}

// atOnce is an error if a client that waits so long before it asks again may have
// asked twice.
func atOnce(start time.Time) error {
	if time.Since(start) >= patience {
		return errors.New("a datagram was lost")
	}
	return nil
}
