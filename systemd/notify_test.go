package systemd

import (
	"net"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestNotifications(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	for _, tc := range []struct {
		name string
		send func() error
		want string
	}{
		{"ready", func() error { return Ready("generation 1: rules 3") }, `^READY=1\nSTATUS=generation 1: rules 3$`},
		// One datagram: systemd ignores RELOADING without its time.
		{"reloading", Reloading, `^RELOADING=1\nMONOTONIC_USEC=\d+\n?$`},
		{"a refusal of several lines", func() error { return Ready("one\ntwo\nFDSTOREREMOVE=1\r\n") }, `^READY=1\nSTATUS=one; two; FDSTOREREMOVE=1$`},
		{"watchdog", Alive, `^WATCHDOG=1$`},
		{"more time", func() error { return Extend(2 * time.Second) }, `^EXTEND_TIMEOUT_USEC=2000000$`},
		{"stopping", Stopping, `^STOPPING=1\nSTATUS=.+$`},
	} {
		if err := tc.send(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		l.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 1024)
		n, err := l.Read(b)
		if err != nil || !regexp.MustCompile(tc.want).Match(b[:n]) {
			t.Errorf("%s: got %q, %v; want %s", tc.name, b[:n], err, tc.want)
		}
	}
}

func TestWithoutAServiceManagerNothingIsSent(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	for _, send := range []func() error{func() error { return Ready("") }, Reloading, Stopping, Alive, func() error { return Unstore("a") }} {
		if err := send(); err != nil {
			t.Error(err)
		}
	}
}
