// Package strategy says what a machine is offered: the one table of firmware, stage
// and what its rule asks for, which all servers go by.
//
//	DHCP:       who asks ─▶ Stage ─┐
//	            Verdict ───────────┼─▶ For ─▶ Offer{Kind, Program} ─▶ a name below <token>/
//	TFTP, HTTP: the same machine ──┘                                 (package bootfiles)
//
// # Decisions
//
// Only UEFI has a choice of loaders. A BIOS knows no Secure Boot and loads no EFI
// program, so it goes on by iPXE with the same kernel, initrds and command line;
// what is nothing but an EFI program it is told of on its screen.
//
// Who has come as far as iPXE stays there, whatever the rule asks for: that iPXE
// was started shows that Secure Boot does not keep it out, and it loads kernels and
// EFI programs alike. To chain from it to a shim and GRUB would be one loader more
// that can fail, for the same kernel.
//
// A machine that is only to be asked (boot.Probe) is given the iPXE that all others
// get: what its rule asks for is not known yet.
//
// "local" on UEFI's PXE is a menu without any loader. UEFI HTTP Boot has no such
// menu: iPXE hands back there, unless the network is one of Secure Boot, where an
// unsigned program would not be started. Then there is no answer, and the firmware goes
// on by itself.
package strategy

import (
	"fmt"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A Stage is which program on a machine is asking.
type Stage uint8

const (
	// ROM is the firmware's own PXE client, which loads by TFTP.
	ROM Stage = iota
	// HTTPBoot is UEFI HTTP Boot.
	HTTPBoot
	// IPXE is an iPXE that can load by HTTP.
	IPXE
	// IPXEWithoutHTTP is an iPXE that can load by TFTP only.
	IPXEWithoutHTTP
	// Other asks for no network boot.
	Other
)

var stageNames = [...]string{"rom", "http-boot", "ipxe", "ipxe-without-http", "other"}

// String names the stage in logs.
func (s Stage) String() string { return stageNames[s] }

// A Kind is the kind of answer that a machine can use.
type Kind uint8

const (
	// Nothing: the machine gets no answer.
	Nothing Kind = iota
	// ByTFTP: a Program, by TFTP.
	ByTFTP
	// ByHTTP: the same, by UEFI HTTP Boot.
	ByHTTP
	// Script: the address of the machine's iPXE script.
	Script
	// LocalMenu: a boot menu whose only entry is the local disk.
	LocalMenu
	// RaspberryPi: what makes a Raspberry Pi come for its files.
	RaspberryPi
	// Extlinux: U-Boot's configuration, by TFTP.
	Extlinux
	// ExtlinuxByHTTP: the same, by HTTP.
	ExtlinuxByHTTP
	// Screen: a script by TFTP, which says why an iPXE cannot go on. It is in no row of
	// the table: package dhcp4 puts it in the place of an iPXE that came back the same.
	Screen
)

// A Program is what firmware is given to start.
type Program uint8

const (
	// NoProgram is with every Kind but ByTFTP and ByHTTP.
	NoProgram Program = iota
	// AnyIPXE is the iPXE of the machine's platform: boot.Snapshot.IPXE.
	AnyIPXE
	// Shim is boot.Programs.Shim, which then loads boot.Programs.GRUB.
	Shim
	// GRUB is boot.Programs.GRUB.
	GRUB
	// EFI is the kernel of the machine's boot.Spec, an EFI program.
	EFI
	// ISO is the same where that is the image of a CD, of which UEFI makes a RAM disk.
	ISO
	// Image is that of a hard disk, likewise.
	Image
)

var programNames = [...]string{"no program", "loader", "shim", "GRUB", "EFI program", "ISO image", "disk image"}

// String names the program in logs.
func (p Program) String() string { return programNames[p] }

// An Offer is what a machine is offered.
type Offer struct {
	Kind    Kind
	Program Program
	// Style is how firmware is told, where that is not as usual: see Style.
	Style boot.Style
}

// String names the offer in logs: "shim", "shim by HTTP", "script", "loader (bypass)".
func (o Offer) String() string {
	switch o.Kind {
	case ByTFTP, ByHTTP:
		return offerNames[o]
	case Script:
		return "script"
	case LocalMenu:
		return "local disk"
	case RaspberryPi:
		return "Raspberry Pi Boot"
	case Extlinux:
		return "extlinux"
	case ExtlinuxByHTTP:
		return "extlinux by HTTP"
	case Screen:
		return "screen"
	default:
		return "nothing"
	}
}

// offerNames are those of the offers of a program, made once: each answer is noted by
// its name.
var offerNames = func() map[Offer]string {
	names := map[Offer]string{}
	for p := range programNames {
		p := Program(p)
		names[Offer{Kind: ByHTTP, Program: p}] = p.String() + " by HTTP"
		names[Offer{Kind: ByTFTP, Program: p}] = p.String()
		for s := boot.StyleAuto + 1; s <= boot.StyleBootServers; s++ {
			names[Offer{Kind: ByTFTP, Program: p, Style: s}] = fmt.Sprintf("%s (%s)", p, s)
		}
	}
	return names
}()

// For is the table. Of a boot it looks at what the loader column says, which only
// UEFI has. Who is parked is given the same loader, which shows why; but for native, that
// cannot.
//
//	stage               loader         ignore   boot              probe           local
//	rom, no UEFI        any            nothing  iPXE              iPXE            iPXE
//	rom, UEFI           iPXE           nothing  iPXE              iPXE            menu
//	rom, UEFI           shim           nothing  shim              –               menu
//	rom, UEFI           grub           nothing  GRUB              –               –
//	rom, UEFI           native         nothing  EFI program       –               –
//	rom, UEFI           disk image     nothing  iPXE (*)          –               –
//	UEFI HTTP Boot      as above, and  nothing  the same by HTTP  iPXE by HTTP    iPXE by HTTP, or
//	                                                                              nothing with shim
//	iPXE                any            nothing  script            script          script
//	iPXE without HTTP   any            nothing  iPXE              iPXE            iPXE
//	Raspberry Pi        any            nothing  its menu          –               nothing
//	U-Boot              any            nothing  extlinux          –               extlinux
//	U-Boot by HTTP      any            nothing  extlinux by HTTP  –               extlinux by HTTP
//
// (*) PXE has no RAM disks, so the screen says that it takes HTTP Boot.
//
// A board is never probed: no iPXE runs on it, so all is known that will be.
func For(f boot.Firmware, s Stage, v *boot.Verdict) Offer {
	switch {
	case v.Action == boot.Ignore || s == Other:
		return Offer{}
	case f == boot.FirmwareRPi && v.Action != boot.Boot:
		return Offer{} // it goes on with its own boot order, having no screen to wait at
	case f == boot.FirmwareRPi:
		return Offer{Kind: RaspberryPi}
	case f == boot.FirmwareUBoot && s == HTTPBoot:
		return Offer{Kind: ExtlinuxByHTTP}
	case f == boot.FirmwareUBoot:
		return Offer{Kind: Extlinux}
	case s == IPXE:
		return Offer{Kind: Script}
	case s == IPXEWithoutHTTP:
		return Offer{Kind: ByTFTP, Program: AnyIPXE}
	case s == ROM && v.Action == boot.Local && f.UEFI():
		return Offer{Kind: LocalMenu}
	case s == HTTPBoot && v.Action == boot.Local && v.Loader == boot.LoaderShim && f.UEFI():
		return Offer{}
	}
	o := Offer{Kind: ByTFTP, Program: program(f, v)}
	switch {
	case s == HTTPBoot:
		o.Kind = ByHTTP
		if o.Program == EFI && v.Image != boot.NoDiskImage {
			o.Program = map[boot.DiskImage]Program{boot.ISOImage: ISO, boot.HardDiskImage: Image}[v.Image]
		}
	case o.Program == EFI && v.Image != boot.NoDiskImage:
		o.Program = AnyIPXE
	}
	return o
}

// Styled is the offer in the style that the verdict asks for, or, where that leaves it
// open, in another one for each time that the firmware has asked again without going
// on. Only the PXE of firmware has a choice: iPXE takes what says that it is to be
// taken, and HTTP Boot knows nothing of option 43.
//
//	firmware   auto
//	UEFI       binl, bypass, boot-servers, bypass+prompt, binl, …
//	no UEFI    bypass, bypass+prompt, boot-servers, binl, bypass, …
func (o Offer) Styled(f boot.Firmware, s Stage, v *boot.Verdict, repeats int) Offer {
	if o.Kind != ByTFTP || s != ROM {
		return o
	}
	o.Style = v.Offer
	if v.Offer == boot.StyleAuto && repeats > 0 {
		order := [...]boot.Style{boot.StyleBypass, boot.StyleBypassPrompt, boot.StyleBootServers, boot.StyleBINL}
		if f.UEFI() {
			order = [...]boot.Style{boot.StyleBINL, boot.StyleBypass, boot.StyleBootServers, boot.StyleBypassPrompt}
		}
		o.Style = order[repeats%len(order)]
	}
	return o
}

func program(f boot.Firmware, v *boot.Verdict) Program {
	parked := v.Action == boot.Park && v.Loader != boot.LoaderNative // GRUB can show why, too
	if (v.Action == boot.Boot || parked) && f.UEFI() {
		switch v.Loader {
		case boot.LoaderShim:
			return Shim
		case boot.LoaderGRUB:
			return GRUB
		case boot.LoaderNative:
			return EFI
		}
	}
	return AnyIPXE
}
