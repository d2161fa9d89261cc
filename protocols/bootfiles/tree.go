package bootfiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// Names of the scripts in the tree.
const (
	AutoexecScript = "autoexec.ipxe"
	BootScript     = "boot.ipxe"
)

// loaderNames are the names under which loaders are offered to machines.
// FixedNames are those that another DHCP server's option 67 may say.
const (
	efiLoader  = "ipxe.efi"
	biosLoader = "undionly.kpxe"
)

// FixedNames maps the loaders' names at the root of the tree, for DHCP servers
// that somebody else runs, to the platform that each is for.
func FixedNames() map[string]boot.Firmware {
	return map[string]boot.Firmware{
		biosLoader:             boot.FirmwareX86PC,
		"ipxe-ia32.efi":        boot.FirmwareEFI32,
		"ipxe-x64.efi":         boot.FirmwareEFI64,
		"ipxe-arm32.efi":       boot.FirmwareEFIARM32,
		"ipxe-arm64.efi":       boot.FirmwareEFIARM64,
		"ipxe-riscv64.efi":     boot.FirmwareEFIRISCV64,
		"ipxe-loongarch64.efi": boot.FirmwareEFILoongArch64,
	}
}

// FixedLoader is the name among FixedNames for a platform; empty where it has none.
func FixedLoader(f boot.Firmware) string {
	if f == boot.FirmwareEFIBC {
		f = boot.FirmwareEFI64 // the same program
	}
	for name, platform := range FixedNames() {
		if platform == f {
			return name
		}
	}
	return ""
}

// ProgramPath is the boot file name of the machine that token names, and that is
// given program p: a relative path for TFTP, and a path below the root for HTTP. It
// has at most 55 bytes.
func ProgramPath(token string, m boot.Machine, p strategy.Program) string {
	return token + "/" + programName(m, p)
}

// programName is what the program is called in the machine's directory. A shim
// looks beside itself for a GRUB of just that name.
func programName(m boot.Machine, p strategy.Program) string {
	switch {
	case p == strategy.Shim:
		return "shim" + m.Arch.EFISuffix() + ".efi"
	case p == strategy.GRUB:
		return "grub" + m.Arch.EFISuffix() + ".efi"
	case p == strategy.EFI:
		return "boot" + m.Arch.EFISuffix() + ".efi"
	case p == strategy.ISO:
		return "boot" + m.Arch.EFISuffix() + ".iso"
	case p == strategy.Image:
		return "boot" + m.Arch.EFISuffix() + ".img"
	case m.Firmware.UEFI():
		return efiLoader
	}
	return biosLoader
}

// screenScript says NoHTTP.
const screenScript = "nohttp.ipxe"

// NoHTTP is what is wrong with an iPXE whose loader in place of it came back the same.
const NoHTTP = "this iPXE cannot load by HTTP, and the loader that was given to it lately came back the same: name another one in the ipxe block of the server's configuration"

// ScreenPath is the boot file name of such a machine's screen, for TFTP.
func ScreenPath(token string) string { return token + "/" + screenScript }

// ErrRefused is wrapped by the error of Tree.Open for a machine that the
// current configuration does not boot.
var ErrRefused = errors.New("refused")

// errHeld is the ErrRefused of a machine that a hold keeps.
var errHeld = fmt.Errorf("%w", ErrRefused)

// Dropped is what a request is counted by to which Tree.Open answers err.
func Dropped(err error) drops.Reason {
	switch {
	case errors.Is(err, boot.ErrNotFound):
		return drops.NotFound
	case errors.Is(err, errHeld):
		return drops.Held
	case errors.Is(err, ErrRefused):
		return drops.Ignored
	case errors.Is(err, boot.ErrUnverified):
		return drops.Unverified
	default:
		return drops.Failed
	}
}

// A Web is where machines reach the HTTP server.
type Web struct {
	Addr netip.Addr // the address that machines are told; the zero Addr: the one at which they reached this server
	Port uint16
	TLS  bool // https
}

// Base is "http://host:port" or "https://host:port", as seen by a machine that reached this server
// at local. The port is always written: some firmware needs it.
func (w Web) Base(local netip.Addr) string {
	a := w.Addr
	if !a.IsValid() {
		a = local
	}
	host := a.WithZone("").String()
	if a.Is6() {
		host = "[" + host + "]"
	}
	scheme := "http://"
	if w.TLS {
		scheme = "https://"
	}
	return scheme + host + ":" + strconv.Itoa(int(w.Port))
}

// A Kind tells what a File is.
type Kind int

