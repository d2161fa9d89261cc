//go:build e2e

package e2e

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"golang.org/x/sys/unix"
)

var record = flag.Bool("record", false, "write what each firmware asks by DHCP into the folders of protocols/dhcp4 and dhcp6, where it is not there yet")

// recordings is where the packet tests of a package look for requests.
func recordings(pkg string) string { return filepath.Join("../protocols", pkg, "testdata/requests") }

// writeRequests writes the first of each kind of request that a machine sent to boot:
// what its firmware multicasts, what it asks a boot server on port 4011, and what the
// iPXE behind it asks. What comes of each is for whoever adds it to say, in the line
// that the test over there asks for.
func (r *running) writeRequests(t *testing.T, m machine) {
	t.Helper()
	for _, f := range r.from(m.mac) {
		protocol, _, dst, l4 := f.ip()
		if protocol != unix.IPPROTO_UDP || len(l4) < 8 {
			continue
		}
		port, kind, ipxe := binary.BigEndian.Uint16(l4[2:]), "", false
		folder := recordings("dhcp4")
		switch {
		case dst.Is4() && (port == 67 || port == 4011):
			request, err := dhcpv4.FromBytes(l4[8:])
			if err != nil {
				t.Fatal(err)
			}
			if kind = "discover"; port == 4011 {
				kind = "4011"
			} else if request.MessageType() != dhcpv4.MessageTypeDiscover {
				continue // the lease, which is the other server's
			}
			ipxe = request.Options.Has(dhcpv4.GenericOptionCode(175)) // its own
		case dst.Is6() && port == 547:
			request, err := dhcpv6.MessageFromBytes(l4[8:])
			if err != nil {
				t.Fatal(err)
			}
			if request.MessageType != dhcpv6.MessageTypeSolicit || request.GetOneOption(dhcpv6.OptionClientArchType) == nil {
				continue
			}
			kind, folder, ipxe = "solicit", recordings("dhcp6"), request.GetOneOption(dhcpv6.OptionUserClass) != nil
		default:
			continue
		}
		who := m.machine
		switch {
		case ipxe && strings.Contains(m.given, "2025"):
			who = string(m.platform) + ", iPXE of 2025"
		case ipxe:
			who = string(m.platform) + ", iPXE of 2019"
		case m.plain:
			continue // which only looks as if it were what it says
		}
		writeRequest(t, filepath.Join(folder, slug(who)+"."+kind+".hex"), fmt.Sprintf("%s, to port %d", who, port), l4[8:])
	}
}

// writeRequest makes the file of a request, if there is none.
func writeRequest(t *testing.T, path, what string, request []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(file, "# %s.\n# Recorded in QEMU, with firmware of Debian.\n", what)
	for digits := range slices.Chunk([]byte(hex.EncodeToString(request)), 64) {
		fmt.Fprintf(file, "%s\n", digits)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

var noName = regexp.MustCompile(`[^a-z0-9]+`)

// slug is a text as the name of a file.
func slug(s string) string {
	return strings.Trim(noName.ReplaceAllString(strings.ToLower(s), "-"), "-")
}
