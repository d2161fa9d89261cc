//go:build !linux

package netio

import (
	"errors"
	"fmt"
)

// Snoop is for Linux only: elsewhere it returns errors.ErrUnsupported.
func Snoop(port uint16) (Conn, error) {
	return nil, fmt.Errorf("snoop udp port %d: only Linux can read beside another server (share = true): %w", port, errors.ErrUnsupported)
}
