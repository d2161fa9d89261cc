package pxeclient

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// family is which code base a firmware's manners come from.
type family uint8

const (
	ordinary family = iota // an operating system's DHCP client: never boots from the network
	bios                   // a PXE 2.1 ROM that is not iPXE
	edk2                   // UEFI's PXE
	edk2HTTP               // UEFI's HTTP Boot
	ipxe
	raspberryPi
	uboot
	shim
	grub
)

// A Profile is one kind of firmware. It is a value: change a copy to get a
// firmware with other manners.
type Profile struct {
	Name        string        // "efi-x64"; see Profiles
	Type        boot.ArchType // option 93
	VendorClass string        // option 60 of a DISCOVER
	UserClass   string        // option 77, without RFC 3004's length byte, as all iPXE send it; empty: not sent
	UNDI        [3]byte       // option 94: 1, major, minor
	Features    []byte        // the suboptions of option 175; nil: not sent
	Agent       string        // User-Agent of its HTTP requests
	Autoexec    bool          // whether this iPXE looks for autoexec.ipxe beside itself (EFI builds of 2021 and later)
	Vendor      [3]byte       // the beginning of its MAC addresses, by which servers know it; zero: anybody's
	IPv6        bool          // it boots over IPv6
	Secure      bool          // its Secure Boot is on: it starts what is signed
	ROM         bool          // an iPXE that is the firmware of a network card
	Becomes     string        // the Profile's name that goes on when the network boot program runs

	family family
	bare   bool // a Raspberry Pi that tells its serial number by its MAC address only
}

// The features that iPXE announces inside option 175, by its own numbering.
const (
	featureISCSI     = 17
	featureHTTP      = 19
	featureHTTPS     = 20
	featureTFTP      = 21
	featureDNS       = 23
	featureBzImage   = 24
	featureMultiboot = 25
	featurePXE       = 33
	featureELF       = 34
	featureEFI       = 36
	featureVLAN      = 38
	featureMenu      = 39
	featureNFS       = 41
	encapBusID       = 177
	encapVersion     = 235
)

// features encodes suboptions of option 175: the bus ID of an e1000, each
// feature with version 1, and the version, about which 1.21.1 is not truthful
// (it says 1.0.0, as the build of 2019 does).
func features(numbers ...byte) []byte {
	b := []byte{encapBusID, 5, 1, 0x80, 0x86, 0x10, 0x0e}
	for _, n := range numbers {
		b = append(b, n, 1, 1)
	}
	return append(b, encapVersion, 3, 1, 0, 0)
}

var (
	undiBIOS  = [3]byte{1, 2, 1}
	undiEDK2  = [3]byte{1, 3, 0}
	undiIPXE  = [3]byte{1, 3, 1}  // the iPXE EFI ROM of a network card
	undiIPXEe = [3]byte{1, 3, 10} // iPXE as an .efi file
)

