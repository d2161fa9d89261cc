// Package systemd is the only contact with the service manager.
//
// Without one (no NOTIFY_SOCKET, LISTEN_FDS or JOURNAL_STREAM in the environment)
// every function here does nothing and returns nil.
//
//	the unit's sockets ─▶ Sockets ─▶ the daemon ─┬▶ Ready, Reloading, Alive, Stopping ─▶ systemctl status
//	                         ▲            │      ╰▶ NewJournal ─▶ journalctl MAC=52:54:00:00:00:01
//	                         ╰── kept ◀── Store            (the daemon's own sockets)
//
// # Decisions
//
// The daemon's own sockets are stored from the moment that they are served, not
// when it stops, since a process that is killed cannot store anything. What is kept
// is removed by name, so each has one of its own.
//
// A reload is announced by RELOADING=1 with MONOTONIC_USEC in the same
// datagram, as systemd of 253 and later asks for Type=notify-reload, and is
// ended by READY=1 whether it was applied or refused: else it never ends for
// systemd. STATUS= carries the verdict, which `systemctl status` shows.
//
// The units are in units/, and a test holds them to the kinds of listeners. A
// reload is a command of theirs that waits for the verdict (ExecReload=), not a
// signal, with which it could not fail.
package systemd

import (
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Supervised reports whether a service manager wants to be told how the daemon
// is, rather than a person at a terminal.
func Supervised() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// Ready says that the daemon serves, or that a reload has ended. status is one
// line for `systemctl status`.
func Ready(status string) error { return notify(daemon.SdNotifyReady, status) }

// Reloading says that a reload has begun. Ready must follow.
func Reloading() error {
	return send(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that a clean stop has begun.
func Stopping() error { return notify(daemon.SdNotifyStopping, "finishing transfers") }

// Watchdog is how often Alive must be said, or the service manager kills this
// process; 0: it does not mind (WatchdogSec= of the unit).
func Watchdog() time.Duration {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0 // systemd writes numbers only
	}
	return every
}

// Alive feeds the watchdog.
func Alive() error { return send(daemon.SdNotifyWatchdog) }

// Extend asks for so much more time from now for a start, a reload or a stop that
// is under way.
func Extend(by time.Duration) error {
	return send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", by.Microseconds()))
}

func notify(state, status string) error { return send(state + "\nSTATUS=" + oneLine(status)) }

func send(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