const (
	KindLoader   Kind = iota // a network boot program
	KindAutoexec             // autoexec.ipxe
	KindScript               // another iPXE script
	KindConfig               // what a board, or GRUB, reads in place of a script
	KindKernel               // the kernel of a board or for GRUB, or the EFI program that firmware starts
	KindInitrd               // an initrd; of a board, all of them in one
	KindFirmware             // a file of a Raspberry Pi's firmware
	KindBooting              // nothing but the news that the machine is about to start its kernel
)

// Event is the step of a boot that such a file is.
func (k Kind) Event() events.Kind {
	return [...]events.Kind{events.Loader, events.Autoexec, events.Script, events.Script, events.Kernel, events.Initrd, events.File, events.Booting}[k]
}

// A File is one entry of the tree.
type File struct {
	Kind Kind
	Name string        // its last element
	Data []byte        // never modified; nil where there is a Body
	Body io.ReadCloser // what is not in memory, for the caller to close; it may fail when the context of Open ends
	Size int64         // of Body in bytes; -1: not known

	Machine boot.Machine // whom it is for; no MAC under a fixed name
	Rule    string       // the rule that decided, empty under a fixed name
	Gen     uint64
	// Problem is why the machine is not booted, which the file says on its screen;
	// empty: it is.
	Problem string
}

// Final reports whether nothing more is asked of this server once the machine has the
// file: it is the EFI program that its firmware starts.
func (f File) Final() bool {
	return f.Kind == KindKernel && f.Name == programName(f.Machine, strategy.EFI)
}

// A Tree opens the names of the virtual directory.
type Tree struct {
	Boots  *boots.Memory // decides, for the boot that the machine is in
	Tokens boot.TokenKey
}

// Machine is the machine that the token names, with what it said in DHCP. Where
// that is forgotten, the token still tells the transport.
func (t Tree) Machine(token boot.Token) boot.Machine {
	m := token.Machine()
	if m.Facts = t.Boots.Of(m.MAC); m.Facts == nil {
		m.Facts = &boot.Facts{Known: boot.FactTransport, Transport: boot.TransportPXE}
		if p, _ := token.Type.Platform(); p.HTTP {
			m.Facts.Transport = boot.TransportHTTP
		}
	}
	return m
}

// PeerOf is the Peer of a machine that asks from an address.
func (t Tree) PeerOf(m boot.Machine, from netip.Addr) netip.Addr {
	if m.Issued.IsZero() || m.Issued.Unix() < t.Boots.Started(m.MAC).Unix() {
		return netip.Addr{} // without a token, or by that of a boot that is over
	}
	return from.Unmap()
}

// Recall is the machine that an address was made for, with all that is known of
// it in the boot that it is in. Where what iPXE has reported is forgotten, the
// machine counts as one that iPXE has not asked yet: what it would report is
// unknown, and not missing.
func (t Tree) Recall(m boot.Machine) boot.Machine {
	if r, ok := t.Boots.Reported(m.MAC); ok {
		r.Arch, r.Firmware = m.Arch, m.Firmware
		return r
	}
	if m.Facts = t.Boots.Of(m.MAC); m.Facts == nil {
		m.Facts = &boot.Facts{}
	}
	return m
}

// Open looks name up, with or without a leading slash, or with several. from is the
// address that asks, and base is "http://host:port" as that reaches this server, for the
// scripts.
//
// Errors wrap boot.ErrNotFound, or ErrRefused where the configuration now
// ignores the machine; each is one line, fit for the machine's screen. GRUB can show
// more than that, and is given a configuration that does: see File.Problem.
func (t Tree) Open(ctx context.Context, name string, from netip.Addr, base string) (File, error) {
	dir, file, inDir := strings.Cut(installerGRUB(strings.TrimLeft(name, "/")), "/")
	if !inDir {
		return t.openFixed(t.Boots.Source.Current(), dir, base)
	}
	file = strings.TrimLeft(file, "/")
	if dir == grubDir {
		return t.openGRUB(ctx, name, file, from, base)
	}
	m, f, ok := t.find(dir, file)
	m.Peer = t.PeerOf(m, from)
	f.Machine.Peer = m.Peer
	if !ok {
		// Programs look for files that need not be there: a shim for its revocations
		// and certificates, GRUB for lists of modules.
		return File{}, fmt.Errorf("%q: %w", name, boot.ErrNotFound)
	}
	forGRUB := f.Kind == KindConfig && m.Firmware.UEFI()

	// The same verdict as in DHCP: a machine that the table ignores by now
	// gets nothing here either.
	d, err := t.Boots.Decide(ctx, m, time.Now())
	switch {
	case err != nil && forGRUB:
		return f.screen(err), nil
	case err != nil:
		return File{}, fmt.Errorf("%q: %w", name, err)
	}
	f.Rule, f.Gen = d.Rule, d.Snapshot.Gen
	if d.Action == boot.Ignore {
		refused := ErrRefused
		if d.Held {
			refused = errHeld
		}
		if err = fmt.Errorf("%w: %s", refused, d.Refusal(m)); forGRUB {
			return f.screen(err), nil
		}
		return File{}, err
	}

	switch {
	case m.Firmware.Board():
		return t.openBoard(ctx, d, f, dir, base)
	case forGRUB:
		if f.Data, err = t.grub(ctx, d, m, dir, base); err != nil {
			return f.screen(err), nil
		}
		return f, nil
	case f.Kind == KindScript:
		f.Data = []byte(Halt(NoHTTP))
		return f, nil
	case f.Kind == KindAutoexec:
		f.Data = []byte(Autoexec(base, dir, m.MAC))
		return f, nil
	case f.Kind == KindBooting:
		f.Data = []byte("# Booting\n")
		return f, nil
	case f.Name == programName(m, strategy.AnyIPXE):
		f.Data = d.Snapshot.Loader(m, d.Loader)
		return f, missing(f.Data, m.Firmware)
	}
	id, err := fileOf(d, f, base)
	if err == nil && id == "" {
		err = boot.ErrNotFound
	}
	if err == nil {
		f.Body, f.Size, err = t.openFile(ctx, d, id, base, true)
	}
	if err != nil {
		return File{}, fmt.Errorf("%q: %w", f.Name, err)
	}
	if (d.Once != nil || d.Chosen) && f.Final() {
		f.Body = &begun{f.Body, sync.OnceValue(func() error {
			_, err := t.Boots.SpecFor(ctx, d, m, base, time.Now())
			return err
		})}
	}
	return f, nil
}

