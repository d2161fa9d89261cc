package httpboot

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// maxLink bounds what stands behind boot.LinkPath in an address, in bytes: an ID
// of 2 kB of path or URL, and the path of a file.
const maxLink = 8 << 10

// A linked is what an address leads to, and for whom.
type linked struct {
	boot.Link
	machine boot.Machine   // has no MAC where the address is for whoever has it
	by      boots.Decision // on it
}

// link serves /_/f/: the addresses that a configuration has asked for. rest is
// what stands behind that.
func (s *Server) link(w http.ResponseWriter, r *http.Request, rest string) {
	start, kind := time.Now(), events.File
	if r.URL.Path == bootfiles.FilePath {
		kind = events.Initrd // which is all of a Spec that is made for a machine
	}
	l, err := s.findLink(r, rest)
	if l.PhoneHome {
		s.phoneHome(w, r, l)
		return
	}
	if l.Put != nil || err != nil && (r.Method == http.MethodPut || r.Method == http.MethodPost) {
		s.upload(w, r, l, err)
		return
	}
	if !s.unburden(w, r) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.notAllowed(w)
		return
	}
	var f io.ReadCloser
	var size int64
	if err == nil {
		f, size, err = l.Open(r.Context(), l.machine, s.base(r))
	}
	log := s.Log.With(zap.String("file", boots.Text(l.Name)), zap.Uint64("gen", l.by.Gen()))
	if len(l.machine.MAC) > 0 {
		log = log.With(zap.Stringer("mac", l.machine.MAC), zap.String("boot", l.Boot))
	}
	if err != nil {
		if r.Context().Err() == nil { // else the machine has gone
			s.refuseLink(w, l, log.With(zap.String("peer", r.RemoteAddr), zap.Error(err)), err)
		}
		return
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if l.Made {
		if kind == events.File {
			h.Set("Content-Type", "text/plain; charset=utf-8")
		}
		h.Set("Cache-Control", "no-store")
	}
	step := &step{Server: s, mac: l.machine.MAC, secret: l.Secret, Event: events.Event{
		Kind: kind, Rule: l.by.Rule, Boot: cmp.Or(l.Boot, l.by.Boot), Gen: l.by.Gen(), Via: "http", File: l.Name,
	}}
	sent, whole, err := s.send(w, r, f, size, l.Name, step)
	if !l.Secret {
		log = log.With(zap.Int64("bytes", sent))
	}
	switch {
	case err != nil:
		step.end(sent, "")
		s.linkEvent(l, events.Event{Kind: events.Failed, Fault: events.FaultCut, Detail: l.Name + " cut short: " + err.Error()})
		breakOff(w)
	case whole:
		log.Info("file sent", zap.Duration("took", time.Since(start)))
		step.end(sent, s.note(f, l.machine.MAC.String(), l.Name))
	default:
		step.end(sent, "")
	}
}

// phoneHome takes the word of a machine that it has done what it booted for.
func (s *Server) phoneHome(w http.ResponseWriter, r *http.Request, l linked) {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut:
	case http.MethodHead: // a probe
		text(w, "")
		return
	default:
		w.Header().Set("Allow", "GET, POST, PUT")
		s.drop(w, drops.Malformed, "only GET, POST and PUT", http.StatusMethodNotAllowed)
		return
	}
	if err := s.hear(w, r); err != nil {
		s.Log.Debug("word of a machine not read", zap.Stringer("mac", l.machine.MAC), zap.Error(err)) // it has said enough
	}
	err := s.done(l.machine.MAC, boot.DoneByPhoneHome, l.Issued)
	s.Events.Add([6]byte(l.machine.MAC), events.Event{Kind: events.PhonedHome, Rule: l.by.Rule, Boot: l.Boot, Gen: l.by.Gen(), Via: "http"})
	switch {
	case errors.Is(err, boot.ErrExpired):
		http.Error(w, err.Error(), http.StatusGone)
	case err != nil:
		s.drop(w, drops.Failed, "it could not be kept; try again", http.StatusServiceUnavailable)
	default:
		text(w, "ok\n")
	}
}

