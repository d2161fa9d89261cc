package dhcp4

import (
	"context"
	"io"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// decider answers by MAC, or for all machines under "*".
type decider struct{ by booter }

func (d decider) Decide(_ context.Context, m boot.Machine) (boot.Verdict, error) {
	if v, ok := d.by["*"]; ok {
		return v, nil
	}
	return d.by[m.MAC.String()], nil
}

func (d decider) BootSpec(boot.Machine) (*boot.Spec, error)          { return nil, nil }
func (d decider) ReadBootFile(boot.ID) (io.ReadCloser, int64, error) { return nil, 0, boot.ErrNotFound }
func (d decider) WriteBootFile(boot.ID, io.Reader) error             { return boot.ErrNotFound }
