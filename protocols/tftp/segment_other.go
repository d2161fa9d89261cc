//go:build !linux

package tftp

import (
	"errors"
	"net"
)

// segment is for Linux only.
func segment(*net.UDPConn, int) error { return errors.ErrUnsupported }

func refusesSegments(error) (refused, byInterface bool) { return false, false }
