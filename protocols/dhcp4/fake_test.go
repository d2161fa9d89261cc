package dhcp4

import (
	"context"
	"io"
	"net/netip"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// bound is a Conn that only has an address.
type bound struct {
	netio.Conn
	addr netip.AddrPort
}

func boundTo(addr string) netio.Conn { return bound{addr: netip.MustParseAddrPort(addr)} }

func (b bound) LocalAddr() netip.AddrPort { return b.addr }

// decider answers by MAC, or for all machines under "*".
type decider struct{ by booter }

func (d decider) Decide(_ context.Context, m boot.Machine) (*boot.Verdict, error) {
	v, ok := d.by["*"]
	if !ok {
		v = d.by[m.MAC.String()]
	}
	return &v, nil
}

func (d decider) BootSpec(boot.Machine) (*boot.Spec, error)          { return nil, nil }
func (d decider) ReadBootFile(boot.ID) (io.ReadCloser, int64, error) { return nil, 0, boot.ErrNotFound }
func (d decider) WriteBootFile(boot.ID, io.Reader) error             { return boot.ErrNotFound }
