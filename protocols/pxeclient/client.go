package pxeclient

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// Bounds of a Client.
const (
	maxOffers   = 32       // looked at for one DISCOVER
	maxStages   = 6        // network boot programs in one boot
	maxDatagram = 9000     // bytes of a DHCP packet
	maxDownload = 16 << 30 // bytes of a file, which is hashed and not held
	maxRedirect = 10       // that iPXE follows

	defaultCollect = 100 * time.Millisecond
)

// ErrNoOffer is wrapped by the error of a boot for which there was no answer
// that the firmware accepts.
var ErrNoOffer = errors.New("no offer to boot by")

// Ports are the UDP ports of a boot.
type Ports struct {
	Client     uint16 // 0: any free one
	Server     uint16
	BootServer uint16
	TFTP       uint16
}

// StandardPorts are those of a real network: 68, 67, 4011 and 69. Binding the
// first needs privileges.
func StandardPorts() Ports { return Ports{Client: 68, Server: 67, BootServer: 4011, TFTP: 69} }

// A Client is one machine that boots from the network.
type Client struct {
	Profile Profile
	Program *Profile // the iPXE that it loads; nil: what Profile.Becomes names
	MAC     net.HardwareAddr
	UUID    [16]byte // in the order in which it is written
	// Facts are further settings of iPXE by name: serial, manufacturer,
	// product, asset, hostname.
	Facts map[string]string
	// LongMode is whether an x86 processor has 64 bits.
	LongMode bool

	// Address is the machine's own, already configured on an interface of this
	// host; it selects the interface.
	Address netip.Addr
	// Server is whom DISCOVER is sent to; the zero Addr is 255.255.255.255.
	Server netip.Addr
	Ports  Ports // StandardPorts, as a rule
	// Open opens what DHCP goes by, which Boot closes; nil: a socket on
	// Ports.Client. netio.Snoop of that port leaves this host's own DHCP client
	// alone.
	Open func() (netio.Conn, error)

	Wait    time.Duration // for an acceptable answer; 0: as long as the firmware does
	Collect time.Duration // for better offers after an acceptable one; 0: 100 ms
	// Links is whether a system's installer fetches what the kernel's command
	// line names on the server that the script came from: see Transcript.
	Links bool

	// Seen is called with each step as soon as it is done; nil: nobody is told.
	Seen func(Step)
}

// StepKind is what a Step did.
type StepKind string

// The kinds of steps.
const (
	StepDiscover   StepKind = "discover"
	StepOffer      StepKind = "offer" // refused where Step.Err says why
	StepBootServer StepKind = "boot-server"
	StepProbe      StepKind = "probe" // asked for a file's size
	StepFetch      StepKind = "fetch"
	StepStage      StepKind = "stage" // another program goes on
	StepLink       StepKind = "link"  // what the command line names was fetched, as the installer would
)

// A Step is one thing that a machine did or received.
type Step struct {
	Kind    StepKind       `json:"kind"`
	Start   time.Duration  `json:"start"`            // since the power was switched on, in nanoseconds
	Took    time.Duration  `json:"took,omitzero"`    // in nanoseconds; 0: it took no time that is worth naming
	Profile string         `json:"profile"`          // who acted
	Peer    netip.AddrPort `json:"peer,omitzero"`    // who answered
	URL     string         `json:"url,omitempty"`    // what was fetched, or the boot file that was named
	Size    int64          `json:"size,omitempty"`   // bytes
	SHA256  string         `json:"sha256,omitempty"` // in hexadecimal
	Is      string         `json:"is,omitempty"`     // what the bytes are, by their beginning: "bzImage 2.15 for x64"
	Err     string         `json:"error,omitempty"`  // why it was refused, or did not work

	// Packet is the DHCP packet that was sent or received.
	Packet *dhcpv4.DHCPv4 `json:"-"`
}

// A Transcript is everything that happened in a boot, in order, and what it
// came to.
type Transcript struct {
	Steps   []Step  `json:"steps"`
	Outcome Outcome `json:"outcome"`
	// Doubts are sentences about what was fetched and is not what such a machine
	// can start. The Client goes on regardless.
	Doubts []string `json:"doubts,omitempty"`
}

