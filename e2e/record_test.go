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
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

var record = flag.Bool("record", false, "write what each firmware asks by DHCP into the folder of protocols/dhcp4, where it is not there yet")

// recordings is where packet tests of package dhcp4 look for requests.
const recordings = "../protocols/dhcp4/testdata/requests"

// writeRequests writes the first of each kind of request that a machine sent, over
// IPv4 and to boot: what its firmware multicasts, what it asks a boot server on port
// 4011, and what the iPXE behind it asks. What comes of each is for whoever adds it to
// say, in the line that the test over there asks for.
func (r *running) writeRequests(t *testing.T, m machine) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range r.from(m.mac) {
		protocol, _, dst, l4 := f.ip()
		if protocol != unix.IPPROTO_UDP || !dst.Is4() || len(l4) < 8 {
			continue
		}
		port := binary.BigEndian.Uint16(l4[2:])
		request, err := dhcpv4.FromBytes(l4[8:])
		if err != nil || port != 67 && port != 4011 {
			continue
		}
		kind := ""
		switch {
		case port == 4011:
			kind = "4011"
		case request.MessageType() == dhcpv4.MessageTypeDiscover:
			kind = "discover"
		default:
			continue // the lease, which is the other server's
		}
		who := m.machine
		if request.Options.Has(dhcpv4.GenericOptionCode(175)) { // iPXE's own option
			if who = "iPXE of 2019"; strings.Contains(m.given, "2025") {
				who = "iPXE of 2025"
			}
			who = string(m.platform) + ", " + who
		} else if m.plain {
			continue // which only looks as if it were what it says
		}
		name := slug(who) + "." + kind
		if seen[name] {
			continue
		}
		seen[name] = true
		path := filepath.Join(recordings, name+".hex")
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(file, "# %s, to port %d.\n# Recorded in QEMU, with firmware of Debian.\n", who, port)
		for digits := hex.EncodeToString(l4[8:]); digits != ""; {
			n := min(64, len(digits))
			fmt.Fprintln(file, digits[:n])
			digits = digits[n:]
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

var noName = regexp.MustCompile(`[^a-z0-9]+`)

// slug is a text as the name of a file.
func slug(s string) string {
	return strings.Trim(noName.ReplaceAllString(strings.ToLower(s), "-"), "-")
}
