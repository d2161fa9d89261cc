package boot

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// A Machine describes a machine that is attempting to boot.
type Machine struct {
	MAC  net.HardwareAddr
	Arch Architecture
	// Firmware is what the ROM is. It stays the same when iPXE has taken over.
	Firmware Firmware
	// Probed is set once iPXE has reported the machine's facts (its CPU among
	// them), so that Arch can be relied on under a BIOS too, and that a fact of
	// iPXE which is not in Facts is one that the machine does not have. So it is
	// for a Firmware.Board from the beginning, which runs no iPXE.
	Probed bool
	// Facts is what else is known of the machine; nil: nothing. It is shared
	// and never modified.
	Facts *Facts
	// Issued is when the token was made by which the machine asks, to the second;
	// zero: it asks without one.
	Issued time.Time
	// Peer is the address that the machine asks from, if it asks by a token of the
	// boot that it is in; the zero Addr: it does not. Nothing else tells it from
	// whoever claims its MAC address by a name that anybody can write.
	Peer netip.Addr
}

// ArchCertain reports whether Arch is known. A BIOS announces type 0, which
// says nothing about 64 bits, so ArchIA32 there means "an x86 of either kind"
// until iPXE has asked the CPU.
func (m Machine) ArchCertain() bool {
	return m.Probed || m.Firmware != FirmwareX86PC || m.Arch != ArchIA32
}

// An ID is an identifier used by Booters to reference files.
type ID string

// A Spec describes a kernel and associated configuration.
type Spec struct {
	// The kernel to boot
	Kernel ID
	// Optional init ramdisks for linux kernels
	Initrd []ID
	// Optional kernel commandline. This string is evaluated as a
	// text/template template, in which "ID(x)" function is
	// available. Invoking ID(x) returns a URL that will call
	// Booter.ReadBootFile(x) when fetched.
	Cmdline string
	// Message to print on the client machine before booting.
	Message string

	// A raw iPXE script to run. Overrides all of the above.
	//
	// THIS IS NOT A STABLE INTERFACE. It works for machines that get booted
	// via iPXE only. When passing a custom iPXE script, it is your
	// responsibility to make the boot succeed, Pixiecore's involvement ends
	// when it serves your script.
	IpxeScript string

	// RPi leads to the directory of a Raspberry Pi's firmware: with a name
	// behind it, OpenLink opens that file. Empty: such a machine cannot boot this.
	RPi ID
}

// A Booter provides boot instructions and files for machines.
//
// Due to the stateless nature of various boot protocols, BootSpec() will be
// called multiple times in the course of a single boot attempt.
type Booter interface {
	// The given MAC address wants to know what it should boot. What should
	// Pixiecore make it boot?
	//
	// Returning an error or a nil BootSpec will make Pixiecore ignore the
	// client machine's request.
	BootSpec(m Machine) (*Spec, error)
	// Get the bytes corresponding to an ID given in Spec.
	//
	// Additionally returns the total number of bytes in the ReadCloser, or -1
	// if the size is unknown. Be warned, returning -1 will make the boot
	// process orders of magnitude slower due to poor ipxe behavior.
	ReadBootFile(id ID) (io.ReadCloser, int64, error)
	// Write the given Reader to an ID given in Spec.
	WriteBootFile(id ID, body io.Reader) error
}

// A ContextBooter is a Booter whose calls can be cancelled. Servers use it
// when present.
type ContextBooter interface {
	BootSpecContext(ctx context.Context, m Machine) (*Spec, error)
	ReadBootFileContext(ctx context.Context, id ID) (io.ReadCloser, int64, error)
	WriteBootFileContext(ctx context.Context, id ID, body io.Reader) error
}

// A Decider is a Booter that can say more than a Spec: see Verdict. It answers
// at once; where somebody else has the last word, it leaves that to Verdict.Ask. A nil
// Verdict ignores the machine.
type Decider interface {
	Decide(ctx context.Context, m Machine) (*Verdict, error)
}

// A Noted is a boot file, as ReadBootFile opens it, that can be served although
// something is wrong.
type Noted interface {
	Note() string // a sentence for the operator
}

