package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Store has the service manager keep a socket, which comes back by that name from
// Sockets of the next process, with what queues in it. It has no effect beyond the
// FileDescriptorStoreMax= of the unit, and without one.
func Store(name string, c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("store socket %s: %w", name, err)
	}
	// FDPOLL=0: an error that waits on a socket, as an ICMP of a client that has
	// gone, would end its keeping.
	var sent error
	if err = raw.Control(func(fd uintptr) { sent = sendWith("FDSTORE=1\nFDPOLL=0\nFDNAME="+name, int(fd)) }); err == nil {
		err = sent
	}
	if err != nil {
		return fmt.Errorf("store socket %s: %w", name, err)
	}
	return nil
}

// barrierTimeout bounds how long Unstore waits for the service manager.
const barrierTimeout = 5 * time.Second

// Unstore ends the keeping of a socket. When it returns nil, the service manager has
// closed its copy.
func Unstore(name string) error {
	if err := send("FDSTOREREMOVE=1\nFDNAME=" + name); err != nil {
		return err
	}
	return barrier()
}

// barrier waits until the service manager has done all that it was told. It closes
// the descriptor that comes with BARRIER=1 then (sd_notify_barrier(3)).
func barrier() error {
	if !Supervised() {
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	err = sendWith("BARRIER=1", int(w.Fd()))
	w.Close()
	if err != nil {
		return err
	}
	if err := r.SetReadDeadline(time.Now().Add(barrierTimeout)); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("notify systemd: no answer for %s", barrierTimeout)
	}
	return nil
}

// sendWith is send, with descriptors.
func sendWith(state string, fds ...int) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	// Package net's WriteMsgUnix is not for datagram sockets that are connected.
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		sent = syscall.Sendmsg(int(fd), []byte(state), syscall.UnixRights(fds...), nil, 0)
		return !errors.Is(sent, syscall.EAGAIN)
	})
	if err = errors.Join(err, sent); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// oneLine makes text fit for an assignment: a line more would be another one.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == 0 }), "; ")
}
