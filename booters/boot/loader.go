package boot

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Loader is what firmware is given to load the system with: the choice of a
// rule's boot. Only UEFI has one; a BIOS is given iPXE whatever is asked for.
type Loader uint8

const (
	// LoaderAuto is any iPXE, the best that there is for the firmware.
	LoaderAuto Loader = iota
	// LoaderIPXE is an iPXE with drivers of its own, where there is one.
	LoaderIPXE
	// LoaderSNPOnly is an iPXE that uses the firmware's driver, where there is one.
	LoaderSNPOnly
	// LoaderGRUB is GRUB, which loads the Spec's kernel and initrds.
	LoaderGRUB
	// LoaderShim is a shim, which Secure Boot trusts and which loads a GRUB that it
	// trusts itself.
	LoaderShim
	// LoaderNative is the Spec's kernel itself, an EFI program.
	LoaderNative
)

var loaderNames = [...]string{"auto", "ipxe", "snponly", "grub", "shim", "native"}

// String is the word of the configuration language.
func (l Loader) String() string {
	if int(l) < len(loaderNames) {
		return loaderNames[l]
	}
	return fmt.Sprintf("loader %d", int(l))
}

// IPXE reports whether the loader is an iPXE.
func (l Loader) IPXE() bool { return l <= LoaderSNPOnly }

// LoaderNames lists the configuration's words.
func LoaderNames() []string { return slices.Clone(loaderNames[:]) }

// ParseLoader reads one of LoaderNames.
func ParseLoader(name string) (Loader, error) {
	if i := slices.Index(loaderNames[:], name); i >= 0 {
		return Loader(i), nil
	}
	return 0, fmt.Errorf("loader %q: not one of %v", name, loaderNames)
}

// Programs are what a Boot by LoaderGRUB or LoaderShim is loaded with. They hang
// on no more of the machine than its platform and the names that the operator gave
// it, so that they can be told before anything else of the Spec can.
type Programs struct {
	Shim ID // empty: there is none
	GRUB ID // likewise
}

// A DiskImage is what a LoaderNative starts where that is no EFI program: UEFI makes a
// RAM disk of it, and boots that as any disk (UEFI 2.10 §24.7.3.2).
type DiskImage uint8

const (
	// NoDiskImage is an EFI program.
	NoDiskImage DiskImage = iota
	// ISOImage is one of a CD.
	ISOImage
	// HardDiskImage is one of a hard disk.
	HardDiskImage
)

// DiskImageOf tells by the name's suffix, as UEFI does.
func DiskImageOf(name string) DiskImage {
	switch strings.ToLower(path.Ext(name)) {
	case ".iso":
		return ISOImage
	case ".img":
		return HardDiskImage
	}
	return NoDiskImage
}