// A Verified is a boot file, as ReadBootFile opens it, whose content was verified, and
// each Read of which looks whether it still is that. A server may also take bytes from
// where they lie, as sendfile(2) does: whatever has reached the machine by a time at
// which Same returns nil is right.
type Verified interface {
	io.ReadSeeker
	// Raw is the file whose bytes are those of the content; nil: there is only Read.
	Raw() *os.File
	// Same returns an error if the content is not, or may not be, what was verified.
	Same() error
	// Offset is where the next Read begins; others may ask for it meanwhile.
	Offset() int64
}

// ErrNotFound is wrapped by the error of ReadBootFile for an ID that the
// Booter did not issue.
var ErrNotFound = errors.New("no such boot file")

// Errors of a Link.
var (
	// ErrMissing is wrapped by the error of a Link's Open which is a sentence for
	// the machine: something that the file is made of is not known of it.
	ErrMissing = errors.New("cannot be made for this machine")
	// ErrExpired is wrapped by the error for an address that was good once.
	ErrExpired = errors.New("the address has expired")
	// ErrElsewhere is wrapped by the error for what is for another network address than
	// asks.
	ErrElsewhere = errors.New("it is secret, and for another address")
	// ErrTooLarge is wrapped by the error of a Link's Put for more than one file may have.
	ErrTooLarge = errors.New("the file is larger than an upload may be")
	// ErrNoRoom is wrapped by that, or Open's, for what there is no room for now: a sentence
	// for the machine.
	ErrNoRoom = errors.New("there is no room for it at the moment")
)

// Action is what is to happen to a machine.
type Action int

const (
	// Ignore: the machine gets not one byte.
	Ignore Action = iota
	// Boot: the machine boots the Verdict's Spec.
	Boot
	// Local: the machine boots its own disk.
	Local
	// Probe: a rule hangs on what only iPXE can tell. The machine is given
	// iPXE, reports its facts, and is asked about again with Machine.Probed.
	Probe
	// Park: the machine is given iPXE and waits at a screen that says why, until an
	// operator decides: never its disk, and never what a rule boots. No Booter says
	// it; see Verdict.Once.
	Park
)

var actionNames = [...]string{"ignore", "boot", "local", "probe", "park"}

// String is the word of the configuration language, for logs and JSON.
func (a Action) String() string {
	if a < 0 || int(a) >= len(actionNames) {
		return "unknown"
	}
	return actionNames[a]
}

// A Verdict is what a Booter decides for one machine. It may be shared by all that the
// same is decided for, so it is never modified after it was returned.
type Verdict struct {
	Action Action
	Spec   *Spec // for Boot, unless Render makes it
	// Render makes the Spec of a Boot that depends on more of the machine than
	// the decision did, or holds addresses of this server, which begin with base:
	// "http://host:port", as the machine reaches it. It is called when the Spec is
	// needed, not before: what it costs, and what it may find missing, is no
	// matter of DHCP.
	Render func(m Machine, base string) (*Spec, error)
	// Ask is set where somebody else, such as an API, has the last word on a Boot.
	// It waits for the answer until ctx ends, and what it returns stands: it has no
	// Ask. An error is a sentence for the operator.
	Ask  func(ctx context.Context, m Machine) (*Verdict, error)
	Wait time.Duration // how long DHCP, whose clients do not wait, gives Ask; 0: as long as it can
	// Provisional is whether what Ask returned may be something else when iPXE has
	// reported, so that it must be asked again: of an API that is told what iPXE
	// reports, and of a Booter that has no word for what it does not know yet.
	Provisional bool
	// Once is set for a Boot that is for armed machines only; Machine is then the name
	// that the operator has given this one, empty for a stranger.
	Once    *Once
	Machine string
	// Chosen is whether an operator has chosen what is booted, in place of what the
	// rule says: see Chooser.
	Chosen bool

	// Loader is by what the firmware is to load a Boot. For Local, LoaderShim says
	// that the network has Secure Boot, so that no other program would be started.
	Loader Loader
	// Image is what LoaderNative starts, where that is a disk's image.
	Image DiskImage
	// Programs are those of LoaderGRUB and LoaderShim; nil: there are none. The error
	// is a sentence.
	Programs func(m Machine) (Programs, error)
	// Offer is how firmware is told of what it is to load, by PXE.
	Offer Style

	Rule   string // the rule's name; empty where no rule decided
	Pos    string // where the rule stands, "pixiecore.hcl:12"; may be empty
	Boot   string // the boot block's name; may be empty
	Reason string // why, where it is not the rule itself that says so
	// Notice is what the operator should act on although the machine boots.
	Notice string
}

