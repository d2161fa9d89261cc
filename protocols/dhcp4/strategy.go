package dhcp4

import "github.com/pixiecore/pixiecore/booters/boot"

// An Offering is the kind of answer that a machine can use.
type Offering uint8

const (
	// OfferNothing: the machine gets no answer.
	OfferNothing Offering = iota
	// OfferLoader: a network boot program, by TFTP.
	OfferLoader
	// OfferLoaderByHTTP: the same, by UEFI HTTP Boot.
	OfferLoaderByHTTP
	// OfferScript: the address of the machine's iPXE script.
	OfferScript
	// OfferLocalMenu: a boot menu whose only entry is the local disk.
	OfferLocalMenu
	// OfferRaspberryPi: what makes a Raspberry Pi come for its files.
	OfferRaspberryPi
	// OfferExtlinux: U-Boot's configuration, by TFTP.
	OfferExtlinux
	// OfferExtlinuxByHTTP: the same, by HTTP.
	OfferExtlinuxByHTTP
)

var offeringNames = [...]string{"nothing", "loader", "loader by HTTP", "script", "local disk", "Raspberry Pi Boot", "extlinux", "extlinux by HTTP"}

// String names the offering in logs.
func (o Offering) String() string { return offeringNames[o] }

// Strategy says what a machine is offered, by the stage that it is at and what
// is to become of it. It is the one table of this kind.
//
//	stage               ignore   boot, probe        local
//	rom, BIOS           nothing  loader             loader
//	rom, UEFI           nothing  loader             local menu
//	UEFI HTTP Boot      nothing  loader by HTTP     loader by HTTP
//	iPXE                nothing  script             script
//	iPXE without HTTP   nothing  loader             loader
//	Raspberry Pi        nothing  Raspberry Pi Boot  nothing
//	U-Boot              nothing  extlinux           extlinux
//	U-Boot by HTTP      nothing  extlinux by HTTP   extlinux by HTTP
//
// A board is never probed: no iPXE runs on it, so all is known that will be.
func Strategy(c Client, a boot.Action) Offering {
	if a == boot.Ignore {
		return OfferNothing
	}
	switch f := c.Machine.Firmware; {
	case f == boot.FirmwareRPi && a != boot.Boot:
		return OfferNothing // it goes on with its own boot order, having no screen to wait at
	case f == boot.FirmwareRPi:
		return OfferRaspberryPi
	case f == boot.FirmwareUBoot && c.Stage == StageHTTPBoot:
		return OfferExtlinuxByHTTP
	case f == boot.FirmwareUBoot:
		return OfferExtlinux
	}
	switch c.Stage {
	case StageIPXE:
		return OfferScript
	case StageHTTPBoot:
		return OfferLoaderByHTTP
	case StageROM:
		if a == boot.Local && c.Machine.Firmware.UEFI() {
			return OfferLocalMenu
		}
	}
	return OfferLoader
}
