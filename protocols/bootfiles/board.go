package bootfiles

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
)

// Names in the directory of a board, beside those of a Raspberry Pi's firmware.
const (
	boardKernel  = "boot.kernel"
	boardInitrd  = "boot.initrd"
	piConfig     = "config.txt"
	piCmdline    = "cmdline.txt"
	ubootConfig  = "extlinux.conf"
	extlinuxDir  = "pxelinux.cfg"
	ethernet     = "01-"     // hardware type of Ethernet, before a MAC in names (PXELINUX)
	serialDigits = 8         // of a Raspberry Pi, as it asks by TFTP
	maxPiConfig  = 256 << 10 // bytes of the operator's own config.txt
)

// The MAC addresses of Raspberry Pis. Those of the first row are of models until 3,
// whose address ends in the last three bytes of the serial number.
var (
	piOld  = [3]byte{0xb8, 0x27, 0xeb}
	piOUIs = [...][3]byte{piOld, {0xdc, 0xa6, 0x32}, {0xe4, 0x5f, 0x01}, {0xd8, 0x3a, 0xdd}, {0x2c, 0xcf, 0x67}, {0x28, 0xcd, 0xc1}}
)

// FromRaspberryPi reports whether a MAC address is one of a Raspberry Pi's own
// interface.
func FromRaspberryPi(mac [6]byte) bool {
	for _, oui := range piOUIs {
		if [3]byte(mac[:3]) == oui {
			return true
		}
	}
	return false
}

// BoardPath is the boot file name that a board is told. A Raspberry Pi does not
// look at it; U-Boot looks for its configuration in the directory.
func BoardPath(token string) string { return token + "/" + ubootConfig }

// FirstOfPi is what the boot ROM of a Raspberry Pi 2 or 3 asks for before anything
// else, outside of any directory: it lies in BoardDirectory.
const FirstOfPi = "bootcode.bin"

// BoardDirectory is the name of a board's directory by its MAC address, as a
// Raspberry Pi with TFTP_PREFIX=2 asks for it.
func BoardDirectory(mac net.HardwareAddr) string { return dashed(mac) }

func dashed(mac net.HardwareAddr) string { return strings.ReplaceAll(mac.String(), ":", "-") }

// parseMAC reads what dashed writes, and nothing else.
func parseMAC(s string) (net.HardwareAddr, bool) {
	mac, err := net.ParseMAC(s)
	return mac, err == nil && len(mac) == len(boots.MAC{}) && dashed(mac) == s
}

// board is the machine that a directory is of which is not named by a token: a
// Raspberry Pi's by its serial number, or any board's by its MAC address.
//
// Where nothing was heard of the machine by DHCP, its address tells a Raspberry Pi,
// and everything else that asks so is taken for a U-Boot of 64 bits.
func (t Tree) board(dir string) (boot.Machine, bool) {
	mac, ok := parseMAC(dir)
	if !ok && len(dir) == serialDigits {
		of, known := t.Boots.BySerial(strings.ToLower(dir))
		if low, err := hex.DecodeString(dir); !known && err == nil {
			of = boots.MAC(append(piOld[:], low[1:]...))
			_, known = t.Boots.Announced(of)
		}
		mac, ok = of[:], known
	}
	if !ok {
		return boot.Machine{}, false
	}
	const rpi, uboot = 0x29, 0x16 // of the IANA registry: see boot.ArchType
	typ, heard := t.Boots.Announced(boots.MAC(mac))
	switch {
	case heard:
	case FromRaspberryPi([6]byte(mac)):
		typ = rpi
	default:
		typ = uboot
	}
	m := t.Machine(boot.Token{MAC: boots.MAC(mac), Type: typ})
	return m, m.Firmware.Board()
}

// boardKind is what a name in the directory of a board is; ok is false for what a
// board of this kind is not given.
func boardKind(m boot.Machine, name string) (k Kind, ok bool) {
	switch {
	case name == boardKernel:
		return KindKernel, true
	case name == boardInitrd:
		return KindInitrd, true
	case m.Firmware == boot.FirmwareRPi:
		if name == piConfig || name == piCmdline {
			return KindConfig, true
		}
		return KindFirmware, name != ""
	default:
		return KindConfig, name == ubootConfig || name == extlinuxDir+"/"+ethernet+dashed(m.MAC)
	}
}

