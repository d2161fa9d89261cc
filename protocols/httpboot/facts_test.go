package httpboot

import (
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
)

// What a machine said in DHCP stands, and what iPXE reports is added to it.
func TestReportedFacts(t *testing.T) {
	const a, b = "4c4c4544-0042-3510-8053-b4c04f463433", "4c4c4544-0042-3510-8053-b4c04f463434"
	heard := func(m *boots.Memory) {
		m.Heard(boots.Request{MAC: [6]byte(mac), Discover: true, Facts: &boot.Facts{Known: boot.FactUUID | boot.FactCircuitID, UUID: a, CircuitID: "sw1/0/7"}}, time.Now())
	}
	type want struct {
		Known, UUID, CircuitID, Serial string
		IPXE                           bool
	}
	for _, tc := range []struct {
		name   string
		heard  func(*boots.Memory)
		token  bool
		report string
		want   want
	}{
		{"nothing", heard, true, "", want{"uuid, circuit_id", a, "sw1/0/7", "", false}},
		{"a serial number", heard, true, "serial=%20X1%0a%1b", want{"uuid, circuit_id, serial", a, "sw1/0/7", "X1", false}},
		{"one that does not print", heard, true, "serial=%1b%07", want{"uuid, circuit_id", a, "sw1/0/7", "", false}},
		{"another UUID", heard, true, "uuid=" + b, want{"uuid, circuit_id", a, "sw1/0/7", "", false}},
		{"without DHCP", nil, true, "uuid=" + b, want{"transport, uuid", b, "", "", false}},
		{"a board without one", nil, true, "uuid=00000000-0000-0000-0000-000000000000", want{"transport", "", "", "", false}},
		{"a board that was given none", nil, true, "uuid=FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", want{"transport", "", "", "", false}},
		{"a UUID that is none", nil, true, "uuid=hello", want{"transport", "", "", "", false}},
		{"sent by another DHCP server", nil, false, "serial=X1", want{"ipxe, serial", "", "", "X1", true}},
		{"under its MAC alone", heard, false, "", want{"uuid, circuit_id", a, "sw1/0/7", "", false}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newServer(t, booter{verdict: byArch})
			if tc.heard != nil {
				tc.heard(s.Tree.Boots)
			}
			before := s.Tree.Boots.Of(mac)
			q := parseQuery("facts=1&platform=efi&buildarch=x86_64&mac=" + url.QueryEscape(mac.String()) + "&" + tc.report)
			if tc.token {
				q.token = s.token(7)
			}
			m, _, err := s.machine(&q, httptest.NewRequest("GET", "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			f := m.Facts
			if diff := cmp.Diff(tc.want, want{f.Known.String(), f.UUID, f.CircuitID, f.Serial, f.IPXE}); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if after := s.Tree.Boots.Of(mac); before != nil && (after != before || after.Known != boot.FactUUID|boot.FactCircuitID) {
				t.Errorf("what is remembered was modified: %+v", after)
			}
		})
	}
}

// What iPXE calls its address is one, or nothing.
func TestTheReportedAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.50": "192.0.2.50", "::ffff:192.0.2.50": "192.0.2.50", "2001:db8::50": "2001:db8::50",
		"fe80::1%x init=/bin/sh": "fe80::1", "0.0.0.0": "", "::": "", "": "", "192.0.2.50/24": "", "192.0.2.50 quiet": "",
	} {
		f := reported(&query{ip: in}, &boot.Facts{})
		got := ""
		if f.Knows(boot.FactIP) {
			got = f.IP.String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