// Find returns the steps of one kind.
func (t Transcript) Find(kind StepKind) []Step {
	var found []Step
	for _, s := range t.Steps {
		if s.Kind == kind {
			found = append(found, s)
		}
	}
	return found
}

// Boot boots the machine. The Transcript is valid with an error, too: it shows
// how far the machine came. The error wraps ErrNoOffer or ErrLoop where these
// are the cause, and is ctx's when that ends first.
func (c *Client) Boot(ctx context.Context) (Transcript, error) {
	m, err := c.powerOn()
	if err != nil {
		return Transcript{}, err
	}
	defer m.conn.Close()
	defer m.http.CloseIdleConnections()
	// A read that waits is woken by a deadline in the past.
	defer context.AfterFunc(ctx, func() { _ = m.conn.SetReadDeadline(time.Unix(1, 0)) })()

	err = m.boot(ctx)
	if errors.Is(err, errLocalDisk) {
		m.transcript.Outcome.Action, err = ActionLocal, nil
	}
	return m.transcript, err
}

// machine is a Client that is switched on.
type machine struct {
	*Client
	profile    Profile // who acts: the firmware, then iPXE
	conn       netio.Conn
	iface      int
	http       *http.Client
	inbox      []netio.Datagram
	transcript Transcript
	bootFile   *url.URL // what the last DHCP named
	began      time.Time
	content    *content // of the file that was fetched last
	script     *url.URL // where the last script came from
}

func (c *Client) powerOn() (*machine, error) {
	if c.Address.Is4() == c.Profile.IPv6 || !c.Address.IsValid() || len(c.MAC) != 6 {
		return nil, fmt.Errorf("client %v with address %v: needs an Ethernet address, and one of the family that it boots over", c.MAC, c.Address)
	}
	m := &machine{Client: c, profile: c.Profile, inbox: netio.NewBatch(1, maxDatagram), began: time.Now()}
	for _, i := range netio.NewInterfaces().All() {
		for _, p := range i.Prefixes {
			if p.Addr() == c.Address {
				m.iface = i.Index
			}
		}
	}
	if m.iface == 0 {
		return nil, fmt.Errorf("address %v: on no interface of this host", c.Address)
	}
	open := c.Open
	if open == nil {
		open = func() (netio.Conn, error) {
			all := netip.IPv4Unspecified()
			if c.Profile.IPv6 {
				all = netip.IPv6Unspecified()
			}
			return netio.ListenUDP(netip.AddrPortFrom(all, c.Ports.Client))
		}
	}
	conn, err := open()
	if err != nil {
		return nil, err
	}
	m.conn = conn
	wait := c.Profile.limits().http
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: c.Address.AsSlice()}, Timeout: wait}
	m.http = &http.Client{
		// No proxy of the environment and no compression: firmware has neither.
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableCompression: true, ResponseHeaderTimeout: wait},
		CheckRedirect: m.redirect,
	}
	return m, nil
}

func (c *Client) collect() time.Duration {
	if c.Collect > 0 {
		return c.Collect
	}
	return defaultCollect
}

// now is the time since the power was switched on.
func (m *machine) now() time.Duration { return time.Since(m.began) }

// step notes what has been done at this moment.
func (m *machine) step(s Step, err error) {
	s.Start = m.now()
	m.done(s, err)
}

// done notes what has been done since s.Start.
func (m *machine) done(s Step, err error) {
	s.Profile = m.profile.Name
	if err != nil {
		s.Err = err.Error()
	}
	m.transcript.Steps = append(m.transcript.Steps, s)
	if m.Seen != nil {
		m.Seen(s)
	}
}

// boot runs one program after the other: the firmware, then what it loads.
func (m *machine) boot(ctx context.Context) error {
	var loaded *url.URL // where the running program came from; nil: it is the firmware
	for range maxStages {
		next, err := m.stage(ctx, loaded)
		if err != nil || next == nil {
			return err
		}
		if m.profile, err = m.program(); err != nil {
			return err
		}
		m.step(Step{Kind: StepStage, URL: next.String()}, nil)
		loaded = next
	}
	return fmt.Errorf("%w: %d network boot programs, the last is %v", ErrLoop, maxStages, loaded)
}

