package pxeclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

const (
	// surveyAgain is how long after its DISCOVER a Survey repeats it, for
	// servers that lose the first one while they look whether an address is free.
	surveyAgain = 1500 * time.Millisecond
	// surveyRead bounds one wait for an answer, so that a Survey ends with its
	// context.
	surveyRead = 200 * time.Millisecond
)

// An Answer is what one server says to the DISCOVER of a Survey.
type Answer struct {
	Server     netip.Addr // its identifier (RFC 2132 §9.7), else where it came from
	Address    bool       // whether it gives addresses
	Proxy      bool       // whether it is a PXE server beside the one for addresses
	BootFile   string     // what it says to boot; empty: nothing
	BootServer netip.Addr // where that is; the zero Addr: it does not say
}

// Survey broadcasts a DISCOVER of the profile by an interface, under the
// interface's own address, and returns who answers until ctx is done, each
// once and at most maxOffers of them. It reads copies of the answers, and takes
// none from this host's own DHCP client. No address is taken up: there is no
// request behind the DISCOVER.
//
// It needs CAP_NET_RAW, and Linux.
func Survey(ctx context.Context, iface *net.Interface, p Profile) ([]Answer, error) {
	if len(iface.HardwareAddr) != 6 {
		return nil, fmt.Errorf("interface %s: no Ethernet address to ask under", iface.Name)
	}
	conn, err := netio.Snoop(StandardPorts().Client)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	d := p.Discover(iface.HardwareAddr, newXID(), [16]byte{})
	d.SetBroadcast() // the answers come although the address in them is not ours
	ask := []netio.Datagram{{
		Data: d.ToBytes(), Interface: iface.Index,
		Peer: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), StandardPorts().Server),
	}}
	var answers []Answer
	batch := netio.NewBatch(maxOffers, maxDatagram)
	again := time.Now()
	for sent := 0; ctx.Err() == nil && len(answers) < maxOffers; {
		if sent < 2 && !time.Now().Before(again) {
			if _, err := conn.WriteBatch(ask); err != nil {
				return nil, fmt.Errorf("interface %s: %w", iface.Name, err)
			}
			sent++
			again = time.Now().Add(surveyAgain)
		}
		if err := conn.SetReadDeadline(time.Now().Add(surveyRead)); err != nil {
			return nil, err
		}
		n, err := conn.ReadBatch(batch)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, got := range batch[:n] {
			a, ok := answerOf(got.Data, got.Peer.Addr(), d)
			if ok && got.Interface == iface.Index && len(answers) < maxOffers && !slices.Contains(answers, a) {
				answers = append(answers, a)
			}
		}
	}
	return answers, nil
}

// answerOf reads what may be an answer to d.
func answerOf(data []byte, from netip.Addr, d *dhcpv4.DHCPv4) (Answer, bool) {
	offer, err := dhcpv4.FromBytes(data)
	if err != nil || offer.OpCode != dhcpv4.OpcodeBootReply || offer.TransactionID != d.TransactionID ||
		offer.MessageType() != dhcpv4.MessageTypeOffer {
		return Answer{}, false
	}
	a := Answer{Server: from, Address: hasAddress(offer), Proxy: isClass(offer, "PXEClient") && !hasAddress(offer)}
	if id := serverID(offer); id.IsValid() {
		a.Server = id
	}
	if a.BootFile = offer.BootFileName; a.BootFile == "" {
		a.BootFile = offer.BootFileNameOption()
	}
	a.BootServer = server(offer)
	return a, true
}
