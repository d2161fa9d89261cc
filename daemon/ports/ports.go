// Package ports says who has a port of this host, for whoever could not open it.
//
//	port ─▶ sock_diag(7) ─▶ inode, uid, cgroup ─┬─▶ /proc/PID/fd   "dnsmasq (pid 812)", where that may be read
//	                                            └─▶ /sys/fs/cgroup "dnsmasq.service (user dnsmasq)", else
//
// # Decisions
//
// The kernel is asked for the socket, not /proc/net: a hardened service does not
// see that (ProcSubset=pid of systemd.exec(5)), nor other users' processes
// (ProtectProc=invisible). What it always sees is the uid, and the cgroup, in
// which systemd names the unit.
//
// It is asked when something is wrong already, so it takes its time within
// bounds, and nobody is told of its own errors: the answer is then that nobody
// knows.
package ports

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// A Holder is whoever has a port.
type Holder struct {
	Process string // the name of the program; empty where it may not be seen
	PID     int
	UID     int    // of the socket
	Unit    string // of systemd, "dnsmasq.service"; else the cgroup; empty where it is not known
}

// String is "dnsmasq (pid 812, dnsmasq.service)", or as much of that as is
// known: "dnsmasq.service (user dnsmasq)", "user 113".
func (h Holder) String() string {
	if h.Process != "" {
		more := ""
		if h.Unit != "" {
			more = ", " + h.Unit
		}
		return fmt.Sprintf("%s (pid %d%s)", h.Process, h.PID, more)
	}
	who := fmt.Sprintf("user %d", h.UID)
	if u, err := user.LookupId(strconv.Itoa(h.UID)); err == nil {
		who = "user " + u.Username
	}
	if h.Unit != "" {
		return fmt.Sprintf("%s (%s)", h.Unit, who)
	}
	return who
}

// A socket is what the kernel says of one that has the port.
type socket struct {
	inode  uint32
	uid    uint32
	cgroup uint64 // its ID; 0: not known
}

// Find says who has a local port of the network, "tcp" (listening) or "udp". It
// is false where nobody has, or this system does not tell.
func Find(network string, port uint16) (Holder, bool) { return FindOther(network, port, 0) }

// FindOther is Find, but for the socket of an inode, beside which another may have
// the port, since both allow it.
func FindOther(network string, port uint16, inode uint64) (Holder, bool) {
	all, err := sockets(network, port)
	if err != nil {
		return Holder{}, false
	}
	for _, s := range all {
		if uint64(s.inode) != inode {
			return holder(s, "/proc", cgroups()), true
		}
	}
	return Holder{}, false
}

// holder looks a socket up below the mount points of proc(5) and cgroups(7).
func holder(s socket, proc, cgroups string) Holder {
	h := Holder{UID: int(s.uid)}
	if s.cgroup != 0 && cgroups != "" {
		h.Unit = unit(cgroups, s.cgroup)
	}
	want := fmt.Sprintf("socket:[%d]", s.inode)
	fds, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*")) // its only error is a bad pattern
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == want {
			dir := filepath.Dir(filepath.Dir(fd))
			name, _ := os.ReadFile(filepath.Join(dir, "comm"))
			h.Process = strings.TrimSpace(string(name))
			h.PID, _ = strconv.Atoi(filepath.Base(dir))
			break
		}
	}
	return h
}
