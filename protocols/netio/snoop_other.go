//go:build !linux

package netio

import (
	"errors"
	"fmt"
	"os"
)

// Snoop is for Linux only: elsewhere it returns errors.ErrUnsupported.
func Snoop(port uint16) (Conn, error) {
	return nil, fmt.Errorf("snoop udp port %d: only Linux can read beside another server (share = true): %w", port, errors.ErrUnsupported)
}

// SnoopFile is for Linux only, like Snoop.
func SnoopFile(_ *os.File, port uint16) (Conn, error) { return Snoop(port) }
