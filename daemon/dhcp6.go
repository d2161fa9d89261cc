package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pixiecore/pixiecore/protocols/dhcp6"
	"github.com/pixiecore/pixiecore/protocols/leases"
)

// duidFile is the name, in the state directory, of the DHCPv6 server's identifier.
const duidFile = "dhcp6.duid"

// dhcp6State is what all DHCPv6 listeners have in common, and outlives them.
type dhcp6State struct {
	duid   []byte
	leases *leases.Leases
}

// forDHCP6 makes the identifier and reads the leases when the first listener needs
// them.
func (d *Daemon) forDHCP6() (_ *dhcp6State, err error) {
	if d.dhcp6.leases == nil {
		if d.dhcp6.duid, err = loadDUID(d.opts.StateDir); err != nil {
			return nil, err
		}
		d.dhcp6.leases = d.leases("dhcp6 leases")
	}
	return &d.dhcp6, nil
}

// loadDUID reads the server's identifier, by which clients know it again, or makes
// one: of a random UUID (RFC 6355), since a MAC address can move to another host.
// Without a directory it dies with the process.
func loadDUID(dir string) ([]byte, error) {
	const head, length = "\x00\x04", 2 + 16
	path := filepath.Join(dir, duidFile)
	if dir != "" {
		duid, err := os.ReadFile(path)
		switch {
		case err == nil && len(duid) == length && string(duid[:2]) == head:
			return duid, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("the DHCPv6 server's identifier: %w", err)
		}
	}
	uuid := make([]byte, 16)
	rand.Read(uuid)               // never fails
	uuid[6] = uuid[6]&0x0f | 4<<4 // RFC 9562 §5.4: version 4
	uuid[8] = uuid[8]&0x3f | 2<<6 // and its variant
	duid := append([]byte(head), uuid...)
	if dir == "" {
		return duid, nil
	}
	if err := replaceFile(path, duid); err != nil {
		return nil, fmt.Errorf("the DHCPv6 server's identifier: %w", err)
	}
	return duid, nil
}

// dhcp6 is what a DHCPv6 server does with a request by the current settings.
func (l *listener) dhcp6() dhcp6.Settings {
	s := l.settings.Load()
	v := s.DHCP6
	return dhcp6.Settings{
		Only: s.Interfaces, Advertise: s.Advertise, TFTP: s.tftp, Web: s.web, Plain: s.plain,
		Pool:       leases.Pool{Start: v.Pool.Start, Size: v.Pool.Size, Lifetime: v.Pool.Lifetime},
		Preference: v.Preference, DNS: v.DNS, Preferred: v.Preferred, URL: v.URL,
		Reserver: dhcp6.Reserver{Reserve: v.Reserve, Release: v.Release},
	}
}