// Stranger reports whether the Verdict writes disks of machines that the operator has
// named, and this one is none.
func (v *Verdict) Stranger() bool {
	return v.Once != nil && v.Once.Installs && !v.Once.AnyMachine && v.Machine == ""
}

// Pass is the Verdict, which has Once, for a machine that is not given what it boots,
// for a reason.
func (v *Verdict) Pass(why string) *Verdict {
	p := *v
	p.Action, p.Boot, p.Reason = v.Once.Spent, "", why
	p.Spec, p.Render, p.Ask = nil, nil, nil
	return &p
}

// SpecFor is what the machine boots that the Verdict is on; nil unless Action is
// Boot. base is as for Render.
func (v *Verdict) SpecFor(m Machine, base string) (*Spec, error) {
	if v.Render != nil {
		return v.Render(m, base)
	}
	return v.Spec, nil
}

// A Chooser is a Booter of which an operator can choose what a machine boots.
type Chooser interface {
	// Called is the name that the operator has given the machine; empty for a stranger.
	Called(m Machine) string
	// Choose is what becomes of a machine for which v was decided, where the boot of
	// that name is chosen for it. The error is a clause: it cannot be.
	Choose(v *Verdict, boot string) (*Verdict, error)
}

// Decide asks b about m, and then whoever has the last word. A Booter that is no
// Decider ignores a machine by a nil Spec and boots it otherwise.
func Decide(ctx context.Context, b Booter, m Machine) (*Verdict, error) {
	v, err := DecideNow(ctx, b, m)
	if err != nil || v.Ask == nil {
		return v, err
	}
	return v.Ask(ctx, m)
}

// DecideNow is Decide as far as it goes without waiting: the Verdict may have an
// Ask, which is then to be called. So does that of a Booter that is no Decider,
// since it may do anything before it answers. The Verdict is never nil.
func DecideNow(ctx context.Context, b Booter, m Machine) (*Verdict, error) {
	if d, ok := b.(Decider); ok {
		v, err := d.Decide(ctx, m)
		if v == nil {
			v = &Verdict{}
		}
		return v, err
	}
	return &Verdict{Action: Boot, Ask: func(ctx context.Context, m Machine) (*Verdict, error) {
		spec, err := SpecFor(ctx, b, m)
		if err != nil || spec == nil {
			return &Verdict{Action: Ignore}, err
		}
		return &Verdict{Action: Boot, Spec: spec, Provisional: !m.Probed}, nil
	}}, nil
}

// A SpecChecker is a Booter that can tell, before a machine is given a Spec, that
// one of its files will be refused.
type SpecChecker interface {
	CheckSpec(ctx context.Context, spec *Spec) error
}

// CheckSpec says which file of the Spec would be refused, as far as b can tell
// without keeping the machine waiting. The error is a sentence for its screen.
func CheckSpec(ctx context.Context, b Booter, spec *Spec) error {
	if c, ok := b.(SpecChecker); ok {
		return c.CheckSpec(ctx, spec)
	}
	return nil
}

// SpecFor calls BootSpec, with ctx where the Booter takes one.
func SpecFor(ctx context.Context, b Booter, m Machine) (*Spec, error) {
	if c, ok := b.(ContextBooter); ok {
		return c.BootSpecContext(ctx, m)
	}
	return b.BootSpec(m)
}

// OpenFile calls ReadBootFile, with ctx where the Booter takes one.
func OpenFile(ctx context.Context, b Booter, id ID) (io.ReadCloser, int64, error) {
	if c, ok := b.(ContextBooter); ok {
		return c.ReadBootFileContext(ctx, id)
	}
	return b.ReadBootFile(id)
}

