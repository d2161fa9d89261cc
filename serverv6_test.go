package pixiecore

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/dhcp6"
)

// one is an AddressPool that has one address, for everybody.
type one struct{ ip net.IP }

func (o one) ReserveAddresses(clientID []byte, interfaceIDs [][]byte) ([]*dhcp6.IdentityAssociation, error) {
	if o.ip == nil {
		return nil, nil
	}
	return []*dhcp6.IdentityAssociation{{IPAddress: o.ip, ClientID: clientID, InterfaceID: interfaceIDs[0]}}, nil
}

func (one) ReleaseAddresses([]byte, [][]byte) {}

func TestTheFieldsOfAServerV6(t *testing.T) {
	static := MakeStaticBootConfiguration("http://h", "tftp://t", 7, true, []net.IP{net.ParseIP("2001:db8::53")})
	s := &ServerV6{BootConfig: static, AddressPool: dhcp6.NewRandomAddressPool(net.ParseIP("2001:db8::1"), 5, 1850), Duid: []byte("us")}
	cfg, err := s.configuration()
	if err != nil {
		t.Fatal(err)
	}
	l := cfg.Listeners[0]
	v := l.DHCP6
	if l.Address.Port() != 547 || *v.Preference != 7 || v.DNS[0] != netip.MustParseAddr("2001:db8::53") || string(v.DUID) != "us" ||
		v.Pool.Size != 5 || v.Pool.Lifetime != 1850*time.Second || v.Preferred != 0 || v.Reserve != nil {
		t.Errorf("got %+v", l)
	}
	s.PacketBuilder = dhcp6.MakePacketBuilder(600, 1200)
	if cfg, err = s.configuration(); err != nil {
		t.Fatal(err)
	}
	if v := cfg.Listeners[0].DHCP6; v.Pool.Lifetime != 20*time.Minute || v.Preferred != 10*time.Minute {
		t.Errorf("with a PacketBuilder: %+v", v)
	}

	// A pool of the program's own.
	for _, tc := range []struct {
		pool dhcp6.AddressPool
		want string // the address or the error
	}{
		{one{net.ParseIP("2001:db8::7")}, "2001:db8::7"},
		{one{}, "no address for this interface"},
		{one{net.IPv4(192, 0, 2, 1)}, "not an IPv6 address"},
	} {
		s.AddressPool = tc.pool
		if cfg, err = s.configuration(); err != nil {
			t.Fatal(err)
		}
		v := cfg.Listeners[0].DHCP6
		addr, err := v.Reserve([]byte("client"), [4]byte{1})
		got := addr.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tc.want) || v.Pool.Size != 0 || v.Pool.Lifetime != 20*time.Minute {
			t.Errorf("got %s and %+v, want %s", got, v.Pool, tc.want)
		}
	}

	for want, s := range map[string]*ServerV6{
		"nobody says what":                {},
		`"70000" is no port`:              {BootConfig: static, Port: "70000"},
		`"192.0.2.1" is not an IPv6 addr`: {BootConfig: static, Address: "192.0.2.1"},
		"not found on any local interf":   {BootConfig: static, Address: "2001:db8:77::1"},
		"not an IPv6 address":             {BootConfig: MakeStaticBootConfiguration("", "", 0, false, []net.IP{net.IPv4(192, 0, 2, 1)})},
		"the pool of addresses: a pool":   {BootConfig: static, AddressPool: dhcp6.NewRandomAddressPool(net.ParseIP("2001:db8::1"), 0, 1850)},
	} {
		if _, err := s.configuration(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
