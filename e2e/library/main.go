// Command library is a program that says every name of the library, as one that used
// the original's did, and boots machines by it: the test TestLibrary of the folder
// above powers one on.
//
//	library KERNEL INITRD CMDLINE LOADER
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"github.com/pixiecore/pixiecore"
	"github.com/pixiecore/pixiecore/protocols/dhcp6"
)

// noted is the original's StaticBooter, with a note of what it is asked.
type noted struct{ pixiecore.Booter }

func (n noted) BootSpec(m pixiecore.Machine) (*pixiecore.Spec, error) {
	spec, err := n.Booter.BootSpec(m)
	if err == nil {
		log.Printf("%s (%s) boots %s with %v: %s%s%s", m.MAC, m.Arch, spec.Kernel, spec.Initrd, spec.Cmdline, spec.Message, spec.IpxeScript)
	}
	return spec, err
}

func (n noted) ReadBootFile(id pixiecore.ID) (io.ReadCloser, int64, error) {
	return n.Booter.ReadBootFile(id)
}

func (n noted) WriteBootFile(id pixiecore.ID, body io.Reader) error {
	return n.Booter.WriteBootFile(id, body)
}

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: library KERNEL INITRD CMDLINE LOADER")
	}
	overIPv6()
	loader, err := os.ReadFile(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	static, err := pixiecore.StaticBooter(&pixiecore.Spec{
		Kernel: pixiecore.ID(os.Args[1]), Initrd: []pixiecore.ID{pixiecore.ID(os.Args[2])}, Cmdline: os.Args[3], Message: "Hello", IpxeScript: "",
	})
	if err != nil {
		log.Fatal(err)
	}
	api, err := pixiecore.APIBooter("http://192.0.2.1:4242", 5*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	never := &pixiecore.Server{Booter: api}
	never.Shutdown()
	if err := never.Serve(); err != nil {
		log.Fatal(err)
	}
	for _, a := range []pixiecore.Architecture{pixiecore.ArchIA32, pixiecore.ArchX64} {
		log.Print("architecture ", a.String())
	}
	s := &pixiecore.Server{
		Booter: noted{static}, Address: "0.0.0.0", HTTPPort: 80, HTTPStatusPort: 80,
		Ipxe: map[pixiecore.Firmware][]byte{pixiecore.FirmwareX86PC: loader, pixiecore.FirmwareX86Ipxe: loader},
		Log:  func(subsystem, msg string) { log.Printf("[%s] %s", subsystem, msg) }, Debug: func(subsystem, msg string) {},
		DHCPPort: 67, TFTPPort: 69, PXEPort: 4011, DHCPNoBind: true, UIAssetsDir: "",
	}
	for _, f := range []pixiecore.Firmware{pixiecore.FirmwareEFI32, pixiecore.FirmwareEFI64, pixiecore.FirmwareEFIBC, pixiecore.FirmwarePixiecoreIpxe} {
		log.Print("no loader for ", f)
	}
	log.Fatal(s.Serve())
}

// overIPv6 makes what there is for IPv6, and serves it for no time.
func overIPv6() {
	static := pixiecore.MakeStaticBootConfiguration("http://[2001:db8::1]/x.efi", "tftp://[2001:db8::1]/x.efi", 255, true, []net.IP{net.ParseIP("2001:db8::53")})
	api := pixiecore.MakeAPIBootConfiguration("http://[2001:db8::1]:4242", 5*time.Second, 0, false, nil)
	var (
		_ *pixiecore.StaticBootConfiguration = static
		_ *pixiecore.APIBootConfiguration    = api
	)
	log.Printf("%s %s %v %v %t", static.HTTPBootURL, static.IPxeBootURL, static.RecursiveDNS, static.Preference, static.UsePreference)
	log.Print(api.Client.Timeout, api.URLPrefix, api.RecursiveDNS, api.Preference, api.UsePreference)
	for _, c := range []dhcp6.BootConfiguration{static, api} {
		log.Print(c.GetPreference(), c.GetRecursiveDNS())
		if _, ok := c.(*pixiecore.StaticBootConfiguration); ok {
			url, err := c.GetBootURL([]byte{2, 0, 0, 0, 0, 1}, 16)
			log.Printf("%s %v", url, err)
		}
		var s *pixiecore.ServerV6 = pixiecore.NewServerV6()
		s.Address, s.Port, s.Duid = "", fmt.Sprint(dhcp6.Port), []byte("\x00\x03\x00\x01\x02\x00\x00\x00\x00\x02")
		s.BootConfig, s.PacketBuilder = c, dhcp6.MakePacketBuilder(1795, 1850)
		s.AddressPool = dhcp6.NewRandomAddressPool(net.ParseIP("2001:db8::100"), 50, 1850)
		s.Log, s.Debug = func(subsystem, msg string) {}, func(subsystem, msg string) {}
		s.Shutdown()
		if err := s.Serve(); err != nil {
			log.Fatal(err)
		}
	}
}