// program is who goes on when the running program has loaded another.
func (m *machine) program() (Profile, error) {
	p, err := ProfileByName(m.profile.Becomes)
	if m.Program != nil {
		p, err = *m.Program, nil
	}
	p.IPv6 = m.profile.IPv6 // which has the addresses
	return p, err
}

// stage is the boot sequence of one program. It returns the address of the next
// one, or nil where the boot has come to an end.
func (m *machine) stage(ctx context.Context, loaded *url.URL) (*url.URL, error) {
	s := m.settings()
	if loaded != nil && m.profile.Autoexec {
		beside := loaded.ResolveReference(&url.URL{Path: "autoexec.ipxe"})
		switch img, err := m.fetch(ctx, beside); {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil && img.script():
			return nil, m.interpret(ctx, img, s)
		}
	}
	if err := m.dhcp(ctx, s); err != nil {
		return nil, err
	}
	if f := m.profile.family; f == raspberryPi || f == uboot {
		return nil, m.board(ctx)
	}
	img, err := m.fetch(ctx, m.bootFile)
	switch {
	case err != nil:
		return nil, err
	case img.script() && m.profile.IPXE():
		return nil, m.interpret(ctx, img, s)
	case img.script():
		return nil, fmt.Errorf("%s: an iPXE script is no program for %s", img.URL, m.profile.Name)
	}
	m.doubt("network boot program", img, m.content.program(m.profile.Type))
	if err := m.signed(img); err != nil {
		return nil, err
	}
	if ended, err := m.started(ctx, m.bootFile, img); ended {
		return nil, err
	}
	return m.bootFile, nil
}

// doubt notes what is wrong with an image; nil: nothing is.
func (m *machine) doubt(what string, img *Image, err error) {
	if err != nil {
		m.transcript.Doubts = append(m.transcript.Doubts, fmt.Sprintf("%s %s: %v", what, img.URL, err))
	}
}

// interpret runs a script and all that it chains to the end of the boot.
func (m *machine) interpret(ctx context.Context, img *Image, s settings) error {
	in := &interpreter{host: m, settings: s}
	err := in.run(ctx, img)
	m.transcript.Outcome = in.outcome
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if in.outcome.Action != ActionNone {
		return m.finish(ctx)
	}
	var code exitError
	if err == nil || errors.As(err, &code) {
		// A script that ends returns to the firmware, which tries what is next.
		m.transcript.Outcome.Action = ActionExit
		m.transcript.Outcome.ExitCode = int(code)
		return nil
	}
	return err
}

// finish looks at what the machine would start, and goes on as the system does
// that starts: it fetches what its command line names.
func (m *machine) finish(ctx context.Context) error {
	o := m.transcript.Outcome
	if o.Kernel != nil {
		m.doubt("kernel", o.Kernel, o.Kernel.is.kernel(m.profile.Type, m.LongMode, o.Action == ActionImage))
	}
	for i := range o.Initrds {
		m.doubt("initrd", &o.Initrds[i], o.Initrds[i].is.initrd())
	}
	if !m.Links || o.Action != ActionBoot || m.script == nil {
		return nil
	}
	var failed error
	for _, u := range links(o.Cmdline, m.script) {
		err := m.link(ctx, u)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("the command line names what the server does not give: %w", err)
		}
	}
	return failed
}

// link fetches an address as an installer does.
func (m *machine) link(ctx context.Context, u *url.URL) error {
	sink := newSink()
	s := Step{Kind: StepLink, URL: u.String(), Start: m.now()}
	err := m.fetchHTTP(ctx, u, &limitWriter{w: sink, left: maxDownload})
	s.Took, s.Size = m.now()-s.Start, sink.size
	if err == nil {
		s.SHA256 = sink.digest()
	}
	m.done(s, err)
	return err
}

