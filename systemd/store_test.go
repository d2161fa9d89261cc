package systemd

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A manager is the other end of NOTIFY_SOCKET.
type manager struct{ *net.UnixConn }

func newManager(t *testing.T) manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return manager{l}
}

// next is a message, with the descriptor that came with it, if any.
func (m manager) next(t *testing.T) (string, *os.File) {
	t.Helper()
	b, oob := make([]byte, 4096), make([]byte, 256)
	if err := m.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, k, _, _, err := m.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	if k == 0 {
		return string(b[:n]), nil
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:k])
	if err != nil {
		t.Fatal(err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%d descriptors, %v", len(fds), err)
	}
	return string(b[:n]), os.NewFile(uintptr(fds[0]), "received")
}

func TestASocketIsStoredAndComesBack(t *testing.T) {
	m := newManager(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Store("own-http-1", l.(*net.TCPListener)); err != nil {
		t.Fatal(err)
	}
	msg, f := m.next(t)
	if want := "FDSTORE=1\nFDPOLL=0\nFDNAME=own-http-1"; msg != want || f == nil {
		t.Fatalf("got %q with %v, want %q with a socket", msg, f, want)
	}
	defer f.Close()
	l.Close()
	again, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Addr().String() != l.Addr().String() {
		t.Errorf("came back as %s, was %s", again.Addr(), l.Addr())
	}
}

// Unstore returns when the manager has closed what it was told to.
func TestUnstoreWaitsForTheManager(t *testing.T) {
	m := newManager(t)
	done := make(chan error)
	go func() { done <- Unstore("own-http-1") }()
	if msg, _ := m.next(t); msg != "FDSTOREREMOVE=1\nFDNAME=own-http-1" {
		t.Errorf("got %q", msg)
	}
	msg, f := m.next(t)
	if msg != "BARRIER=1" || f == nil {
		t.Fatalf("got %q with %v", msg, f)
	}
	select {
	case err := <-done:
		t.Errorf("has not waited: %v", err)
	default:
	}
	f.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestSockets runs itself as the process to which sockets are passed.
func TestSockets(t *testing.T) {
	if os.Getenv("SOCKETS_CHILD") == "1" {
		// LISTEN_PID is only known here: as systemd sets it between fork and exec.
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		for _, f := range Sockets() {
			flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFD, 0)
			if flags&syscall.FD_CLOEXEC == 0 {
				os.Stdout.WriteString("not closed on exec: ")
			}
			os.Stdout.WriteString(f.Name() + "\n")
		}
		if len(Sockets()) != 0 || os.Getenv("LISTEN_FDS") != "" {
			os.Stdout.WriteString("twice\n")
		}
		os.Exit(0)
	}
	var files []*os.File
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		files = append(files, r)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSockets$")
	cmd.Env = append(os.Environ(), "SOCKETS_CHILD=1", "LISTEN_FDS=3", "LISTEN_FDNAMES=pixiecore-tftp:pixiecore-http:own-pxe-7")
	cmd.ExtraFiles = files
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	want := []string{"own-pxe-7", "pixiecore-http", "pixiecore-tftp"}
	if got := strings.Fields(string(b)); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
