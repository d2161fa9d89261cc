package daemon

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
)

// stderrText is a stderr that tests can read.
type stderrText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *stderrText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *stderrText) Sync() error { return nil }

// of is the line that holds a text; empty: none does.
func (l *stderrText) of(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

// Level and format of the log are those of the file that is served: of loggers too
// that were made before.
func TestTheLogFollowsAReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	log := func(level, format string) string {
		return everyLocal + "log {\n  level  = \"" + level + "\"\n  format = \"" + format + "\"\n}\n"
	}
	o := options(t, file(t, path, log("info", "json")))
	o.Log = nil
	var out stderrText
	var old *zap.Logger
	d := run(t, o, func(d *Daemon) {
		d.stderr = &out
		d.setFormat(d.compiled().Config.Log)
		old = d.log.Named("old").With(zap.String("mac", "52:54:00:00:00:01"))
	})

	old.Debug("first, of level debug")
	old.Info("first, of level info")
	if got := out.of("first, of level debug"); got != "" {
		t.Errorf("at level info, there is %q", got)
	}
	if got := out.of("first, of level info"); !json.Valid([]byte(got)) {
		t.Errorf("in format json, there is %q", got)
	}

	file(t, path, log("debug", "console"))
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	old.Debug("second, of level debug")
	got := out.of("second, of level debug")
	if got == "" || json.Valid([]byte(got)) || !strings.Contains(got, "52:54:00:00:00:01") {
		t.Errorf("at level debug in format console, there is %q", got)
	}

	file(t, path, log("error", "json"))
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	old.Info("third, of level info")
	old.Error("third, of level error")
	if got := out.of("third, of level info"); got != "" {
		t.Errorf("at level error, there is %q", got)
	}
	if got := out.of("third, of level error"); !json.Valid([]byte(got)) {
		t.Errorf("back in format json, there is %q", got)
	}
}
