package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/pcap"
)

// The bounds of a Replay.
const (
	maxReplayed = 100_000          // packets of DHCP that are held
	maxHeld     = 64 << 20         // and their bytes
	answersIn   = 10 * time.Second // an answer that comes later belongs to no request
)

// A Replayed is one request of a capture, with what a configuration answers.
type Replayed struct {
	Time     time.Time `json:"time"`
	MAC      string    `json:"mac"`
	Port     uint16    `json:"port"`     // 67 or 4011
	Stage    string    `json:"stage"`    // strategy.Stage
	Firmware string    `json:"firmware"` //
	Rule     string    `json:"rule,omitempty"`
	Boot     string    `json:"boot,omitempty"`
	Offer    string    `json:"offer"`            // the kind of answer: "loader", "script", "nothing"
	Answer   string    `json:"answer,omitempty"` // what it says, with SERVER and TOKEN for what is of one host and one boot
	Why      string    `json:"why,omitempty"`    // why there is no answer
	// Was is what the capture has for answers that boot a machine, in the words of
	// Answer. Differs is whether Answer is none of them. They mean nothing where
	// the capture has no answer to anybody: it may have been made where none went by.
	Was     []string `json:"was,omitempty"`
	Differs bool     `json:"differs"`
}

// A Replay is what a configuration answers to a capture.
type Replay struct {
	Requests []Replayed `json:"requests"`
	Others   int        `json:"others"`   // requests of machines that do not boot
	Answered bool       `json:"answered"` // whether the capture has answers to compare with
	Cut      string     `json:"cut,omitempty"`
}

// ReplayCapture asks a configuration, which is not served, what it would have
// answered to each request for a boot of DHCPv4 in a capture. Boots are told apart by
// the times of the capture. Nothing is sent, and nobody is asked who has the last word
// unless ask is set. The error is about the configuration or about the capture.
func ReplayCapture(ctx context.Context, cfg *config.Config, capture io.Reader, ask bool) (*Replay, error) {
	all, cut, err := readCapture(capture)
	if err != nil {
		return nil, err
	}
	r, err := newReplayer(cfg)
	if err != nil {
		return nil, err
	}
	out := &Replay{Requests: []Replayed{}, Cut: cut}
	for i, p := range all {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if p.packet.OpCode != dhcpv4.OpcodeBootRequest {
			continue
		}
		row, ok := r.judge(ctx, p, ask)
		if !ok {
			out.Others++
			continue
		}
		row.Was = answersTo(p, all[i+1:])
		out.Answered = out.Answered || len(row.Was) > 0
		out.Requests = append(out.Requests, row)
	}
	for i := range out.Requests {
		row := &out.Requests[i]
		said := row.Offer != nothing
		row.Differs = out.Answered && row.Offer != asks && (said && !slices.Contains(row.Was, row.Answer) || !said && len(row.Was) > 0)
	}
	return out, nil
}

// Offers beside those of dhcp4.
const (
	nothing = "nothing"
	asks    = "as the API says"
)

// A captured is a packet of DHCPv4.
type captured struct {
	pcap.Datagram
	packet *dhcpv4.DHCPv4
}

// readCapture reads the packets of DHCPv4. cut says why not all of them.
func readCapture(from io.Reader) (all []captured, cut string, err error) {
	r, err := pcap.NewReader(from)
	if err != nil {
		return nil, "", err
	}
	held := 0
	for {
		d, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return all, "", nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return all, "the capture ends within a packet", nil
		case err != nil && len(all) == 0:
			return nil, "", err
		case err != nil:
			return all, err.Error(), nil
		case len(all) == maxReplayed || held > maxHeld:
			return all, fmt.Sprintf("only the first %d packets of DHCP were looked at", len(all)), nil
		}
		if !slices.ContainsFunc([]uint16{67, 4011}, func(port uint16) bool { return d.From.Port() == port || d.To.Port() == port }) {
			continue
		}
		packet, err := dhcpv4.FromBytes(d.Data)
		if err != nil || !d.From.Addr().Is4() || len(packet.ClientHWAddr) != 6 {
			continue
		}
		d.Data = bytes.Clone(d.Data)
		held += len(d.Data)
		all = append(all, captured{d, packet})
	}
}

