package netio

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// A changes tells that an interface or an address of its network namespace has changed.
type changes struct{ *os.File }

// subscribe opens one in the network namespace that the caller is in.
func subscribe() (changes, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return changes{}, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "rtnetlink") // it does not block, so a deadline ends a read
	err = unix.Bind(fd, &unix.SockaddrNetlink{
		Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR,
	})
	if err != nil {
		f.Close()
		return changes{}, os.NewSyscallError("bind", err)
	}
	return changes{f}, nil
}

// wait returns nil when there was a change. Which one is not looked at: a message may
// be cut short or lost (netlink(7): ENOBUFS says so), and the table is read as a whole.
func (c changes) wait() error {
	var message [4096]byte
	_, err := c.Read(message[:])
	if errors.Is(err, unix.ENOBUFS) {
		return nil
	}
	return err
}
