package pixiecore_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/pixiecore/pixiecore"
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