// settings are those that iPXE starts with.
func (m *machine) settings() settings {
	s := settings{
		"mac":  {"hex", m.MAC},
		"uuid": {"uuid", m.UUID[:]},
	}
	if m.Address.Is4() {
		s["ip"] = setting{"ipv4", m.Address.AsSlice()}
	}
	platform, arch := "pcbios", "i386"
	if m.profile.Type != 0 {
		platform = "efi"
	}
	switch m.profile.Type {
	case 7, 16:
		arch = "x86_64"
	case 11, 19:
		arch = "arm64"
	case 27:
		arch = "riscv64"
	}
	s.setString("platform", platform)
	s.setString("buildarch", arch)
	for name, value := range m.Facts {
		s.setString(name, value)
	}
	return s
}

// cpuid implements host.
func (m *machine) cpuid(ext, ecx bool, bit int) (set, ok bool) {
	switch m.profile.Type {
	case 0, 6, 7, 16:
	default:
		return false, false
	}
	switch {
	case ext && !ecx && bit == 29: // leaf 0x80000001 EDX: long mode
		return m.LongMode, true
	case !ext && !ecx && (bit == 0 || bit == 6): // leaf 1 EDX: FPU, PAE
		return true, true
	}
	return false, true
}

// dhcp implements host: from DISCOVER to the address of the boot file, which it
// leaves in m.bootFile.
func (m *machine) dhcp(ctx context.Context, s settings) error {
	p := m.profile
	if class := s.get("user-class"); class != "" && p.IPXE() {
		p.UserClass = class
	}
	if p.IPv6 {
		return m.dhcp6(ctx, p, s)
	}
	offer, err := m.discover(ctx, p)
	if err != nil {
		return err
	}
	answer := offer
	if p.AsksBootServer(offer) {
		if answer, err = m.askBootServer(ctx, p, offer); err != nil {
			return err
		}
	}
	if m.bootFile, err = p.target(answer); err != nil {
		return err
	}
	s.setString("filename", p.bootFile(answer))
	if a := siaddr(answer); a.IsValid() {
		s["next-server"] = setting{"ipv4", a.AsSlice()}
	}
	return nil
}

// onWire is a UUID as DHCP carries it: the first three fields little-endian, as
// in SMBIOS (RFC 4578 §2.3).
func onWire(u [16]byte) [16]byte {
	slices.Reverse(u[0:4])
	slices.Reverse(u[4:6])
	slices.Reverse(u[6:8])
	return u
}

// discover broadcasts until an acceptable offer has come, waits for better ones
// a little longer, and chooses.
func (m *machine) discover(ctx context.Context, p Profile) (*dhcpv4.DHCPv4, error) {
	to := netip.AddrPortFrom(m.Server, m.Ports.Server)
	if !m.Server.IsValid() {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), m.Ports.Server)
	}
	d := p.Discover(m.MAC, newXID(), onWire(m.UUID))
	m.step(Step{Kind: StepDiscover, Packet: d}, nil)

	pauses := p.limits().discover
	wait := m.Wait
	if wait == 0 {
		for _, pause := range pauses {
			wait += pause
		}
	}
	var offers []*dhcpv4.DHCPv4
	end := time.Now().Add(wait)
	accepted := false
	resend := time.Time{}
	for len(offers) < maxOffers {
		if now := time.Now(); !accepted && !now.Before(resend) && now.Before(end) {
			if err := m.send(ctx, d, to); err != nil {
				return nil, err
			}
			resend = end
			if len(pauses) > 0 {
				resend, pauses = now.Add(pauses[0]), pauses[1:]
			}
		}
		until := end
		if !accepted && resend.Before(end) {
			until = resend
		}
		offer, from, err := m.receive(ctx, d, until)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if until == end {
				break
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		offers = append(offers, offer)
		refused := p.Accept(offer)
		s := Step{Kind: StepOffer, Peer: from, URL: p.bootFile(offer), Packet: offer}
		if errors.Is(refused, errLocalDisk) {
			s.Is, refused = "a menu of the local disk", nil
		}
		m.step(s, refused)
		if refused == nil && !accepted {
			accepted = true
			end = time.Now().Add(m.collect())
		}
	}
	return p.Choose(offers)
}

