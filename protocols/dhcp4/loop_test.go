package dhcp4

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// A program is one that a machine runs and that asks by DHCP: what it announces, and
// whether it can load by HTTP, which need not be the same.
type program struct {
	profile pxeclient.Profile
	change  []func(*dhcpv4.DHCPv4)
}

// anyProgram is a firmware's own PXE, or an iPXE of any year with anything that such a
// build may announce. The version is what it likes (1.21.1 says 1.0.0).
func anyProgram(t *testing.T, r *rand.Rand, ipxe bool) program {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	if !ipxe && r.IntN(2) == 0 {
		return program{profile: profile(t, pick("bios", "efi-x64", "efi-x64-ipxe-rom"))}
	}
	p := program{profile: profile(t, pick("bios-ipxe-rom", "undionly", "ipxe-x64", "ipxe-x64-2019", "ipxe-x64-2.0", "ipxe-no-http"))}
	features := []byte{177, 5, 1, 0x80, 0x86, 0x10, 0x0e}
	for _, f := range []byte{16, 17, 19, 20, 21, 23, 24, 25, 33, 34, 36, 38, 39, 41} {
		if r.IntN(2) == 0 {
			features = append(features, f, 1, 1)
		}
	}
	features = append(features, 235, 3, byte(r.IntN(3)), byte(r.IntN(30)), byte(r.IntN(3)))
	// Every iPXE sends option 175; one that a network strips it from is known by its
	// class. What has neither is no iPXE that anybody could tell.
	if r.IntN(8) == 0 {
		p.change = append(p.change, option(175, nil), option(77, [][]byte{[]byte("iPXE"), []byte("\x04iPXE"), []byte("pixiecore")}[r.IntN(3)]))
	} else {
		p.change = append(p.change, option(175, features[:len(features)-r.IntN(2)*r.IntN(len(features))])) // it may break off
		classes := [][]byte{[]byte("iPXE"), []byte("\x04iPXE"), nil, []byte("pixiecore"), []byte("x"), []byte("\x09pixiecore\x04iPXE")}
		if n := r.IntN(2 * len(classes)); n < len(classes) {
			p.change = append(p.change, option(77, classes[n]))
		}
	}
	if r.IntN(3) == 0 {
		p.change = append(p.change, option(60, []byte("PXEClient")))
	}
	return p
}

// Whatever the programs of a machine announce, a boot comes to its script or to a
// sentence after two programs of ours at the most; and no machine is given a loader
// for the same iPXE twice in five minutes.
func TestNoLoopEver(t *testing.T) {
	const (
		machines = 3000
		bootsOf  = 4
		steps    = 12 // far more than a boot has
	)
	lo := loopback(t)
	b := booter{"*": {Action: boot.Boot, Spec: &boot.Spec{Kernel: "k"}, Rule: "all"}}
	for seed := range uint64(machines) {
		r := rand.New(rand.NewPCG(seed, 7))
		s := server(t, ProxyDHCP, b)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		s.Clock = func() time.Time { return now }
		rom, ours := anyProgram(t, r, false), anyProgram(t, r, true)
		var said []string
		var chained []time.Time // when a loader was given in place of an iPXE
		for range bootsOf {
			loaders := 0
			var ended error
			asks, running := rom, "rom"
			for step := range steps {
				if step == steps-1 {
					t.Fatalf("machine %d: a loop\n%s", seed, strings.Join(said, "\n"))
				}
				xid := [4]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(step)}
				var a answer
				var err error
				for range 1 + r.IntN(3) { // it repeats itself where no answer comes to it
					d := asks.profile.Discover(mac, xid, uuid)
					for _, f := range asks.change {
						f(d)
					}
					a, err = s.handle(t.Context(), netio.Datagram{Data: d.ToBytes(), Interface: lo, Peer: netip.MustParseAddrPort("0.0.0.0:68")})
					if err != nil {
						break
					}
					now = now.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
				}
				what := fmt.Sprint(err)
				if err == nil {
					what = a.offering.String()
				}
				said = append(said, fmt.Sprintf("%s %s (%s): %s", now.Format(time.TimeOnly), running, a.client.Stage, what))
				if a.offering.Kind == strategy.Script {
					chained = nil // it is no loop, then: a restart begins anew
				}
				ended = err
				if err != nil || a.offering.Kind == strategy.Script || a.offering.Kind == strategy.Screen {
					break
				}
				if a.client.Stage == strategy.IPXEWithoutHTTP {
					chained = append(chained, now)
				}
				loaders++
				asks, running = ours, "our loader"
				now = now.Add(time.Duration(r.IntN(8000)) * time.Millisecond)
			}
			if err := ended; err != nil {
				t.Errorf("machine %d: no answer, not even a screen: %v\n%s", seed, err, strings.Join(said, "\n"))
			}
			if loaders > 2 {
				t.Errorf("machine %d: %d loaders in one boot\n%s", seed, loaders, strings.Join(said, "\n"))
			}
			now = now.Add(time.Duration(r.IntN(600)) * time.Second)
		}
		for i := 1; i < len(chained); i++ {
			if gap := chained[i].Sub(chained[i-1]); gap < ChainEvery-chainGrace {
				t.Errorf("machine %d: two loaders in place of an iPXE within %s\n%s", seed, gap, strings.Join(said, "\n"))
			}
		}
	}
}
