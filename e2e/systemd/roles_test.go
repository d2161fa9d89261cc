//go:build systemd

package systemd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

const (
	architecture = runtime.GOARCH
	machineLimit = 60 * time.Second // for a machine to boot, a restart of the daemon included
	roleLimit    = 5 * time.Minute
	roleVariable = "PIXIECORE_ROLE"
)

// TestMain is also the machines of the tests: started again in the namespace of
// the client, where all its sockets then are.
func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithTimeout(context.Background(), roleLimit)
	defer cancel()
	if err := roles[role](ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

var roles = map[string]func(context.Context) error{
	"boot":  boot,
	"seed":  seed,
	"knock": knock,
	"load":  load,
}

// boot is a machine with UEFI. It prints the command line of its kernel.
func boot(ctx context.Context) error {
	cmdline, err := bootOf(ctx)
	if err == nil {
		fmt.Println(cmdline)
	}
	return err
}

func bootOf(ctx context.Context) (cmdline string, err error) {
	profile, err := pxeclient.ProfileByName("efi-x64")
	if err != nil {
		return "", err
	}
	c := pxeclient.Client{
		Profile:  profile,
		MAC:      net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1},
		LongMode: true,
		Address:  clientAddr,
		Ports:    pxeclient.StandardPorts(),
		Wait:     machineLimit,
	}
	transcript, err := c.Boot(ctx)
	if err != nil {
		return "", err
	}
	return transcript.Outcome.Cmdline, nil
}

// seed is a machine that fetches what url= on its command line leads to, and prints it.
func seed(ctx context.Context) error {
	cmdline, err := bootOf(ctx)
	if err != nil {
		return err
	}
	_, url, _ := strings.Cut(cmdline, "url=")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
	return err
}

// knock sends a packet to each port, and wants no answer. A refusal is what a
// closed port sends.
func knock(ctx context.Context) error {
	for _, port := range []uint16{67, 69, 4011} {
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(serverAddr, port)))
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("knock"))
		c.Close()
		if err != nil {
			return err
		}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp4", netip.AddrPortFrom(serverAddr, 80).String())
	if err == nil {
		c.Close()
		return errors.New("port 80 is open")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return nil
}

// load asks for files, each time by a new connection, until standard input ends.
// A machine's firmware asks by TFTP and DHCP again after seconds and by HTTP not at
// all; these ask once.
func load(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin) // until it ends, however it does
	}()
	var mu sync.Mutex
	var asked, lost int
	count := func(kind string, err error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		if err != nil {
			lost++
			fmt.Println(kind, err)
		}
	}
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for ctx.Err() == nil {
				count("http", get("http://"+serverAddr.String()+"/undionly.kpxe"))
			}
		})
	}
	clients.Go(func() {
		for ctx.Err() == nil {
			// Not ctx: what has begun when the load ends is waited for.
			_, err := pxeclient.Fetch(context.WithoutCancel(ctx), netip.AddrPortFrom(serverAddr, 69), "undionly.kpxe",
				pxeclient.FetchOptions{BlockSize: 1428, Timeout: time.Second})
			count("tftp", err)
		}
	})
	clients.Go(func() {
		for ctx.Err() == nil {
			count("dhcp", discover(context.WithoutCancel(ctx)))
		}
	})
	clients.Wait()
	fmt.Printf("asked %d lost %d\n", asked, lost)
	return nil
}

// discover broadcasts a DISCOVER, once, as a PC with a BIOS does, and waits for the
// offer of where to boot from. The PC asks four times.
func discover(ctx context.Context) error {
	req, err := dhcpv4.NewDiscovery(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 2}, dhcpv4.WithBroadcast(true),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001")), dhcpv4.WithOption(dhcpv4.OptClientArch(iana.INTEL_X86PC)),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientNetworkInterfaceIdentifier, []byte{1, 2, 1})))
	if err != nil {
		return err
	}
	bound := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		// A machine without an address has no route by which it broadcasts.
		cerr := c.Control(func(fd uintptr) { err = syscall.BindToDevice(int(fd), "eth0") })
		return errors.Join(err, cerr)
	}}
	c, err := bound.ListenPacket(ctx, "udp4", ":68")
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.WriteTo(req.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(machineLimit)); err != nil {
		return err
	}
	for b := make([]byte, 1500); ; {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return err
		}
		if offer, err := dhcpv4.FromBytes(b[:n]); err == nil && offer.TransactionID == req.TransactionID && offer.OpCode == dhcpv4.OpcodeBootReply {
			return nil
		}
	}
}

func get(url string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: machineLimit}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
