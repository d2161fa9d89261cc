package once

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// MaxNexts bounds the machines that have a Next.
const MaxNexts = 1 << 16

// bootLasts is how long a boot lasts at most that has used a Next.
const bootLasts = 2 * time.Hour

// A Next is what a machine boots the next time, in place of what its rule says.
type Next struct {
	Machine string    `json:"machine"` // its name, else its UUID, else its MAC address
	Boot    string    `json:"boot"`    // the name of what it boots
	Since   time.Time `json:"since"`   // boots that began before are not meant
	Until   time.Time `json:"until"`   // nor are those that begin after
	// ID is of the boot that has used it, which Began, and at the time of Used did so;
	// empty: none has.
	ID    string    `json:"id,omitempty"`
	Began time.Time `json:"began,omitzero"`
	Used  time.Time `json:"used,omitzero"`
	Keys  []string  `json:"keys"` // under which it stands

	// By this process's clock, or when it was loaded: since when it counts, or was used,
	// and how much longer it does.
	from time.Time
	left time.Duration
}

// A NextStore keeps them over a restart. Save returns when they are durable, all or
// none; a nil Next removes the key, which is the first of Keys.
type NextStore interface {
	Load() (map[string]Next, error)
	Save(changed map[string]*Next) error
}

// Nexts are those of all machines. They are safe for concurrent use. A nil *Nexts has
// none.
type Nexts struct {
	store   NextStore
	writing sync.Mutex // held by who changes something, until it is durable
	count   atomic.Int64

	mu  sync.Mutex
	all map[string]*Next // by each key; never modified once they are in here
}

// NewNexts reads what is kept, but for what has expired. What cannot be read is no
// reason to boot a machine by it: the error says what is not known, and the Nexts go
// without.
func NewNexts(store NextStore, now time.Time) (*Nexts, error) {
	n := &Nexts{store: store, all: map[string]*Next{}}
	all, err := store.Load()
	for _, x := range all {
		// A clock that was set back does not make it last longer than it was meant to.
		x.from, x.left = time.Time{}, min(x.Until.Sub(now), x.Until.Sub(x.Since))
		if x.left > 0 && len(x.Keys) > 0 {
			x.from = now
			n.insert(&x)
		}
	}
	return n, err
}

// insert puts x under its keys. The caller holds n.mu, or is the only one.
func (n *Nexts) insert(x *Next) {
	for _, key := range x.Keys {
		n.all[key] = x
	}
	n.count.Store(int64(len(n.all)))
}

// Any reports whether there may be one of any machine. It costs nothing.
func (n *Nexts) Any() bool { return n != nil && n.count.Load() > 0 }

// find is the Next of the machine.
func (n *Nexts) find(keys []string) *Next {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, key := range keys {
		if x := n.all[key]; x != nil {
			return x
		}
	}
	return nil
}

// All are those that have not expired, by machine.
func (n *Nexts) All(now time.Time) (all []Next) {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, x := range n.all {
		if key == x.Keys[0] && !x.over(now) {
			all = append(all, *x)
		}
	}
	slices.SortFunc(all, func(a, b Next) int { return strings.Compare(a.Machine, b.Machine) })
	return all
}

// over reports whether no boot is for it any more: it has expired, or the boot that has
// used it has.
func (x *Next) over(now time.Time) bool {
	if x.ID != "" {
		return now.Sub(x.Used) >= bootLasts
	}
	return now.Sub(x.from) >= x.left
}

// Pending is the Next of a machine whose next boot would be given it.
func (n *Nexts) Pending(who Machine, now time.Time) (Next, bool) {
	if !n.Any() {
		return Next{}, false
	}
	x := n.find(who.keys())
	if x == nil || x.ID != "" || x.over(now) {
		return Next{}, false
	}
	return *x, true
}

// Look is the Next by which a boot goes: it has used it, or may. That one is used up
// which an earlier boot has used is noted durably as soon as the machine is heard in
// another.
func (n *Nexts) Look(who Machine, b Boot, now time.Time) (Next, bool) {
	if !n.Any() {
		return Next{}, false
	}
	x := n.find(who.keys())
	switch {
	case x == nil:
		return Next{}, false
	case x.is(b):
		return *x, true
	case x.ID == "":
		return *x, x.means(b, now)
	case b.Heard && !b.Began.Before(x.from):
		n.forget(x)
	}
	return Next{}, false
}

// is reports whether the boot is the one that has used it.
func (x *Next) is(b Boot) bool {
	if x.ID == "" {
		return false
	}
	if b.ID != "" || b.Heard {
		return b.ID == x.ID
	}
	t := b.Token.Unix()
	return !b.Token.IsZero() && x.Began.Unix() <= t && t <= x.Used.Unix()
}

