package pxeclient

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

const (
	pxeEnterprise = 343 // Intel's number, under which all firmware sends option 16
	optUNDI6      = dhcpv6.OptionNII
)

// allServers is All_DHCP_Relay_Agents_and_Servers (RFC 8415 §7.1).
var allServers = netip.MustParseAddr("ff02::1:2")

// Solicit is the SOLICIT that this firmware sends over IPv6. Without a UUID the
// client is known by its MAC address.
func (p Profile) Solicit(mac net.HardwareAddr, xid [3]byte, uuid [16]byte) *dhcpv6.Message {
	d := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeSolicit, TransactionID: xid}
	if uuid == [16]byte{} {
		d.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: mac}))
	} else {
		d.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDUUID{UUID: uuid})) // RFC 6355
	}
	d.AddOption(&dhcpv6.OptIANA{IaId: [4]byte(mac[2:])})
	d.AddOption(dhcpv6.OptElapsedTime(0))
	if p.family == ordinary {
		d.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer))
		return d
	}
	asked := []dhcpv6.OptionCode{dhcpv6.OptionBootfileURL, dhcpv6.OptionBootfileParam, dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionVendorClass}
	if p.family == ipxe {
		asked = []dhcpv6.OptionCode{dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionBootfileURL, dhcpv6.OptionBootfileParam}
		d.AddOption(&dhcpv6.OptUserClass{UserClasses: [][]byte{[]byte(p.UserClass)}})
	}
	d.AddOption(dhcpv6.OptRequestedOption(asked...))
	d.AddOption(dhcpv6.OptClientArchType(iana.Arch(p.Type)))
	d.AddOption(&dhcpv6.OptionGeneric{OptionCode: optUNDI6, OptionData: p.UNDI[:]})
	d.AddOption(&dhcpv6.OptVendorClass{EnterpriseNumber: pxeEnterprise, Data: [][]byte{[]byte(p.VendorClass)}})
	return d
}

// Accept6 says whether this firmware boots by an ADVERTISE, or else why not.
func (p Profile) Accept6(a *dhcpv6.Message) error {
	if a.MessageType != dhcpv6.MessageTypeAdvertise {
		return errors.New("not an ADVERTISE")
	}
	if p.family == ordinary {
		return errOrdinary
	}
	name := a.Options.BootFileURL()
	if name == "" {
		return errors.New("no boot file URL (option 59)")
	}
	u, err := url.Parse(name)
	if err != nil {
		return fmt.Errorf("option 59: %w", err)
	}
	addressed := false
	for _, ia := range a.Options.IANA() {
		addressed = addressed || len(ia.Options.Addresses()) > 0
	}
	switch class := class6(a); {
	case p.family == edk2 && u.Scheme != "tftp":
		return fmt.Errorf("PXE-E53: %q is not a tftp URL", name)
	case p.family == edk2 && !addressed && class != "PXEClient":
		return errors.New(`an advertisement without an address and without the vendor class "PXEClient" (option 16) is not a proxy's`)
	case p.family == edk2HTTP && class != "HTTPClient":
		return errors.New(`remote boot cancelled: option 16 is not "HTTPClient"`)
	case p.family == edk2HTTP && u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is not an http URL", name)
	}
	return nil
}

// class6 is what option 16 says.
func class6(m *dhcpv6.Message) string {
	for _, o := range m.Options.Get(dhcpv6.OptionVendorClass) {
		if v, ok := o.(*dhcpv6.OptVendorClass); ok && len(v.Data) > 0 {
			class, _, _ := strings.Cut(string(v.Data[0]), ":")
			return class
		}
	}
	return ""
}

// linkLocal is the address that a machine makes of its MAC (RFC 4291, appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}

// dhcp6 is dhcp over IPv6: the ADVERTISE tells the address of the boot file. As over
// IPv4 no address is taken, so nothing is requested.
func (m *machine) dhcp6(ctx context.Context, p Profile, s settings) error {
	to := netip.AddrPortFrom(allServers, m.Ports.Server)
	if m.Server.IsValid() {
		to = netip.AddrPortFrom(m.Server, m.Ports.Server)
	}
	var xid [3]byte
	_, _ = rand.Read(xid[:]) // never fails
	d := p.Solicit(m.MAC, xid, m.UUID)
	m.step(Step{Kind: StepDiscover}, nil)
	pauses, wait := p.limits().discover, m.Wait
	if wait == 0 {
		for _, pause := range pauses {
			wait += pause
		}
	}
	end, refused := time.Now().Add(wait), ErrNoOffer
	for n := 0; time.Now().Before(end); {
		if err := m.write(ctx, d.ToBytes(), to); err != nil {
			return err
		}
		until := end
		if n < len(pauses) && time.Now().Add(pauses[n]).Before(end) {
			until = time.Now().Add(pauses[n])
		}
		for n++; ; {
			a, from, err := m.receive6(ctx, d, until)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			err = p.Accept6(a)
			m.step(Step{Kind: StepOffer, Peer: from, URL: a.Options.BootFileURL()}, err)
			if err != nil {
				if refused = fmt.Errorf("%w; %v: %w", refused, from.Addr(), err); len(m.transcript.Steps) > maxOffers*maxStages {
					return refused
				}
				continue
			}
			m.bootFile, err = url.Parse(a.Options.BootFileURL())
			s.setString("filename", a.Options.BootFileURL())
			return err
		}
	}
	return refused
}

// receive6 waits for an answer to d.
func (m *machine) receive6(ctx context.Context, d *dhcpv6.Message, until time.Time) (a *dhcpv6.Message, from netip.AddrPort, err error) {
	from, err = m.read(ctx, until, func(data []byte) bool {
		p, err := dhcpv6.FromBytes(data)
		r, ok := p.(*dhcpv6.Message)
		if err != nil || !ok || r.TransactionID != d.TransactionID || r.Options.ClientID() == nil || !r.Options.ClientID().Equal(d.Options.ClientID()) {
			return false
		}
		a = r
		return true
	})
	return a, from, err
}