// openBoard opens what find has found for a board that is not ignored. dir is the
// directory as it was asked for.
func (t Tree) openBoard(ctx context.Context, d boots.Decision, f File, dir, base string) (File, error) {
	m := f.Machine
	if d.Action == boot.Local {
		if m.Firmware == boot.FirmwareUBoot && f.Kind == KindConfig {
			f.Data = []byte("default local\nprompt 0\nlabel local\n  localboot 1\n")
			return f, nil
		}
		return File{}, fmt.Errorf("%w: %s boots its own disk", ErrRefused, m.MAC)
	}
	if d.Action != boot.Boot {
		return File{}, fmt.Errorf("%w: %s waits for an operator: %s", ErrRefused, m.MAC, d.Reason)
	}
	spec, err := d.SpecFor(m, base)
	if err == nil {
		err = Startable(m, d.Verdict)
	}
	if err == nil {
		err = bootable(spec, m.Firmware)
	}
	if err == nil && f.Kind != KindFirmware { // which says nothing of what is booted yet
		spec, err = t.Boots.SpecFor(ctx, d, m, base, time.Now())
	}
	if err != nil {
		return File{}, fmt.Errorf("boot %s: %w", d.Boot, err)
	}
	_, unknown := t.Tokens.Open(dir)
	open := func(id boot.ID) (io.ReadCloser, int64, error) { return t.openFile(ctx, d, id, base, unknown == nil) }
	if dir == extlinuxDir {
		dir = dashed(m.MAC)
	}
	switch {
	case f.Kind == KindKernel:
		f.Body, f.Size, err = open(spec.Kernel)
	case f.Kind == KindInitrd && len(spec.Initrd) == 0:
		err = fmt.Errorf("%q: the boot has no initrd: %w", f.Name, boot.ErrNotFound)
	case f.Kind == KindInitrd:
		f.Body, f.Size, err = joined(spec.Initrd, open)
	case f.Kind == KindFirmware:
		f.Body, f.Size, err = under(ctx, d.Snapshot.Booter, spec.RPi, m, f.Name)
	case f.Name == piCmdline:
		f.Data, err = line(base, spec)
	case f.Name == piConfig:
		f.Data, err = raspberry(ctx, d.Snapshot.Booter, m, spec)
	default:
		f.Data, err = extlinux(base, dir, spec)
	}
	if err != nil && !errors.Is(err, boot.ErrNotFound) {
		err = fmt.Errorf("boot %s: %w", d.Boot, err)
	}
	return f, err
}

// bootable says why a board cannot boot what others can.
func bootable(spec *boot.Spec, f boot.Firmware) error {
	switch {
	case spec.IpxeScript != "":
		return fmt.Errorf("it is a script of iPXE, which firmware %q does not run: give it a kernel", f)
	case spec.Kernel == "":
		return fmt.Errorf("it has no kernel, which is what firmware %q boots", f)
	case f == boot.FirmwareRPi && spec.RPi == "":
		return errors.New("it has no rpi = \"DIR\", the directory of a Raspberry Pi's firmware (start4.elf and what belongs to it)")
	}
	return nil
}

// BoardConfig is what a board reads, for people: U-Boot's configuration, or what is
// added to a Raspberry Pi's config.txt, and its command line.
func BoardConfig(base, token string, spec *boot.Spec, f boot.Firmware) (string, error) {
	if err := bootable(spec, f); err != nil {
		return "", err
	}
	if f == boot.FirmwareUBoot {
		b, err := extlinux(base, token, spec)
		return string(b), err
	}
	cmdline, err := line(base, spec)
	return piAdds(spec) + "# " + piCmdline + "\n" + string(cmdline), err
}