// means reports whether it is for a boot that has not used it: one that began while it
// was good. A boot of which this process has not seen the beginning began when its
// token was made, or now.
func (x *Next) means(b Boot, now time.Time) bool {
	switch {
	case !b.Heard && !b.Token.IsZero():
		return b.Token.Unix() >= x.Since.Unix() && !x.over(now)
	case b.Began.IsZero():
		return !x.over(now)
	}
	return !b.Began.Before(x.from) && !x.over(b.Began)
}

// forget removes it, unless it is another by now. It holds for this process where that
// could not be kept.
func (n *Nexts) forget(x *Next) error {
	n.writing.Lock()
	defer n.writing.Unlock()
	if n.find(x.Keys[:1]) != x {
		return nil
	}
	err := n.store.Save(map[string]*Next{x.Keys[0]: nil})
	n.replace([]*Next{x}, nil)
	return err
}

// replace puts next, which may be nil, in the place of those that are gone.
func (n *Nexts) replace(gone []*Next, next *Next) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range gone {
		for _, key := range x.Keys {
			delete(n.all, key)
		}
	}
	if next != nil {
		n.insert(next)
	}
	n.count.Store(int64(len(n.all)))
}

// Use notes that the boot uses the machine's Next, for what the name says, and returns
// the ID by which the boot is known from then on. That is durable when Use returns
// without an error, and only then may the machine be given the first byte. Repeats
// within the boot change nothing.
func (n *Nexts) Use(who Machine, b Boot, name string, now time.Time) (id string, err error) {
	n.writing.Lock()
	defer n.writing.Unlock()
	x := n.find(who.keys())
	switch {
	case x == nil || x.Boot != name || !x.is(b) && (x.ID != "" || !x.means(b, now)): // since it was asked about
		return "", errors.New("what was chosen for this boot has been taken back; start the machine again")
	case x.ID != "":
		return x.ID, nil
	}
	used := *x
	used.ID, used.Began, used.Used, used.from = rand.Text(), b.Began.Round(0), now.Round(0), now
	switch {
	case !b.Heard && !b.Token.IsZero(): // its beginning was seen by another process
		used.Began = b.Token.Round(0)
	case b.Began.IsZero():
		used.Began = used.Used
	}
	if err := n.store.Save(map[string]*Next{used.Keys[0]: &used}); err != nil {
		return "", fmt.Errorf("it is not begun, since that could not be kept: %w", err)
	}
	n.replace([]*Next{x}, &used)
	return used.ID, nil
}

// Set chooses what the machine boots in the first boot that it begins from now on, if
// that is soon enough. others are what else it is known by.
func (n *Nexts) Set(who Machine, others []Machine, boot string, lasts time.Duration, now time.Time) error {
	next := Next{Machine: who.String(), Boot: boot, Since: now.Round(0), Until: now.Round(0).Add(lasts), Keys: who.keys(), from: now, left: lasts}
	for _, m := range others {
		for _, key := range m.keys() {
			if !slices.Contains(next.Keys, key) {
				next.Keys = append(next.Keys, key)
			}
		}
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	n.mu.Lock()
	changed := map[string]*Next{}
	var gone []*Next
	for key, x := range n.all {
		if key == x.Keys[0] && (x.over(now) || slices.ContainsFunc(next.Keys, func(k string) bool { return n.all[k] == x })) {
			gone = append(gone, x)
			changed[key] = nil
		}
	}
	full := len(n.all)+len(next.Keys) > MaxNexts
	n.mu.Unlock()
	if full && len(gone) == 0 {
		return fmt.Errorf("the next boots of %d machines are chosen, and that is the most", MaxNexts)
	}
	changed[next.Keys[0]] = &next
	if err := n.store.Save(changed); err != nil {
		return err
	}
	n.replace(gone, &next)
	return nil
}

// Cancel takes back what was chosen for the machine. It reports whether a boot has
// begun to use that, which goes on, and whether there was anything at all.
func (n *Nexts) Cancel(who Machine, others []Machine, now time.Time) (was Next, found bool, err error) {
	if n == nil {
		return was, false, nil
	}
	for _, m := range append([]Machine{who}, others...) {
		if x := n.find(m.keys()); x != nil {
			if found = !x.over(now); found {
				was = *x
			}
			if x.ID != "" && found {
				return was, true, nil
			}
			if err := n.forget(x); err != nil {
				return was, found, err
			}
			if found {
				return was, true, nil
			}
		}
	}
	return was, false, nil
}
