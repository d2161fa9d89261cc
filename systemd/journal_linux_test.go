package systemd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// newTestJournal is a logger to a journal that the test is, and what it falls back to.
func newTestJournal(t *testing.T) (*zap.Logger, manager, *bytes.Buffer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var lines bytes.Buffer
	j, err := newJournal(zap.InfoLevel, path, &lines)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.conn.Close() })
	return zap.New(j), manager{l}, &lines
}

func TestJournal(t *testing.T) {
	log, journal, _ := newTestJournal(t)
	log = log.Named("dhcp").With(zap.String("mac", "52:54:00:00:00:01"), zap.Uint64("gen", 7))
	log.Debug("not written")
	log.Warn("offer not sent", zap.String("rule", "a b"), zap.String("2nd-name", ""), zap.Error(errors.New("one\ntwo")),
		zap.Duration("took", 1500*time.Millisecond), zap.String("message", "\x1b[2J"))
	got, _ := journal.next(t)
	want := strings.Join([]string{
		`MESSAGE=offer not sent mac=52:54:00:00:00:01 gen=7 rule="a b" 2nd-name="" error="one\ntwo" took=1.5s message="\x1b[2J"`,
		"PRIORITY=4",
		"SYSLOG_IDENTIFIER=pixiecore",
		"LOGGER=dhcp",
		"MAC=52:54:00:00:00:01",
		"GENERATION=7",
		"RULE=a b",
		"ND_NAME=",
		"ERROR\n\x07\x00\x00\x00\x00\x00\x00\x00one\ntwo",
		"TOOK=1.5s",
		"FIELD_MESSAGE=\x1b[2J",
		"",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What is too large for a datagram comes as a file, which nobody can change.
func TestALargeEntry(t *testing.T) {
	log, journal, _ := newTestJournal(t)
	large := strings.Repeat("x", 8<<20)
	log.Info("large", zap.String("file", large))
	msg, f := journal.next(t)
	if msg != "" || f == nil {
		t.Fatalf("got %d bytes and %v, want a file", len(msg), f)
	}
	defer f.Close()
	if seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&unix.F_SEAL_WRITE == 0 {
		t.Errorf("seals %x, %v", seals, err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 32<<20))
	if err != nil || !strings.HasSuffix(string(b), "\nFILE="+large+"\n") {
		t.Errorf("%d bytes, or others: %v", len(b), err)
	}
}

// Without a journal nothing is lost: the line goes to standard error, with its
// priority.
func TestAJournalThatIsGone(t *testing.T) {
	log, journal, lines := newTestJournal(t)
	journal.Close()
	log.Error("listener hangs", zap.String("listener", "tftp [::]:69"))
	if got, want := lines.String(), "<3>listener hangs listener=\"tftp [::]:69\"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLeadsToJournal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	own := strconv.FormatUint(uint64(st.Dev), 10) + ":" + strconv.FormatUint(st.Ino, 10)
	for stream, want := range map[string]bool{own: true, own + "0": false, "": false, "x": false, "1": false} {
		if got := leadsToJournal(f, stream); got != want {
			t.Errorf("%q: %v", stream, got)
		}
	}
}

func FuzzFieldName(f *testing.F) {
	for _, s := range []string{"mac", "", "_x", "9", "größe", "message", strings.Repeat("a", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name := fieldName(key)
		if name == "" || len(name) > maxFieldName+len("FIELD_") || name[0] < 'A' || name[0] > 'Z' || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			t.Errorf("%q became %q", key, name)
		}
	})
}
