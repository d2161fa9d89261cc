// Package systemd is the only contact with the service manager.
//
// Without one (no NOTIFY_SOCKET in the environment) every function here does
// nothing and returns nil.
//
// # Decisions
//
// A reload is announced by RELOADING=1 with MONOTONIC_USEC in the same
// datagram, as systemd of 253 and later asks for Type=notify-reload, and is
// ended by READY=1 whether it was applied or refused: else it never ends for
// systemd. STATUS= carries the verdict, which `systemctl status` shows.
package systemd

import (
	"fmt"
	"os"

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

func notify(state, status string) error { return send(state + "\nSTATUS=" + status) }

func send(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
