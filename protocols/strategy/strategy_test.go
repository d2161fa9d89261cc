package strategy

import (
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// TestFor has a line for each of the table's, and one for whatever else could be
// thought of it.
func TestFor(t *testing.T) {
	const bios, uefi = boot.FirmwareX86PC, boot.FirmwareEFI64
	for _, tc := range []struct {
		firmware boot.Firmware
		stage    Stage
		action   boot.Action
		loader   boot.Loader
		want     string
	}{
		{bios, ROM, boot.Boot, boot.LoaderAuto, "loader"},
		{bios, ROM, boot.Boot, boot.LoaderShim, "loader"},
		{bios, ROM, boot.Boot, boot.LoaderGRUB, "loader"},
		{bios, ROM, boot.Boot, boot.LoaderNative, "loader"}, // which says on its screen why not
		{bios, ROM, boot.Probe, boot.LoaderAuto, "loader"},
		{bios, ROM, boot.Local, boot.LoaderAuto, "loader"},
		{bios, ROM, boot.Local, boot.LoaderShim, "loader"},
		{bios, ROM, boot.Ignore, boot.LoaderAuto, "nothing"},
		{bios, HTTPBoot, boot.Boot, boot.LoaderShim, "loader by HTTP"},
		{boot.FirmwareRPi, ROM, boot.Boot, boot.LoaderShim, "Raspberry Pi Boot"},
		{boot.FirmwareRPi, ROM, boot.Local, boot.LoaderAuto, "nothing"},
		{boot.FirmwareRPi, ROM, boot.Park, boot.LoaderAuto, "nothing"},
		{boot.FirmwareUBoot, ROM, boot.Boot, boot.LoaderShim, "extlinux"},
		{boot.FirmwareUBoot, ROM, boot.Local, boot.LoaderAuto, "extlinux"},
		{boot.FirmwareUBoot, HTTPBoot, boot.Boot, boot.LoaderAuto, "extlinux by HTTP"},
		{boot.FirmwareUBoot, ROM, boot.Ignore, boot.LoaderAuto, "nothing"},

		{uefi, ROM, boot.Boot, boot.LoaderAuto, "loader"},
		{uefi, ROM, boot.Boot, boot.LoaderIPXE, "loader"},
		{uefi, ROM, boot.Boot, boot.LoaderSNPOnly, "loader"},
		{uefi, ROM, boot.Boot, boot.LoaderShim, "shim"},
		{uefi, ROM, boot.Boot, boot.LoaderGRUB, "GRUB"},
		{uefi, ROM, boot.Boot, boot.LoaderNative, "EFI program"},
		{uefi, ROM, boot.Probe, boot.LoaderShim, "loader"},
		{uefi, ROM, boot.Local, boot.LoaderAuto, "local disk"},
		{uefi, ROM, boot.Local, boot.LoaderShim, "local disk"},
		{uefi, ROM, boot.Ignore, boot.LoaderShim, "nothing"},

		{uefi, HTTPBoot, boot.Boot, boot.LoaderAuto, "loader by HTTP"},
		{uefi, HTTPBoot, boot.Boot, boot.LoaderShim, "shim by HTTP"},
		{uefi, HTTPBoot, boot.Boot, boot.LoaderGRUB, "GRUB by HTTP"},
		{uefi, HTTPBoot, boot.Boot, boot.LoaderNative, "EFI program by HTTP"},
		{uefi, HTTPBoot, boot.Local, boot.LoaderAuto, "loader by HTTP"},
		{uefi, HTTPBoot, boot.Local, boot.LoaderShim, "nothing"},
		{uefi, HTTPBoot, boot.Ignore, boot.LoaderAuto, "nothing"},

		{uefi, IPXE, boot.Boot, boot.LoaderShim, "script"},
		{uefi, IPXE, boot.Boot, boot.LoaderNative, "script"},
		{uefi, IPXE, boot.Local, boot.LoaderAuto, "script"},
		{uefi, IPXE, boot.Ignore, boot.LoaderAuto, "nothing"},
		{uefi, IPXEWithoutHTTP, boot.Boot, boot.LoaderShim, "loader"},
		{bios, IPXEWithoutHTTP, boot.Boot, boot.LoaderAuto, "loader"},
		{bios, IPXEWithoutHTTP, boot.Local, boot.LoaderAuto, "loader"},
		{uefi, Other, boot.Boot, boot.LoaderAuto, "nothing"},
	} {
		v := &boot.Verdict{Action: tc.action, Loader: tc.loader}
		if got := For(tc.firmware, tc.stage, v).String(); got != tc.want {
			t.Errorf("%s, %s, %s by %s: got %s, want %s", tc.firmware, tc.stage, tc.action, tc.loader, got, tc.want)
		}
	}
}

// The image of a disk is for HTTP Boot alone, which tells it by its name.
func TestDiskImages(t *testing.T) {
	for _, tc := range []struct {
		stage  Stage
		source string
		want   string
	}{
		{HTTPBoot, "/srv/live.iso", "ISO image by HTTP"},
		{HTTPBoot, "/srv/disk.IMG", "disk image by HTTP"},
		{HTTPBoot, "/srv/uki.efi", "EFI program by HTTP"},
		{ROM, "/srv/live.iso", "loader"}, // which says on its screen why not
		{ROM, "/srv/uki.efi", "EFI program"},
		{IPXE, "/srv/live.iso", "script"},
	} {
		v := &boot.Verdict{Action: boot.Boot, Loader: boot.LoaderNative, Image: boot.DiskImageOf(tc.source)}
		if got := For(boot.FirmwareEFI64, tc.stage, v).String(); got != tc.want {
			t.Errorf("%s, %s: got %s, want %s", tc.source, tc.stage, got, tc.want)
		}
	}
}