// askBootServer asks the server of an offer on port 4011.
func (m *machine) askBootServer(ctx context.Context, p Profile, offer *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	v, err := parsePXE(offer)
	if err != nil {
		return nil, err
	}
	who, err := v.bootServer(offer)
	if err != nil {
		return nil, err
	}
	to := netip.AddrPortFrom(who, m.Ports.BootServer)
	d := p.BootServerRequest(m.MAC, newXID(), onWire(m.UUID), m.Address, offer)
	start, pauses := m.now(), p.limits().bootServer
	for _, pause := range pauses {
		if err := m.send(ctx, d, to); err != nil {
			return nil, err
		}
		if m.Wait > 0 {
			pause = m.Wait / time.Duration(len(pauses))
		}
		until := time.Now().Add(pause)
		for {
			ack, from, err := m.receive(ctx, d, until)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, err
			}
			if from.Addr() != who {
				continue
			}
			err = p.AcceptAck(ack)
			m.done(Step{Kind: StepBootServer, Start: start, Took: m.now() - start, Peer: from, URL: p.bootFile(ack), Packet: ack}, err)
			if err != nil {
				return nil, fmt.Errorf("answer of %v: %w", from, err)
			}
			return ack, nil
		}
	}
	err = fmt.Errorf("%v does not answer", to)
	m.done(Step{Kind: StepBootServer, Start: start, Took: m.now() - start, Peer: to, Packet: d}, err)
	return nil, err
}

func newXID() (xid [4]byte) {
	_, _ = rand.Read(xid[:]) // never fails
	return xid
}

func (m *machine) send(ctx context.Context, d *dhcpv4.DHCPv4, to netip.AddrPort) error {
	return m.write(ctx, d.ToBytes(), to)
}

func (m *machine) write(ctx context.Context, data []byte, to netip.AddrPort) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	out := netio.Datagram{Data: data, Peer: to, Local: m.Address, Interface: m.iface}
	if to.Addr().Is6() {
		// It sends from its address of the link. On a real one that is the host's.
		if out.Local = (netip.Addr{}); m.Open != nil {
			out.Local = linkLocal(m.MAC)
		}
	}
	_, err := m.conn.WriteBatch([]netio.Datagram{out})
	return err
}

// receive waits for an answer to d.
func (m *machine) receive(ctx context.Context, d *dhcpv4.DHCPv4, until time.Time) (r *dhcpv4.DHCPv4, from netip.AddrPort, err error) {
	from, err = m.read(ctx, until, func(data []byte) bool {
		r, err = dhcpv4.FromBytes(data)
		return err == nil && r.OpCode == dhcpv4.OpcodeBootReply && r.TransactionID == d.TransactionID && string(r.ClientHWAddr) == string(m.MAC)
	})
	return r, from, err
}

// read waits for a datagram that take wants.
func (m *machine) read(ctx context.Context, until time.Time, take func(data []byte) bool) (netip.AddrPort, error) {
	for {
		if err := m.conn.SetReadDeadline(until); err != nil {
			return netip.AddrPort{}, err
		}
		if ctx.Err() != nil { // after the deadline was set: see Boot
			return netip.AddrPort{}, context.Cause(ctx)
		}
		n, err := m.conn.ReadBatch(m.inbox)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return netip.AddrPort{}, err
		}
		for _, in := range m.inbox[:n] {
			if take(in.Data) {
				return in.Peer, nil
			}
		}
	}
}

// fetch implements host: it downloads a file as the program that acts does.
func (m *machine) fetch(ctx context.Context, u *url.URL) (*Image, error) {
	sink := newSink()
	s := Step{Kind: StepFetch, URL: u.String(), Start: m.now()}
	err := m.fetchTo(ctx, u, &limitWriter{w: sink, left: maxDownload})
	s.Took, s.Size = m.now()-s.Start, sink.size
	if err == nil {
		s.SHA256 = sink.digest()
		m.content = inspect(sink.head)
		s.Is = m.content.String()
	}
	m.done(s, err)
	if err != nil {
		return nil, err
	}
	img := &Image{URL: s.URL, Size: s.Size, SHA256: s.SHA256, Is: s.Is, head: sink.head, is: m.content}
	if !img.script() {
		img.head = nil
	} else {
		m.script = u
	}
	return img, nil
}