// openFile opens a file of what is decided. token is whether the machine has shown that
// it is the one which asked for an address.
func (t Tree) openFile(ctx context.Context, d boots.Decision, id boot.ID, base string, token bool) (io.ReadCloser, int64, error) {
	l, made, err := boot.Made(d.Snapshot.Booter, id)
	switch {
	case !made:
		return boot.OpenFile(ctx, d.Snapshot.Booter, id)
	case err != nil:
		return nil, 0, err
	case l.Secret && !token:
		return nil, 0, fmt.Errorf("%s has a secret in it, and what asks for it by a MAC address alone may be anybody", l.Name)
	}
	return l.Open(ctx, t.Recall(*l.Machine), base)
}

// begun is a file that it is an act to read: to ask for its size is none.
type begun struct {
	io.ReadCloser
	first func() error
}

func (b *begun) Read(p []byte) (int, error) {
	if err := b.first(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

// fileOf is which file of the decision a machine with UEFI asks for; empty: there is
// none.
func fileOf(d boots.Decision, f File, base string) (boot.ID, error) {
	m := f.Machine
	switch f.Name {
	case programName(m, strategy.Shim), programName(m, strategy.GRUB):
		if d.Action != boot.Boot && d.Action != boot.Park || d.Programs == nil {
			return "", nil
		}
		p, err := d.Programs(m)
		if f.Name == programName(m, strategy.Shim) {
			return p.Shim, err
		}
		return p.GRUB, err
	}
	spec, err := d.SpecFor(m, base)
	if err != nil || spec == nil {
		return "", err
	}
	if f.Kind == KindKernel {
		return spec.Kernel, nil
	}
	if i, _ := initrdNumber(f.Name); i < len(spec.Initrd) {
		return spec.Initrd[i], nil
	}
	return "", nil
}

// initrdNumber is that of an initrd's name, as GRUB is told it.
func initrdNumber(name string) (int, bool) {
	number, ok := strings.CutPrefix(name, initrdName)
	i, err := strconv.ParseUint(number, 10, 8)
	return int(i), ok && err == nil && strconv.FormatUint(i, 10) == number
}

// screen makes f the configuration of GRUB that says why the machine is not booted.
func (f File) screen(err error) File {
	f.Problem = err.Error()
	f.Data = []byte(GRUBScreen(f.Problem))
	if errors.Is(err, ErrRefused) && !errors.Is(err, errHeld) {
		f.Data = []byte(grubLeave(f.Problem))
	}
	return f
}

// grub is the configuration of GRUB for its machine.
func (t Tree) grub(ctx context.Context, d boots.Decision, m boot.Machine, dir, base string) ([]byte, error) {
	switch d.Action {
	case boot.Boot:
	case boot.Park:
		return nil, errors.New(d.Reason)
	default:
		// The rule has another outcome than when the machine was given GRUB, or the
		// operator's own server gave it that.
		return []byte(grubLeave("this machine boots its own disk")), nil
	}
	spec, err := t.Boots.SpecFor(ctx, d, m, base, time.Now())
	if err != nil {
		return nil, err
	}
	text, err := GRUB(base, dir, spec, d.Notice)
	return []byte(text), err
}

// openGRUB opens what lies below grubDir: rest is what stands behind that in name.
func (t Tree) openGRUB(ctx context.Context, name, rest string, from netip.Addr, base string) (File, error) {
	f := File{Kind: KindConfig, Name: grubConfig, Gen: t.Boots.Source.Current().Gen}
	if rest == grubConfig {
		f.Data = []byte(grubFixed())
		return f, nil
	}
	mac, typ, ok := grubMachine(rest)
	if !ok {
		return File{}, fmt.Errorf("%q: %w", name, boot.ErrNotFound)
	}
	// Anybody can write a MAC address into a name. Who has sent a DHCP request of it
	// is given no more here than he was then.
	if t.Boots.Of(mac) == nil {
		f.Machine.MAC = mac
		return f.screen(fmt.Errorf("this server has heard no DHCP request of %s since it was started", mac)), nil
	}
	token := t.Tokens.Seal(boot.Token{MAC: boots.MAC(mac), Type: typ, Time: time.Now()})
	return t.Open(ctx, token+"/"+grubConfig, from, base)
}

// find says whom a directory of the tree is for, and what a name in it is. ok is
// false for what nobody is given.
func (t Tree) find(dir, name string) (m boot.Machine, f File, ok bool) {
	if dir == extlinuxDir { // U-Boot, which knows of no directory of its own
		mac, isMAC := parseMAC(strings.TrimPrefix(name, ethernet))
		if dir = dashed(mac); !isMAC {
			return m, f, false
		}
		name = extlinuxDir + "/" + name
	}
	if token, err := t.Tokens.Open(dir); err == nil {
		m = t.Machine(token)
	} else if m, ok = t.board(dir); !ok {
		return m, f, false
	}
	f = File{Name: name, Machine: m}
	switch {
	case m.Firmware.Board():
		f.Kind, ok = boardKind(m, name)
	case name == AutoexecScript:
		f.Kind, ok = KindAutoexec, true
	case name == screenScript:
		f.Kind, ok = KindScript, true
	default:
		f.Kind, ok = programKind(m, name)
	}
	return m, f, ok
}

// programKind is what a name in the directory of a machine is that loads programs; ok
// is false for what such a machine is not given.
func programKind(m boot.Machine, name string) (k Kind, ok bool) {
	switch {
	case name == programName(m, strategy.AnyIPXE):
		return KindLoader, true
	case !m.Firmware.UEFI():
		return 0, false
	}
	switch name {
	case programName(m, strategy.Shim), programName(m, strategy.GRUB):
		return KindLoader, true
	case programName(m, strategy.EFI), programName(m, strategy.ISO), programName(m, strategy.Image), kernelName:
		return KindKernel, true
	case grubConfig:
		return KindConfig, true
	case bootingMark:
		return KindBooting, true
	}
	_, ok = initrdNumber(name)
	return KindInitrd, ok
}

// Whose is the machine that a name of the tree is for, and what the name is; ok is
// false for fixed names, and for what is not in the tree.
func (t Tree) Whose(name string) (mac net.HardwareAddr, k Kind, ok bool) {
	dir, file, inDir := strings.Cut(strings.TrimLeft(name, "/"), "/")
	if !inDir {
		return nil, 0, false
	}
	if file = strings.TrimLeft(file, "/"); dir == grubDir {
		mac, _, ok := grubMachine(file)
		return mac, KindConfig, ok
	}
	m, f, ok := t.find(dir, file)
	return m.MAC, f.Kind, ok
}

func (t Tree) openFixed(snap *boot.Snapshot, name, base string) (File, error) {
	f := File{Name: name, Gen: snap.Gen}
	switch name {
	case AutoexecScript:
		f.Kind, f.Data = KindAutoexec, []byte(Autoexec(base, "", nil))
		return f, nil
	case BootScript:
		f.Kind, f.Data = KindScript, []byte(Stub(base, Machine{}))
		return f, nil
	}
	fw, ok := FixedNames()[name]
	if !ok {
		return File{}, fmt.Errorf("%q: %w", name, boot.ErrNotFound)
	}
	// Not the scripts, which lead to one that says it on the machine's screen.
	if why := t.Boots.OnHold(); why != "" {
		return File{}, fmt.Errorf("%w: %s", errHeld, why)
	}
	f.Machine.Firmware = fw
	f.Data = snap.Loaders[fw]
	return f, missing(f.Data, fw)
}

func missing(data []byte, f boot.Firmware) error {
	if len(data) == 0 {
		return fmt.Errorf("the server has no loader for %s: %w", f, boot.ErrNotFound)
	}
	return nil
}
