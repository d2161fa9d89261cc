package systemd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
)

const (
	journalSocket = "/run/systemd/journal/socket"
	// journalTimeout bounds how long an entry waits for the journal.
	journalTimeout = time.Second
)

// A Journal is a zapcore.Core that writes to the journal, each field of an entry as
// one of the journal's: `journalctl MAC=52:54:00:00:00:01`. An entry that the journal
// does not take goes to standard error, as a line.
type Journal struct {
	zapcore.LevelEnabler
	conn   *net.UnixConn
	to     *net.UnixAddr
	lines  io.Writer
	fields []zapcore.Field
}

// NewJournal is the journal if standard error leads to it (JOURNAL_STREAM, see
// systemd.exec(5)), else nil.
func NewJournal(level zapcore.LevelEnabler) zapcore.Core {
	if !leadsToJournal(os.Stderr, os.Getenv("JOURNAL_STREAM")) {
		return nil
	}
	j, err := newJournal(level, journalSocket, os.Stderr)
	if err != nil {
		return nil // standard error does it
	}
	return j
}

// leadsToJournal reports whether f is the stream, which is its device and inode.
func leadsToJournal(f *os.File, stream string) bool {
	var device, inode uint64
	if _, err := fmt.Sscanf(stream, "%d:%d", &device, &inode); err != nil {
		return false
	}
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return err == nil && uint64(st.Dev) == device && st.Ino == inode
}

func newJournal(level zapcore.LevelEnabler, path string, lines io.Writer) (*Journal, error) {
	// Not connected, so that a journal that is restarted is found again.
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"}) // autobind, unix(7)
	if err != nil {
		return nil, err
	}
	return &Journal{LevelEnabler: level, conn: conn, to: &net.UnixAddr{Name: path, Net: "unixgram"}, lines: lines}, nil
}

// With implements zapcore.Core.
func (j *Journal) With(fields []zapcore.Field) zapcore.Core {
	more := *j
	more.fields = slices.Concat(j.fields, fields)
	return &more
}

// Check implements zapcore.Core.
func (j *Journal) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if j.Enabled(e.Level) {
		return to.AddCore(e, j)
	}
	return to
}

// Write implements zapcore.Core.
func (j *Journal) Write(e zapcore.Entry, fields []zapcore.Field) error {
	all := values(slices.Concat(j.fields, fields))
	if j.send(nativeEntry(e, all)) == nil {
		return nil
	}
	// sd-daemon(3): the journal reads the priority of a line from its beginning.
	_, err := fmt.Fprintf(j.lines, "<%d>%s\n", priority(e.Level), message(e, all))
	return err
}

// Sync implements zapcore.Core.
func (j *Journal) Sync() error { return nil }

// send sends an entry, one that is too large for a datagram as a sealed file.
func (j *Journal) send(entry []byte) error {
	if err := j.conn.SetWriteDeadline(time.Now().Add(journalTimeout)); err != nil {
		return err
	}
	_, _, err := j.conn.WriteMsgUnix(entry, nil, j.to)
	if !errors.Is(err, unix.EMSGSIZE) && !errors.Is(err, unix.ENOBUFS) {
		return err
	}
	fd, err := unix.MemfdCreate("pixiecore-journal", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "pixiecore-journal")
	defer f.Close()
	if _, err := f.Write(entry); err != nil {
		return err
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	_, _, err = j.conn.WriteMsgUnix(nil, unix.UnixRights(int(f.Fd())), j.to)
	return err
}
