package boot

import (
	"net/netip"
	"reflect"
	"testing"
)

func TestFactsAreNamedLikeInTheConfiguration(t *testing.T) {
	var all Fact
	for _, name := range factNames {
		f, err := ParseFact(name)
		if err != nil || f.String() != name || all&f != 0 {
			t.Errorf("%s: got %v (%d), %v", name, f, f, err)
		}
		all |= f
	}
	if all != DHCPFacts|IPXEFacts || DHCPFacts&IPXEFacts != 0 {
		t.Errorf("facts of DHCP %v and of iPXE %v are not all of %v", DHCPFacts, IPXEFacts, all)
	}
	if _, err := ParseFact("hostnmae"); err == nil {
		t.Error("hostnmae is a fact")
	}
}

func TestUnknownIsNotKnownToBeEmpty(t *testing.T) {
	none, noRelay := (*Facts)(nil), &Facts{Known: FactRelay}
	if none.Knows(FactRelay) || !noRelay.Knows(FactRelay) || noRelay.Knows(FactRelay|FactCircuitID) {
		t.Error("Knows")
	}
	if got := noRelay.Unknown(FactRelay | FactCircuitID); got != FactCircuitID {
		t.Errorf("got %v, want circuit_id", got)
	}
}

// Whatever field Facts get: machines that differ in it are not alike.
func TestMachinesAreAlikeButForTheirUUID(t *testing.T) {
	of := reflect.TypeFor[Facts]()
	for i := range of.NumField() {
		var f Facts
		switch p := reflect.ValueOf(&f).Elem().Field(i).Addr().Interface().(type) {
		case *Fact:
			*p = FactRelay
		case *bool:
			*p = true
		case *string:
			*p = "x"
		case *netip.Addr:
			*p = netip.MustParseAddr("192.0.2.1")
		case *[]netip.Prefix:
			*p = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		default:
			t.Fatalf("%s is of a type that is new: %T", of.Field(i).Name, p)
		}
		name := of.Field(i).Name
		if got, want := f.Alike(&Facts{}), name == "UUID"; got != want || !f.Alike(&f) {
			t.Errorf("%s: got %t, want %t", name, got, want)
		}
	}
}

func TestParseUUID(t *testing.T) {
	const want = "4c4c4544-0042-3510-8053-b4c04f463433"
	for _, s := range []string{want, "4C4C4544-0042-3510-8053-B4C04F463433", "4c4c4544004235108053b4c04f463433"} {
		if got, err := ParseUUID(s); got != want || err != nil {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "4c4c4544", want + "0", "4c4c4544_0042_3510_8053_b4c04f463433", "xxxxxxxx-0042-3510-8053-b4c04f463433"} {
		if got, err := ParseUUID(s); err == nil {
			t.Errorf("%q: got %q", s, got)
		}
	}
}
