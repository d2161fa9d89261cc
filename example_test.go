package pixiecore_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/pixiecore/pixiecore"
	"github.com/pixiecore/pixiecore/protocols/dhcp6"
)

// everybody is a Booter, and has what its interface asks for.
type everybody struct{}

func (everybody) BootSpec(m pixiecore.Machine) (*pixiecore.Spec, error) {
	return &pixiecore.Spec{
		Kernel:     pixiecore.ID("kernel"),
		Initrd:     []pixiecore.ID{"initrd"},
		Cmdline:    `root={{ ID "root" }}`,
		Message:    fmt.Sprintf("%s is an %s", m.MAC, m.Arch),
		IpxeScript: "",
	}, nil
}

func (everybody) ReadBootFile(id pixiecore.ID) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader(string(id))), int64(len(id)), nil
}

func (everybody) WriteBootFile(pixiecore.ID, io.Reader) error { return nil }

// Everything that the godoc of the original has for IPv4.
func Example() {
	for _, a := range []pixiecore.Architecture{pixiecore.ArchIA32, pixiecore.ArchX64} {
		fmt.Println(a.String())
	}
	static, err := pixiecore.StaticBooter(&pixiecore.Spec{Kernel: "http://192.0.2.1/linux"})
	if err != nil {
		fmt.Println(err)
	}
	api, err := pixiecore.APIBooter("http://192.0.2.1:4242", 5*time.Second)
	if err != nil {
		fmt.Println(err)
	}
	loader := []byte("iPXE")
	for _, b := range []pixiecore.Booter{static, api, everybody{}} {
		s := &pixiecore.Server{
			Booter: b, Address: "127.0.0.1", HTTPPort: 8080, HTTPStatusPort: 8080,
			Ipxe: map[pixiecore.Firmware][]byte{
				pixiecore.FirmwareX86PC: loader, pixiecore.FirmwareEFI32: loader, pixiecore.FirmwareEFI64: loader,
				pixiecore.FirmwareEFIBC: loader, pixiecore.FirmwareX86Ipxe: loader, pixiecore.FirmwarePixiecoreIpxe: loader,
			},
			Log: func(subsystem, msg string) {}, Debug: func(subsystem, msg string) {},
			DHCPPort: 6767, TFTPPort: 6969, PXEPort: 4011, DHCPNoBind: false, UIAssetsDir: "",
		}
		s.Shutdown() // usually from another goroutine, or a signal
		fmt.Println(s.Serve())
	}
	spec, err := everybody{}.BootSpec(pixiecore.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Arch: pixiecore.ArchX64})
	fmt.Println(spec.Message, err)
	// Output:
	// IA32
	// X64
	// <nil>
	// <nil>
	// <nil>
	// 02:00:00:00:00:01 is an X64 <nil>
}

// onePerClient is an AddressPool of a program.
type onePerClient struct{ prefix net.IP }

func (p onePerClient) ReserveAddresses(clientID []byte, interfaceIDs [][]byte) (all []*dhcp6.IdentityAssociation, err error) {
	for _, id := range interfaceIDs {
		addr := slices.Clone(p.prefix)
		addr[15] = clientID[len(clientID)-1]
		all = append(all, &dhcp6.IdentityAssociation{IPAddress: addr, ClientID: clientID, InterfaceID: id, CreatedAt: time.Now()})
	}
	return all, nil
}

func (onePerClient) ReleaseAddresses(clientID []byte, interfaceIDs [][]byte) {}

// Everything that it has for IPv6.
func ExampleServerV6() {
	dns := []net.IP{net.ParseIP("2001:db8::53")}
	static := pixiecore.MakeStaticBootConfiguration("http://[2001:db8::1]/ipxe.efi", "tftp://[2001:db8::1]/ipxe.efi", 255, true, dns)
	fmt.Printf("%s %s %v %t %v\n", static.HTTPBootURL, static.IPxeBootURL, static.Preference, static.UsePreference, static.RecursiveDNS)
	api := pixiecore.MakeAPIBootConfiguration("http://[2001:db8::1]:4242", 5*time.Second, 0, false, nil)
	fmt.Println(api.Client.Timeout, api.URLPrefix, api.Preference, api.UsePreference, api.RecursiveDNS)
	var boots []dhcp6.BootConfiguration = []dhcp6.BootConfiguration{static, api}
	url, err := boots[0].GetBootURL([]byte{2, 0, 0, 0, 0, 1}, 16)
	fmt.Printf("%s %v %v %v\n", url, err, boots[0].GetPreference(), boots[0].GetRecursiveDNS())

	for _, pool := range []dhcp6.AddressPool{nil, dhcp6.NewRandomAddressPool(net.ParseIP("2001:db8::100"), 50, 1850), onePerClient{net.ParseIP("2001:db8::")}} {
		s := pixiecore.NewServerV6()
		fmt.Println(s.Port)
		s.Address, s.Port, s.Duid = "", "5470", []byte("\x00\x03\x00\x01\x02\x00\x00\x00\x00\x02")
		s.BootConfig, s.AddressPool, s.PacketBuilder = boots[0], pool, dhcp6.MakePacketBuilder(1795, 1850)
		s.Log, s.Debug = func(subsystem, msg string) {}, func(subsystem, msg string) {}
		s.Shutdown()
		fmt.Println(s.Serve())
	}
	// Output:
	// http://[2001:db8::1]/ipxe.efi tftp://[2001:db8::1]/ipxe.efi [255] true [2001:db8::53]
	// 5s http://[2001:db8::1]:4242/v1 [] false []
	// http://[2001:db8::1]/ipxe.efi <nil> [255] [2001:db8::53]
	// 547
	// <nil>
	// 547
	// <nil>
	// 547
	// <nil>
}
