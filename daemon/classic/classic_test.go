package classic_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/daemon/classic"
)

func TestLinesOfABootAreTheOriginals(t *testing.T) {
	var got []string
	log := classic.New(func(subsystem, msg string) { got = append(got, subsystem+": "+msg) }, nil)
	log.Named("dhcp").Info("offer sent", zap.String("mac", "52:54:00:00:00:01"), zap.Uint64("gen", 1))
	log.Named("pxe").Info("boot server answer sent", zap.String("mac", "52:54:00:00:00:01"), zap.String("file", "a/0"))
	log.Named("tftp").Info("file sent", zap.String("client", "192.0.2.50:2070"), zap.String("file", "a/0"))
	log.Named("http").With(zap.String("mac", "x")).Info("script sent", zap.String("peer", "192.0.2.50:49152"))
	log.Named("http").Info("file sent", zap.String("peer", "192.0.2.50:49153"), zap.String("type", "kernel"))
	log.Named("http").Info("machine boots", zap.String("mac", "52:54:00:00:00:01"), zap.String("rule", "lab"))
	log.Named("dhcp6").Info("answer sent", zap.String("url", "tftp://[::1]/x"))
	log.Warn("loader missing", zap.Error(errors.New("no \"file\"")), zap.Duration("after", 2*time.Second), zap.String("why", ""))
	log.Named("http").Debug("not asked for")
	want := []string{
		"DHCP: Offering to boot 52:54:00:00:00:01",
		"PXE: Sent PXE configuration to 52:54:00:00:00:01",
		`TFTP: Sent "a/0" to 192.0.2.50:2070`,
		"HTTP: Sending ipxe boot script to 192.0.2.50:49152",
		`HTTP: Sent file "kernel" to 192.0.2.50:49153`,
		"HTTP: Booting into OS: 52:54:00:00:00:01",
		"dhcpv6: answer sent url=tftp://[::1]/x",
		`Init: loader missing error="no \"file\"" after=2s why=""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDebugHasASinkOfItsOwn(t *testing.T) {
	var got []string
	sink := func(subsystem, msg string) { got = append(got, subsystem+": "+msg) }
	log := classic.New(nil, sink)
	log.Info("dropped")
	log.Named("http").Debug("script not served", zap.String("peer", "two\nlines"))
	log.Named("tftp").Debug("request refused", zap.String("file", "\u009b2J"), zap.String("client", "\x9b2J"), zap.String("iface", "\u202eoof"))
	if diff := cmp.Diff([]string{`HTTP: script not served peer="two\nlines"`, `TFTP: request refused file="\u009b2J" client="\x9b2J" iface="\u202eoof"`}, got); diff != "" {
		t.Error(diff)
	}
	classic.New(nil, nil).Error("nobody hears it") // and nothing happens
}
