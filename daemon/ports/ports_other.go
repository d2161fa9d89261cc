//go:build !linux

package ports

import "errors"

func sockets(string, uint16) ([]socket, error) { return nil, errors.ErrUnsupported }

func cgroups() string { return "" }

func unit(string, uint64) string { return "" }