// A replayer is the DHCP side of a daemon without sockets, at the time of a capture.
type replayer struct {
	cfg        *config.Config
	interfaces *netio.Interfaces
	now        time.Time
	servers    map[config.Kind]*dhcp4.Server
	only       map[config.Kind][]string // the names of their interfaces
}

func newReplayer(cfg *config.Config) (*replayer, error) {
	secret := make([]byte, 32) // nothing that is sealed is ever opened
	rand.Read(secret)          // never fails
	seal, err := booters.NewSealer(secret)
	if err != nil {
		return nil, err
	}
	tokens, err := boot.NewTokenKey(secret)
	if err != nil {
		return nil, err
	}
	sources := booters.NewSources()
	defer sources.Close()
	c, err := Compile(cfg, seal, sources)
	if err != nil {
		return nil, err
	}
	swap := &booters.Swapper{}
	swap.Publish(boot.Snapshot{Booter: c.booter(), Loaders: c.Loaders.Bytes()})
	r := &replayer{cfg: cfg, interfaces: netio.NewInterfaces(), servers: map[config.Kind]*dhcp4.Server{}, only: map[config.Kind][]string{}}
	memory, chains, wire := &boots.Memory{Source: swap}, &dhcp4.Chains{}, &netio.Wire{}
	web := bootfiles.Web{Port: 80}
	for _, l := range slices.Backward(cfg.Listeners) {
		if l.Kind == config.HTTP {
			web = bootfiles.Web{Port: l.Address.Port(), TLS: l.Cert != ""}
		}
	}
	for _, l := range slices.Backward(cfg.Listeners) { // the first of a kind stays
		if l.Kind != config.DHCP && l.Kind != config.PXE {
			continue
		}
		conn, err := wire.Listen(netip.AddrPortFrom(l.Address.Addr(), 0))
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		// The addresses of the host that would answer need not be those of this one.
		documentation := netip.AddrFrom4([4]byte{192, 0, 2, 1}) // RFC 5737
		set := dhcp4.Settings{Relays: l.Relays, Relayed: l.Relayed, Web: web, Advertise: documentation}
		role := dhcp4.ProxyDHCP
		if l.Kind == config.PXE {
			role = dhcp4.BootServer
		}
		r.only[l.Kind] = l.Interfaces
		r.servers[l.Kind] = &dhcp4.Server{
			Role: role, Conn: conn, Boots: memory, Settings: func() *dhcp4.Settings { return &set }, Tokens: tokens, Interfaces: r.interfaces,
			Chains: chains, Log: zap.NewNop(), Clock: func() time.Time { return r.now },
		}
	}
	return r, nil
}

// judge says what the configuration answers to a request; false: it is of no machine
// that boots.
func (r *replayer) judge(ctx context.Context, p captured, ask bool) (row Replayed, ok bool) {
	row = Replayed{Time: p.Time, MAC: p.packet.ClientHWAddr.String(), Port: p.To.Port(), Offer: nothing}
	kind, type_ := config.DHCP, p.packet.MessageType()
	if p.To.Port() == 4011 {
		kind = config.PXE
	} else if type_ != dhcpv4.MessageTypeDiscover {
		return row, false // of an address
	}
	if c, err := dhcp4.Classify(p.packet); err != nil {
		return row, false
	} else {
		row.Stage, row.Firmware = c.Stage.String(), c.Machine.Firmware.String()
	}
	server := r.servers[kind]
	if server == nil {
		row.Why = fmt.Sprintf("the configuration has no listener %q", kind)
		return row, true
	}
	r.now = p.Time
	if only := r.only[kind]; p.Interface != "" && len(only) > 0 && !slices.Contains(only, p.Interface) {
		row.Why = fmt.Sprintf("it came by %s, which the listener leaves out", p.Interface)
		return row, true
	}
	d := netio.Datagram{Data: p.Data, Peer: p.From, Local: p.To.Addr()}
	if iface, ok := r.interfaces.ByName(p.Interface); ok {
		d.Interface = iface.Index // the capture is of this host, or of one like it
	}
	j := server.Judge(ctx, d, ask)
	row.Rule, row.Boot = j.Decision.Rule, j.Decision.Boot
	switch {
	case j.Asks:
		row.Offer = asks
	case j.Err != nil:
		row.Why = j.Err.Error()
		if j.Decision.Reason != "" {
			row.Why += ": " + j.Decision.Reason
		}
	case j.Answer != nil:
		row.Offer, row.Answer = j.Offering, describe(j.Answer)
	}
	return row, true
}