// findLink opens an address. What it returns with an error tells whose it is, as
// far as that is known.
func (s *Server) findLink(r *http.Request, rest string) (l linked, err error) {
	l.by = boots.Undecided()
	id, name, ok := strings.Cut(rest, "/")
	if !ok || len(rest) > maxLink {
		return l, fmt.Errorf("no address: %w", boot.ErrNotFound)
	}
	// Whose it is can be told by any table; what it leads to, only by that of the
	// machine's boot.
	var refused string
	l.by, refused = s.admitAnyone()
	l.Link, err = boot.OpenLink(l.by.Snapshot.Booter, boot.ID(id), name)
	if l.PhoneHome {
		l.machine, l.by = *l.Machine, s.Tree.Boots.Fixed(l.Machine.MAC)
		return l, err // also of a machine to which the table says something else by now
	}
	if l.Machine != nil {
		l.machine = s.Tree.Recall(*l.Machine)
		l.by, refused = s.admitMachine(r, l.machine, rest)
		l.Link, err = boot.OpenLink(l.by.Snapshot.Booter, boot.ID(id), name)
	}
	if refused != "" {
		return l, fmt.Errorf("%w: %s", bootfiles.ErrRefused, refused)
	}
	if err == nil && (l.Secret || l.Put != nil) && l.Issued.Unix() < s.Tree.Boots.Started(l.machine.MAC).Unix() {
		what := "a secret"
		if l.Put != nil {
			what = "an upload"
		}
		err = fmt.Errorf("file %s of boot %s: %w: that of %s is good for one boot, and the machine has begun another", l.Name, l.Boot, boot.ErrExpired, what)
	}
	from := netio.Asker(r)
	if l.Secret { // which only one with a token is given the address of
		l.machine.Peer = from
	}
	if err == nil && l.To.IsValid() && l.To != from {
		err = fmt.Errorf("file %s of boot %s: %w: %s asked for the script, and this is %s. "+
			"Where installers get another address than the firmware, let the DHCP server go by the MAC address, or write any_address = true into the file block", l.Name, l.Boot, boot.ErrElsewhere, l.To, from)
	}
	return l, err
}

// refuseLink says what is wrong with an address, or with the file behind it.
func (s *Server) refuseLink(w http.ResponseWriter, l linked, log *zap.Logger, err error) {
	status, text, detail := http.StatusBadGateway, "couldn't get file", l.Name+": "+err.Error()
	kind, reason, fault := events.Failed, drops.Failed, events.FaultOther
	var digest *boot.DigestError
	switch {
	case errors.Is(err, boot.ErrNotFound):
		// Programs look for files that need not be there.
		log.Debug("file not served")
		s.drop(w, drops.NotFound, "no such file", http.StatusNotFound)
		return
	case errors.Is(err, bootfiles.ErrRefused):
		kind, reason, status, text = events.Ignored, refusedBy(l.by), http.StatusForbidden, err.Error()
	case errors.Is(err, boot.ErrExpired):
		status, text = http.StatusGone, err.Error()
	case errors.Is(err, boot.ErrElsewhere):
		reason, status, text = drops.Ignored, http.StatusForbidden, err.Error()
	case errors.Is(err, boot.ErrNoRoom):
		reason, status, text = drops.Busy, http.StatusServiceUnavailable, err.Error()
	case errors.Is(err, boot.ErrMissing):
		fault = events.FaultScript
		status, text = http.StatusInternalServerError, err.Error()
	case errors.As(err, &digest):
		reason, status, text, detail, fault = drops.Unverified, http.StatusForbidden, digest.Error(), digest.Brief(), events.FaultDigest
	case errors.Is(err, boot.ErrUnverified):
		reason, fault, status, text = drops.Unverified, events.FaultDigest, http.StatusForbidden, err.Error()
	}
	if kind == events.Ignored {
		log.Info("file refused")
	} else {
		log.Warn("file not served")
	}
	s.linkEvent(l, events.Event{Kind: kind, Fault: fault, Detail: detail})
	s.drop(w, reason, text, status)
}

// linkEvent notes what became of a file under the machine that it is for.
func (s *Server) linkEvent(l linked, e events.Event) {
	if len(l.machine.MAC) == 6 {
		e.Rule, e.Boot, e.Gen, e.Via = l.by.Rule, l.by.Boot, l.by.Gen(), "http"
		s.Events.Add([6]byte(l.machine.MAC), e)
	}
}
