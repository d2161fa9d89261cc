package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/daemon/status"
)

const (
	holdFile = "hold.json" // in the state directory
	maxHolds = 1000
)

// A hold is what the daemon was told not to answer. It outlives reloads, and
// restarts where there is a state directory.
type hold struct {
	path string // empty: it ends with the process

	changing sync.Mutex // held by whoever changes holds
	holds    atomic.Pointer[[]status.Hold]
}

// loadHold reads what was held when the daemon stopped. Where that cannot be
// read, everything is held: a hold is set by somebody who wants quiet, and the
// one who can see why it has gone can also resume.
func loadHold(stateDir string, log *zap.Logger) *hold {
	h := &hold{}
	var holds []status.Hold
	if stateDir != "" {
		h.path = filepath.Join(stateDir, holdFile)
		b, err := os.ReadFile(h.path)
		if err == nil {
			err = json.Unmarshal(b, &holds)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			holds = []status.Hold{{Since: time.Now(), Reason: fmt.Sprintf("what was on hold cannot be read: %v", err)}}
		}
	}
	for _, one := range holds {
		log.Warn("on hold", zap.String("rule", one.Rule), zap.Time("since", one.Since), zap.String("reason", one.Reason))
	}
	h.holds.Store(&holds)
	return h
}

// list is what is on hold. It must not be modified.
func (h *hold) list() []status.Hold { return *h.holds.Load() }

// set puts a rule on hold, or everything for "". What is on hold already gets
// the new reason. It is durable when set returns nil.
func (h *hold) set(rule, reason string, now time.Time) error {
	h.changing.Lock()
	defer h.changing.Unlock()
	holds := slices.DeleteFunc(slices.Clone(h.list()), func(o status.Hold) bool { return o.Rule == rule })
	if len(holds) >= maxHolds {
		return fmt.Errorf("%d rules are on hold, and that is the most; hold everything instead", maxHolds)
	}
	return h.store(append(holds, status.Hold{Rule: rule, Since: now, Reason: reason}))
}

// resume ends the hold of a rule, or every one for "", and reports whether
// there was any.
func (h *hold) resume(rule string) (bool, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	old := h.list()
	holds := slices.DeleteFunc(slices.Clone(old), func(o status.Hold) bool { return rule == "" || o.Rule == rule })
	if len(holds) == len(old) {
		return false, nil
	}
	return true, h.store(holds)
}

// store writes first and publishes then, so that what is in force is what a
// restart finds.
func (h *hold) store(holds []status.Hold) error {
	if h.path != "" {
		if err := writeHolds(h.path, holds); err != nil {
			return fmt.Errorf("state: %w", err)
		}
	}
	h.holds.Store(&holds)
	return nil
}

// writeHolds replaces the file as a whole.
func writeHolds(path string, holds []status.Hold) error {
	b, err := json.MarshalIndent(holds, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(b, '\n'))
}

// why says in a clause why nobody is to boot by the rule; empty: it is not on hold.
func (h *hold) why(rule string) string {
	for _, one := range h.list() {
		if one.Rule == "" || one.Rule == rule {
			return one.Why()
		}
	}
	return ""
}