// answersTo are the answers to a request that boot a machine, among what comes later.
func answersTo(p captured, later []captured) (was []string) {
	for _, a := range later {
		if a.Time.Sub(p.Time) > answersIn {
			break
		}
		if a.packet.TransactionID != p.packet.TransactionID || !bytes.Equal(a.packet.ClientHWAddr, p.packet.ClientHWAddr) {
			continue
		}
		if a.packet.OpCode == dhcpv4.OpcodeBootRequest && a.To.Port() == p.To.Port() && a.packet.MessageType() == p.packet.MessageType() {
			break // it asks again: what comes now is for that
		}
		if a.packet.OpCode != dhcpv4.OpcodeBootReply || a.From.Port() != p.To.Port() {
			continue
		}
		if said := describe(a.packet); said != "" && !slices.Contains(was, said) {
			was = append(was, said)
		}
	}
	return was
}

// sealedName is what is made for one boot: a token, or an ID.
var sealedName = regexp.MustCompile(`[A-Za-z0-9_-]{32,}`)

// describe is what an answer tells a machine to boot; empty: nothing.
func describe(d *dhcpv4.DHCPv4) string {
	file := d.BootFileName
	if option := strings.TrimRight(string(d.Options.Get(dhcpv4.OptionBootfileName)), "\x00"); option != "" {
		file = option
	}
	class := string(d.Options.Get(dhcpv4.OptionClassIdentifier))
	vendor := d.Options.Get(dhcpv4.OptionVendorSpecificInformation)
	if file == "" && !strings.HasPrefix(class, "PXEClient") && !strings.HasPrefix(class, "HTTPClient") {
		return ""
	}
	for _, ip := range []net.IP{d.ServerIPAddr, d.ServerIdentifier()} {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok && !a.IsUnspecified() {
			file = strings.ReplaceAll(file, a.String(), "SERVER")
		}
	}
	file = sealedName.ReplaceAllString(file, "TOKEN")
	said := "no file"
	if file != "" {
		said = printable(file)
	}
	switch {
	case strings.HasPrefix(class, "HTTPClient"):
		said += " by HTTP Boot"
	case class == "":
		said += " of an ordinary server"
	}
	if len(vendor) > 0 && strings.HasPrefix(class, "PXEClient") {
		said += ", option 43 " + suboptions(vendor)
	}
	return said
}

// maxSaid bounds what is shown of a name, in bytes.
const maxSaid = 300

func printable(s string) string {
	s = strconv.QuoteToGraphic(s[:min(len(s), maxSaid)])
	return s[1 : len(s)-1]
}

// suboptions names those of PXE (PXE 2.1 §2.3.1) by their numbers, with the discovery
// control's value.
func suboptions(b []byte) string {
	var all []string
	for len(b) >= 2 && b[0] != 255 {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		n := int(b[1])
		if len(b) < 2+n {
			break
		}
		word := strconv.Itoa(int(b[0]))
		if b[0] == 6 && n == 1 {
			word += "=" + strconv.Itoa(int(b[2]))
		}
		all = append(all, word)
		b = b[2+n:]
	}
	return strings.Join(all, " ")
}
