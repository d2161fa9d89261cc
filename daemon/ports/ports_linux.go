package ports

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Of linux/inet_diag.h.
const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	diagCgroupID     = 21 // INET_DIAG_CGROUP_ID, since Linux 5.7
	diagRequestLen   = 56 // struct inet_diag_req_v2
	diagMessageLen   = 72 // struct inet_diag_msg
	anyState         = 1<<32 - 1
	tcpListen        = 1 << 10 // TCP_LISTEN of linux/tcp_states.h
)

const (
	// maxSockets bounds the sockets of one port that are looked at.
	maxSockets = 64
	// maxCgroups bounds the directories that are looked through for one.
	maxCgroups = 20_000
	// diagTimeout is for an answer of the kernel, in seconds.
	diagTimeout = 2
)

// sockets asks the kernel for the sockets that have the port: sock_diag(7).
func sockets(network string, port uint16) (all []socket, err error) {
	protocol, states := unix.IPPROTO_UDP, uint32(anyState)
	if network == "tcp" {
		protocol, states = unix.IPPROTO_TCP, tcpListen
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: diagTimeout}); err != nil {
		return nil, err
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := unix.Sendto(fd, diagRequest(family, uint8(protocol), states, port), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return nil, err
		}
		of, err := readDiag(fd, port)
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}

// diagRequest is a netlink message with a struct inet_diag_req_v2.
func diagRequest(family, protocol uint8, states uint32, port uint16) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+diagRequestLen)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	r := b[unix.NLMSG_HDRLEN:]
	r[0], r[1] = family, protocol
	binary.NativeEndian.PutUint32(r[4:], states)
	binary.BigEndian.PutUint16(r[8:], port) // of struct inet_diag_sockid: the local one
	return b
}

// readDiag reads one dump to its end.
func readDiag(fd int, port uint16) (all []socket, err error) {
	b := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return nil, err
		}
		msgs, err := syscall.ParseNetlinkMessage(b[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return all, nil
			case unix.NLMSG_ERROR:
				return nil, fmt.Errorf("sock_diag refused: % x", m.Data[:min(len(m.Data), 4)])
			}
			if s, ok := parseDiag(m.Data, port); ok && len(all) < maxSockets {
				all = append(all, s)
			}
		}
	}
}

// parseDiag reads a struct inet_diag_msg and the attributes behind it.
func parseDiag(b []byte, port uint16) (s socket, ok bool) {
	if len(b) < diagMessageLen || binary.BigEndian.Uint16(b[4:]) != port {
		return socket{}, false
	}
	s.uid = binary.NativeEndian.Uint32(b[64:])
	s.inode = binary.NativeEndian.Uint32(b[68:])
	for rest := b[diagMessageLen:]; len(rest) >= unix.SizeofNlAttr; {
		n := int(binary.NativeEndian.Uint16(rest))
		if n < unix.SizeofNlAttr || n > len(rest) {
			break
		}
		if binary.NativeEndian.Uint16(rest[2:]) == diagCgroupID && n == unix.SizeofNlAttr+8 {
			s.cgroup = binary.NativeEndian.Uint64(rest[unix.SizeofNlAttr:])
		}
		rest = rest[min((n+3)&^3, len(rest)):] // aligned to four bytes
	}
	return s, true
}

// cgroups is where the unified hierarchy is mounted, whose IDs sockets have; empty
// where it is not: see cgroups(7).
func cgroups() string {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir
		}
	}
	return ""
}

// unit names a cgroup: the unit of systemd that it is of, else its path. Its ID
// is the number of its directory's inode.
func unit(root string, id uint64) string {
	found, looked := "", 0
	// An error is that of a directory which may not be read, or went: it is not the one.
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if looked++; looked > maxCgroups {
			return fs.SkipAll
		}
		if err != nil || !d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Ino == id {
				found = path
				return fs.SkipAll
			}
		}
		return nil
	})
	rel, err := filepath.Rel(root, found)
	if found == "" || err != nil || rel == "." {
		return ""
	}
	// What is below a unit are groups that it has made itself.
	for _, name := range strings.Split(rel, "/") {
		if strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".scope") {
			return name
		}
	}
	return "cgroup /" + rel
}