// Profiles lists the kinds of firmware that are known.
func Profiles() []Profile {
	biosFeatures := features(featureISCSI, featureHTTP, featureTFTP, featureDNS, featureBzImage, featureMultiboot,
		featurePXE, featureELF, featureVLAN, featureMenu)
	biosHTTPS := features(featureISCSI, featureHTTP, featureHTTPS, featureTFTP, featureDNS, featureBzImage, featureMultiboot,
		featurePXE, featureELF, featureVLAN, featureMenu)
	efiFeatures := features(featureISCSI, featureHTTP, featureTFTP, featureDNS, featureEFI, featureVLAN, featureMenu, featureNFS)
	httpsFeatures := features(featureISCSI, featureHTTP, featureHTTPS, featureTFTP, featureDNS, featureEFI, featureVLAN, featureMenu, featureNFS)
	const oldAgent, agent, newAgent = "iPXE/1.0.0+", "iPXE/1.21.1", "iPXE/2.0.0"
	return []Profile{
		{Name: "ordinary", VendorClass: "udhcp 1.36.1", family: ordinary},

		{Name: "bios", Type: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UNDI: undiBIOS, Becomes: "undionly", family: bios},
		{Name: "bios-ipxe-rom", Type: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UserClass: "iPXE", UNDI: undiBIOS,
			Features: biosFeatures, Agent: oldAgent, ROM: true, Becomes: "undionly", family: ipxe},
		{Name: "bios-ipxe-rom-2025", Type: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UserClass: "iPXE", UNDI: undiBIOS,
			Features: biosHTTPS, Agent: agent, ROM: true, Becomes: "undionly", family: ipxe},
		{Name: "bios-ipxe-rom-2.0", Type: 0, VendorClass: "PXEClient", UserClass: "iPXE", UNDI: undiBIOS,
			Features: biosHTTPS, Agent: newAgent, ROM: true, Becomes: "undionly", family: ipxe},

		{Name: "efi-ia32", Type: 6, VendorClass: "PXEClient:Arch:00006:UNDI:003000", UNDI: undiEDK2, Becomes: "ipxe-ia32", family: edk2},
		{Name: "efi-x64", Type: 7, VendorClass: "PXEClient:Arch:00007:UNDI:003000", UNDI: undiEDK2, Becomes: "ipxe-x64", family: edk2},
		{Name: "efi-x64-ipxe-rom", Type: 7, VendorClass: "PXEClient:Arch:00007:UNDI:003001", UNDI: undiIPXE, Becomes: "ipxe-x64", family: edk2},
		{Name: "efi-arm64", Type: 11, VendorClass: "PXEClient:Arch:00011:UNDI:003000", UNDI: undiEDK2, Becomes: "ipxe-arm64", family: edk2},
		{Name: "efi-riscv64", Type: 27, VendorClass: "PXEClient:Arch:00027:UNDI:003000", UNDI: undiEDK2, Becomes: "ipxe-riscv64", family: edk2},

		{Name: "http-x64", Type: 16, VendorClass: "HTTPClient:Arch:00016:UNDI:003000", UNDI: undiEDK2, Agent: "UefiHttpBoot/1.0",
			Becomes: "ipxe-x64", family: edk2HTTP},
		{Name: "http-arm64", Type: 19, VendorClass: "HTTPClient:Arch:00019:UNDI:003000", UNDI: undiEDK2, Agent: "UefiHttpBoot/1.0",
			Becomes: "ipxe-arm64", family: edk2HTTP},

		{Name: "efi-x64-ipv6", Type: 7, VendorClass: "PXEClient:Arch:00007:UNDI:003000", UNDI: undiEDK2, IPv6: true, Becomes: "ipxe-x64", family: edk2},
		{Name: "efi-arm64-ipv6", Type: 11, VendorClass: "PXEClient:Arch:00011:UNDI:003000", UNDI: undiEDK2, IPv6: true, Becomes: "ipxe-arm64", family: edk2},
		{Name: "http-x64-ipv6", Type: 16, VendorClass: "HTTPClient:Arch:00016:UNDI:003000", UNDI: undiEDK2, Agent: "UefiHttpBoot/1.0", IPv6: true,
			Becomes: "ipxe-x64", family: edk2HTTP},

		{Name: "efi-x64-secure", Type: 7, VendorClass: "PXEClient:Arch:00007:UNDI:003000", UNDI: undiEDK2, Secure: true, Becomes: "ipxe-x64", family: edk2},
		{Name: "http-x64-secure", Type: 16, VendorClass: "HTTPClient:Arch:00016:UNDI:003000", UNDI: undiEDK2, Agent: "UefiHttpBoot/1.0", Secure: true,
			Becomes: "ipxe-x64", family: edk2HTTP},

		{Name: "rpi3", Type: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UNDI: undiBIOS,
			Vendor: [3]byte{0xb8, 0x27, 0xeb}, family: raspberryPi, bare: true},
		{Name: "rpi4", Type: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UNDI: undiBIOS,
			Vendor: [3]byte{0xdc, 0xa6, 0x32}, family: raspberryPi},
		// As their bootp_vci may say, and with CONFIG_SERVERIP_FROM_PROXYDHCP.
		{Name: "uboot-arm64", Type: 0x16, VendorClass: "PXEClient:Arch:00022:UNDI:003000", UNDI: undiEDK2, family: uboot},
		{Name: "uboot-http-arm64", Type: 0x18, VendorClass: "HTTPClient:Arch:00024:UNDI:003000", UNDI: undiEDK2, Agent: "U-Boot/1.0", family: uboot},

		{Name: "undionly", Type: 0, VendorClass: "PXEClient", UserClass: "iPXE", UNDI: undiBIOS,
			Features: biosFeatures, Agent: agent, Becomes: "undionly", family: ipxe},
		{Name: "ipxe-ia32", Type: 6, VendorClass: "PXEClient", UserClass: "iPXE", UNDI: undiIPXEe,
			Features: efiFeatures, Agent: agent, Autoexec: true, Becomes: "ipxe-ia32", family: ipxe},
		{Name: "ipxe-x64", Type: 7, VendorClass: "PXEClient:Arch:00007:UNDI:003010", UserClass: "iPXE", UNDI: undiIPXEe,
			Features: efiFeatures, Agent: agent, Autoexec: true, Becomes: "ipxe-x64", family: ipxe},
		{Name: "ipxe-x64-2019", Type: 7, VendorClass: "PXEClient:Arch:00007:UNDI:003010", UserClass: "iPXE", UNDI: undiIPXEe,
			Features: efiFeatures, Agent: oldAgent, Becomes: "ipxe-x64-2019", family: ipxe},
		{Name: "ipxe-x64-2.0", Type: 7, VendorClass: "PXEClient", UserClass: "iPXE", UNDI: undiIPXEe,
			Features: httpsFeatures, Agent: newAgent, Autoexec: true, Becomes: "ipxe-x64-2.0", family: ipxe},
		{Name: "ipxe-arm64", Type: 11, VendorClass: "PXEClient:Arch:00011:UNDI:003010", UserClass: "iPXE", UNDI: undiIPXEe,
			Features: efiFeatures, Agent: agent, Autoexec: true, Becomes: "ipxe-arm64", family: ipxe},
		{Name: "ipxe-riscv64", Type: 27, VendorClass: "PXEClient", UserClass: "iPXE", UNDI: undiIPXEe,
			Features: efiFeatures, Agent: agent, Autoexec: true, Becomes: "ipxe-riscv64", family: ipxe},
		{Name: "ipxe-no-http", Type: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UserClass: "iPXE", UNDI: undiBIOS,
			Features: features(featureTFTP, featureDNS, featureBzImage, featurePXE, featureELF), ROM: true, Becomes: "undionly", family: ipxe},
	}
}

