package ports

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// Where other users' processes cannot be seen, the cgroup tells the unit.
func TestTheUnitIsTheCgroupsOwn(t *testing.T) {
	root, proc := t.TempDir(), t.TempDir()
	inode := func(elem ...string) uint64 {
		t.Helper()
		dir := filepath.Join(append([]string{root}, elem...)...)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return inodeOf(t, dir)
	}
	for _, tc := range []struct {
		id   uint64
		want string
	}{
		{inode("system.slice", "dnsmasq.service"), "dnsmasq.service"},
		{inode("system.slice", "dnsmasq.service", "own", "group"), "dnsmasq.service"},
		{inode("docker", "0123"), "cgroup /docker/0123"},
		{inode(), ""},
		{1, ""},
	} {
		if got := holder(socket{inode: 1, cgroup: tc.id}, proc, root).Unit; got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	pid := filepath.Join(proc, "812")
	if err := os.MkdirAll(filepath.Join(pid, "fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pid, "comm"), []byte("dnsmasq\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[77]", filepath.Join(pid, "fd", "3")); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(holder(socket{inode: 77}, proc, root)), "dnsmasq (pid 812)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := fmt.Sprint(holder(socket{inode: 78}, proc, root)); !strings.HasPrefix(got, "user ") {
		t.Errorf("another socket: got %q", got)
	}
}

// What the kernel sends is read within its bounds.
func FuzzParseDiag(f *testing.F) {
	b := make([]byte, diagMessageLen+12)
	binary.BigEndian.PutUint16(b[4:], 67)
	binary.NativeEndian.PutUint32(b[64:], 113)
	binary.NativeEndian.PutUint32(b[68:], 77)
	binary.NativeEndian.PutUint16(b[72:], 12)
	binary.NativeEndian.PutUint16(b[74:], diagCgroupID)
	binary.NativeEndian.PutUint64(b[76:], 4711)
	if s, ok := parseDiag(b, 67); !ok || s != (socket{inode: 77, uid: 113, cgroup: 4711}) {
		f.Errorf("got %+v, %t", s, ok)
	}
	f.Add(b)
	f.Add(b[:diagMessageLen+3])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) { parseDiag(b, 67) })
}