// piAdds is what stands behind the operator's own config.txt.
func piAdds(spec *boot.Spec) string {
	s := "[all]\nkernel=" + boardKernel + "\ncmdline=" + piCmdline + "\n"
	if len(spec.Initrd) > 0 {
		s += "initramfs " + boardInitrd + " followkernel\n"
	}
	return s
}

// line is the kernel's command line, alone on its line.
func line(base string, spec *boot.Spec) ([]byte, error) {
	text, err := expandCmdline(base, spec.Cmdline)
	// U-Boot would expand both, and a Raspberry Pi's kernel gets them as they are.
	if err == nil && (strings.Contains(text, "${") || strings.Contains(text, "$(")) {
		err = fmt.Errorf("cmdline %q: only iPXE knows what ${…} means in it: write ${machine.mac} and the like, without a second dollar sign", text)
	}
	return []byte(text + "\n"), err
}

// raspberry is config.txt: the operator's own between what it may override and what
// it may not. arm_64bit is what machine.arch says; models before the 4 would take
// the kernel for one of 32 bits.
func raspberry(ctx context.Context, b boot.Booter, m boot.Machine, spec *boot.Spec) ([]byte, error) {
	own := ""
	body, _, err := under(ctx, b, spec.RPi, m, piConfig)
	switch {
	case err == nil:
		defer body.Close()
		text, err := io.ReadAll(io.LimitReader(body, maxPiConfig+1))
		if err != nil {
			return nil, err
		}
		if len(text) > maxPiConfig {
			return nil, fmt.Errorf("config.txt: it has more than %d bytes", maxPiConfig)
		}
		own = string(text)
	case !errors.Is(err, boot.ErrNotFound):
		return nil, err
	}
	return []byte("arm_64bit=1\n\n" + own + "\n\n" + piAdds(spec)), nil
}

// extlinux is U-Boot's configuration, in the format of SYSLINUX. A name that begins
// with a slash does not count from the directory of the boot file.
func extlinux(base, dir string, spec *boot.Spec) ([]byte, error) {
	cmdline, err := line(base, spec)
	if err != nil {
		return nil, err
	}
	var s strings.Builder
	s.WriteString("default pixiecore\nprompt 0\nlabel pixiecore\n")
	for l := range strings.Lines(spec.Message) {
		if l = strings.TrimSpace(strings.Map(printable, l)); l != "" {
			s.WriteString("  say " + l + "\n")
		}
	}
	s.WriteString("  kernel /" + dir + "/" + boardKernel + "\n")
	if len(spec.Initrd) > 0 {
		s.WriteString("  initrd /" + dir + "/" + boardInitrd + "\n")
	}
	s.WriteString("  append " + string(cmdline))
	return []byte(s.String()), nil
}

// under opens a file below the directory that an ID leads to.
func under(ctx context.Context, b boot.Booter, dir boot.ID, m boot.Machine, name string) (io.ReadCloser, int64, error) {
	link, err := boot.OpenLink(b, dir, path.Clean(name))
	if err != nil {
		return nil, 0, err
	}
	return link.Open(ctx, m, "")
}

// joined is several initrds as one: the kernel takes archives that follow one
// another, with zeros between (Documentation/driver-api/early-userspace/
// buffer-format.rst). What begins an archive stands at a multiple of four.
func joined(ids []boot.ID, open func(boot.ID) (io.ReadCloser, int64, error)) (io.ReadCloser, int64, error) {
	if len(ids) == 1 {
		return open(ids[0])
	}
	var all bodies
	var parts []io.Reader
	var total int64
	for _, id := range ids {
		body, size, err := open(id)
		if err != nil {
			all.Close()
			return nil, 0, err
		}
		if all = append(all, body); size < 0 {
			all.Close()
			return nil, 0, errors.New("the server of one of several initrds does not tell its size, which is needed to join them: a cache block learns it")
		}
		pad := (4 - size%4) % 4
		parts = append(parts, body, strings.NewReader("\x00\x00\x00"[:pad]))
		total += size + pad
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(parts...), all}, total, nil
}

// bodies are closed together.
type bodies []io.Closer

func (b bodies) Close() error {
	var errs []error
	for _, c := range b {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