func (m *machine) fetchTo(ctx context.Context, u *url.URL, w io.Writer) error {
	switch u.Scheme {
	case "tftp":
		if m.profile.family == edk2HTTP {
			return fmt.Errorf("%v: %s does not speak TFTP", u, m.profile.Name)
		}
		return m.fetchTFTP(ctx, u, w)
	case "http":
		if f := m.profile.family; f != edk2HTTP && f != uboot && f != shim && f != grub && !m.profile.announces(featureHTTP) {
			return fmt.Errorf("%v: %s does not speak HTTP", u, m.profile.Name)
		}
		return m.fetchHTTP(ctx, u, w)
	default:
		return fmt.Errorf("%v: %s does not speak %s", u, m.profile.Name, u.Scheme)
	}
}

func (m *machine) fetchTFTP(ctx context.Context, u *url.URL, w io.Writer) error {
	host, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return fmt.Errorf("%v: the server is not an address", u)
	}
	port := uint64(m.Ports.TFTP)
	if u.Port() != "" {
		if port, err = strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return fmt.Errorf("%v: %w", u, err)
		}
	}
	addr, name := netip.AddrPortFrom(host, uint16(port)), u.Path
	if len(name) > 0 {
		name = name[1:]
	}
	limit := m.profile.limits().block
	o := FetchOptions{BlockSize: 1456, Size: true, Local: m.Address, Timeout: limit}
	switch m.profile.family {
	case edk2:
		start := m.now()
		size, err := Probe(ctx, addr, name, FetchOptions{Local: m.Address, Timeout: limit})
		m.done(Step{Kind: StepProbe, Start: start, Took: m.now() - start, Peer: addr, URL: u.String(), Size: size}, err)
		if err != nil {
			return err
		}
		o = FetchOptions{BlockSize: 1468, WindowSize: 4, Local: m.Address, Timeout: limit}
		if m.profile.IPv6 {
			o.BlockSize = 1228
		}
	case ipxe:
		o.BlockSize = 1432
	case shim:
		o = FetchOptions{BlockSize: 512, WindowSize: 4, Local: m.Address, Timeout: limit}
	case grub:
		o.BlockSize = 1024
	}
	_, err = fetchTFTP(ctx, addr, name, o, w)
	return err
}

func (m *machine) fetchHTTP(ctx context.Context, u *url.URL, w io.Writer) error {
	if m.profile.family == edk2HTTP {
		// HTTP Boot asks for the size first, and cannot do without it.
		start := m.now()
		r, err := m.request(ctx, http.MethodHead, u)
		if err != nil {
			return err
		}
		r.Body.Close()
		m.done(Step{Kind: StepProbe, Start: start, Took: m.now() - start, URL: u.String(), Size: r.ContentLength}, nil)
		if r.ContentLength < 0 {
			return fmt.Errorf("%v: HEAD has no Content-Length", u)
		}
	}
	r, err := m.request(ctx, http.MethodGet, u)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err := io.Copy(w, r.Body); err != nil {
		return fmt.Errorf("%v: %w", u, err)
	}
	return nil
}

func (m *machine) request(ctx context.Context, method string, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", m.profile.Agent)
	r, err := m.http.Do(req)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		r.Body.Close()
		return nil, fmt.Errorf("%v: %s", u, r.Status)
	}
	return r, nil
}

// redirect decides whether an HTTP redirect is followed.
func (m *machine) redirect(_ *http.Request, via []*http.Request) error {
	switch {
	case m.profile.family == edk2HTTP:
		return http.ErrUseLastResponse // HTTP Boot shows the status and gives up
	case len(via) >= maxRedirect:
		return fmt.Errorf("more than %d redirects", maxRedirect)
	}
	return nil
}

// sink hashes a file and keeps its beginning, which may be a script.
type sink struct {
	size int64
	sum  hash.Hash
	head []byte
}

func newSink() *sink { return &sink{sum: sha256.New()} }

// digest is the SHA-256 in hexadecimal.
func (s *sink) digest() string { return hex.EncodeToString(s.sum.Sum(nil)) }

func (s *sink) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	s.sum.Write(p)
	if room := maxScript - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	return len(p), nil
}