// ProfileByName finds one of Profiles. The error lists their names.
func ProfileByName(name string) (Profile, error) {
	all := Profiles()
	names := make([]string, len(all))
	for i, p := range all {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
	}
	return Profile{}, fmt.Errorf("firmware profile %q: not one of %v", name, names)
}

// PowersOn reports whether a machine begins its boot with the profile: it is a
// firmware, and not a program that one loads.
func (p Profile) PowersOn() bool {
	switch p.family {
	case bios, edk2, edk2HTTP, raspberryPi, uboot:
		return true
	}
	return p.ROM
}

// Firmware is the platform, in the words of the configuration language.
func (p Profile) Firmware() boot.Firmware {
	if p.family == raspberryPi {
		return boot.FirmwareRPi // although it says that it is a BIOS
	}
	platform, _ := p.Type.Platform()
	return platform.Firmware
}

// HTTPBoot reports whether the profile loads by HTTP where a PXE firmware does by
// TFTP.
func (p Profile) HTTPBoot() bool {
	platform, _ := p.Type.Platform()
	return platform.HTTP
}

// IPXE reports whether the profile runs iPXE scripts.
func (p Profile) IPXE() bool { return p.family == ipxe }

// announces reports whether option 175 has the feature.
func (p Profile) announces(feature byte) bool {
	for b := p.Features; len(b) >= 2 && len(b) >= 2+int(b[1]); b = b[2+int(b[1]):] {
		if b[0] == feature {
			return true
		}
	}
	return false
}

