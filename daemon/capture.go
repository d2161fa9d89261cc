package daemon

import (
	"github.com/pixiecore/pixiecore/protocols/capture"
	"net/netip"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// tap has what goes through a listener's socket noted under its machine.
func (d *Daemon) tap(c netio.Conn, whose func([]byte, netip.Addr) (capture.MAC, bool)) netio.Conn {
	return &capture.Tap{Conn: c, Ring: d.packets, Interfaces: d.interfaces, Whose: whose}
}

// owner is the machine whose directory is called so.
func (d *Daemon) owner(dir string) (capture.MAC, bool) {
	token, err := d.tokens.Open(dir)
	return token.MAC, err == nil
}