// PutFile calls WriteBootFile, with ctx where the Booter takes one.
func PutFile(ctx context.Context, b Booter, id ID, body io.Reader) error {
	if c, ok := b.(ContextBooter); ok {
		return c.WriteBootFileContext(ctx, id, body)
	}
	return b.WriteBootFile(id, body)
}

// LinkPath is where a Linker's addresses lie on the server: LinkPath, an ID, "/"
// and a name. A machine may use them for whatever it likes, as parts of longer
// texts too, so they are made by the Booter and not by the server's script.
const LinkPath = "/_/f/"

// A Link is what such an address leads to.
type Link struct {
	Name string // the file's, for the log: it shows nothing of the address
	// Machine is whom the address was made for, by its MAC and platform; nil:
	// for whoever has it.
	Machine *Machine
	Boot    string // the boot that the file belongs to; may be empty
	Made    bool   // whether the file is made for the machine, and not kept
	Secret  bool   // whether nothing of it may be shown or kept elsewhere
	// Issued is when the address of a Secret was made, to the second: it is not
	// good for a boot that began later.
	// It is also set for PhoneHome and Put.
	Issued time.Time
	// To is the only address that a Secret is served to; the zero Addr: any.
	To netip.Addr
	// Put takes what the machine sends, and says how many bytes those were; nil: nothing
	// can be sent there. Where it is set, nothing can be fetched. Errors may wrap
	// ErrTooLarge and ErrNoRoom.
	Put func(ctx context.Context, m Machine, body io.Reader) (int64, error)
	// PhoneHome is whether nothing lies there: who asks for it tells that Machine has
	// done what it booted for.
	PhoneHome bool
	// Open opens the file for the machine, with all that is known of it. base is
	// as for Verdict.Render. The reader fails when ctx ends. Errors may wrap
	// ErrNotFound, ErrMissing and ErrNoRoom.
	Open func(ctx context.Context, m Machine, base string) (io.ReadCloser, int64, error)
}

// A Linker is a Booter that makes addresses of its own.
type Linker interface {
	// OpenLink finds what the ID and the name behind it in an address lead to.
	// Errors may wrap ErrNotFound and ErrExpired; the Link then may still tell
	// whose the address is.
	OpenLink(id ID, name string) (Link, error)
}

// OpenLink calls OpenLink of a Booter that is a Linker. Another one has issued no
// such ID.
func OpenLink(b Booter, id ID, name string) (Link, error) {
	if l, ok := b.(Linker); ok {
		return l.OpenLink(id, name)
	}
	return Link{}, ErrNotFound
}

// Made finds out about a file of a Spec. ok: it is made for a machine, and to be opened
// as the Link, if err is nil; else OpenFile opens it.
func Made(b Booter, id ID) (l Link, ok bool, err error) {
	l, err = OpenLink(b, id, "")
	return l, l.Made, err
}

// A Snapshot is one generation of everything that a reload can change for a
// booting machine. It is never modified after it is published.
type Snapshot struct {
	Gen     uint64 // counts from 1
	Booter  Booter
	Loaders map[Firmware][]byte // the network boot program for each platform, an iPXE
	// Standin is why it stands in for the operator's file, in a clause, so that nothing
	// of it writes disks; empty: it is that file.
	Standin string
	// Builds are those of LoaderIPXE and LoaderSNPOnly that differ from Loaders.
	Builds map[Loader]map[Firmware][]byte
}

// Loader is the iPXE for a machine, of the build that is wanted if there is such a
// one; empty where there is none. A BIOS that came as an iPXE of its network card has
// no use for the card's UNDI, and may have one of its own.
func (s *Snapshot) Loader(m Machine, want Loader) []byte {
	if b := s.Builds[want][m.Firmware]; len(b) > 0 {
		return b
	}
	if own := s.Loaders[FirmwareX86Ipxe]; m.Firmware == FirmwareX86PC && m.Facts.Knows(FactIPXE) && m.Facts.IPXE && len(own) > 0 {
		return own
	}
	return s.Loaders[m.Firmware]
}

// A Source yields the current snapshot. Servers load it once per request, so
// that one request sees one generation.
type Source interface{ Current() *Snapshot }