// Fixed sizes of the wire.
const (
	optPXEMenuItem = 71   // PXE 2.1 §2.3: suboption of 43
	maxMessage     = 1472 // option 57: what fits one Ethernet frame
)

var (
	paramsOrdinary = []byte{1, 3, 6, 12, 15, 28, 42}
	// What EDK2 asks for, RFC 4578's 128–135 included.
	paramsPXE = []byte{1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97,
		128, 129, 130, 131, 132, 133, 134, 135}
	// 235 is a byte that HTTP Boot sends from beyond the end of its list; 243
	// and 0 were seen too.
	paramsHTTP = []byte{1, 3, 6, 12, 15, 43, 54, 60, 67, 235}
	paramsIPXE = []byte{1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135, 175, 203}
)

// Discover is the DISCOVER that this firmware broadcasts. uuid is sent as it is.
func (p Profile) Discover(mac net.HardwareAddr, xid [4]byte, uuid [16]byte) *dhcpv4.DHCPv4 {
	d := p.request(dhcpv4.MessageTypeDiscover, mac, xid, uuid)
	// A machine without an address cannot be reached by unicast yet (RFC 2131
	// §4.1); all firmware says so.
	d.SetBroadcast()
	return d
}

// BootServerRequest is the REQUEST that this firmware sends to port 4011 of the
// server that made the offer. address is the client's own.
func (p Profile) BootServerRequest(mac net.HardwareAddr, xid [4]byte, uuid [16]byte, address netip.Addr, offer *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	d := p.request(dhcpv4.MessageTypeRequest, mac, xid, uuid)
	d.ClientIPAddr = address.AsSlice()
	if p.family == bios {
		d.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient")) // the bare class, unlike its DISCOVER's
	}
	if v, err := parsePXE(offer); err == nil && !v.bypass() && len(v.menu) > 0 {
		// PXE 2.1 §2.3: the type of the boot server that was chosen, and layer 0.
		item := binary.BigEndian.AppendUint16([]byte{optPXEMenuItem, 4}, v.menu[0].kind)
		d.Options[43] = append(item, 0, 0, 255)
	}
	return d
}

func (p Profile) request(t dhcpv4.MessageType, mac net.HardwareAddr, xid [4]byte, uuid [16]byte) *dhcpv4.DHCPv4 {
	d := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootRequest,
		HWType:        iana.HWTypeEthernet,
		TransactionID: xid,
		ClientHWAddr:  slices.Clone(mac),
		Options: dhcpv4.Options{
			53: {byte(t)},
			57: binary.BigEndian.AppendUint16(nil, maxMessage),
			60: []byte(p.VendorClass),
		},
	}
	switch p.family {
	case ordinary:
		d.Options[55] = paramsOrdinary
		return d
	case edk2, bios, raspberryPi, uboot:
		d.Options[55] = paramsPXE
	case edk2HTTP:
		d.Options[55] = paramsHTTP
	case ipxe:
		d.Options[55] = paramsIPXE
		d.Options[61] = append([]byte{1}, mac...) // RFC 2132 §9.14: hardware type and address
	}
	// RFC 4578 §2.1–2.3.
	d.Options[93] = binary.BigEndian.AppendUint16(nil, uint16(p.Type))
	d.Options[94] = p.UNDI[:]
	if p.family == raspberryPi {
		if uuid = piID(mac, uuid); p.bare {
			uuid = [16]byte(bytes.Repeat([]byte{0x44}, 16))
		}
	}
	d.Options[97] = append([]byte{0}, uuid[:]...)
	if p.UserClass != "" {
		d.Options[77] = []byte(p.UserClass)
	}
	if p.Features != nil {
		d.Options[175] = p.Features
	}
	return d
}
