package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// patience is for a machine that is busy with other things. No test needs it.
const patience = 30 * time.Second

// lines are what a daemon logs, for tests that wait for one.
type lines struct {
	mu   sync.Mutex
	seen []string
	more chan struct{}
}

func (l *lines) log() *zap.Logger {
	l.more = make(chan struct{})
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(discard{}), zap.DebugLevel)
	return zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen = append(l.seen, e.Message)
		close(l.more)
		l.more = make(chan struct{})
		return nil
	}))
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// count is how often a line with the phrase was logged.
func (l *lines) count(phrase string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.seen {
		if strings.Contains(s, phrase) {
			n++
		}
	}
	return n
}

// await returns when ok holds, which may change with every line.
func (l *lines) await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		more := l.more
		l.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// said is a condition for await.
func (l *lines) said(phrase string) func() bool { return func() bool { return l.count(phrase) > 0 } }

// version is a configuration whose only rule has that name.
func version(name string) string { return listen("http", "127.0.0.1:0") + rule(name) }

func rule(name string) string { return fmt.Sprintf("rule %q {\n  local = true\n}\n", name) }

// serving is the name of the only rule that d serves.
func serving(t testing.TB, d *Daemon) string {
	t.Helper()
	v, err := boot.Decide(t.Context(), d.swap.Current().Booter, boot.Machine{MAC: []byte{2, 0, 0, 0, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	return v.Rule
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// A way in which the configuration is replaced.
type way struct {
	// path lays out the first version below dir and returns the path that the
	// daemon is given.
	path func(dir string) (string, error)
	// steps lead to the second version. The daemon has seen what a step did
	// before the next one is taken.
	steps []func(dir string) error
}

func plain(dir string) (string, error) {
	path := filepath.Join(dir, "etc", "pixiecore.hcl")
	return path, errors.Join(os.Mkdir(filepath.Join(dir, "etc"), 0o755), os.WriteFile(path, []byte(version("one")), 0o644))
}

// to is a file's path below dir.
func to(dir string, elem ...string) string { return filepath.Join(append([]string{dir}, elem...)...) }

// put writes a file below dir and makes its directory.
func put(dir, src string, elem ...string) error {
	path := to(dir, elem...)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(src), 0o644))
}

var ways = map[string]way{
	"written in place": {plain, []func(string) error{
		func(dir string) error { return put(dir, version("two"), "etc", "pixiecore.hcl") },
	}},
	"appended to": {
		func(dir string) (string, error) {
			return to(dir, "pixiecore.hcl"), put(dir, listen("http", "127.0.0.1:0"), "pixiecore.hcl")
		},
		[]func(string) error{func(dir string) error {
			f, err := os.OpenFile(to(dir, "pixiecore.hcl"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("rule \"two\" {\n  local = true\n}\n")
			return errors.Join(err, f.Close())
		}},
	},
	"renamed over": {plain, []func(string) error{func(dir string) error {
		return errors.Join(put(dir, version("two"), "etc", ".new"), os.Rename(to(dir, "etc", ".new"), to(dir, "etc", "pixiecore.hcl")))
	}}},
	"a link swapped": {
		func(dir string) (string, error) {
			return to(dir, "pixiecore.hcl"), errors.Join(put(dir, version("one"), "one.hcl"), put(dir, version("two"), "two.hcl"),
				os.Symlink("one.hcl", to(dir, "pixiecore.hcl")))
		},
		[]func(string) error{func(dir string) error {
			return errors.Join(os.Symlink("two.hcl", to(dir, "new")), os.Rename(to(dir, "new"), to(dir, "pixiecore.hcl")))
		}},
	},
	"a link's target written": {
		func(dir string) (string, error) {
			return to(dir, "etc", "pixiecore.hcl"), errors.Join(put(dir, version("one"), "store", "one.hcl"), os.Mkdir(to(dir, "etc"), 0o755),
				os.Symlink("../store/one.hcl", to(dir, "etc", "pixiecore.hcl")))
		},
		[]func(string) error{func(dir string) error { return put(dir, version("two"), "store", "one.hcl") }},
	},
	"a parent directory's link swapped": {
		func(dir string) (string, error) {
			return to(dir, "current", "etc", "pixiecore.hcl"), errors.Join(put(dir, version("one"), "v1", "etc", "pixiecore.hcl"),
				put(dir, version("two"), "v2", "etc", "pixiecore.hcl"), os.Symlink("v1", to(dir, "current")))
		},
		[]func(string) error{func(dir string) error {
			return errors.Join(os.Symlink("v2", to(dir, "new")), os.Rename(to(dir, "new"), to(dir, "current")))
		}},
	},
	"a ConfigMap's ..data swapped": {
		func(dir string) (string, error) {
			return to(dir, "pixiecore.hcl"), errors.Join(put(dir, version("one"), "..2026_1", "pixiecore.hcl"),
				os.Symlink("..2026_1", to(dir, "..data")), os.Symlink("..data/pixiecore.hcl", to(dir, "pixiecore.hcl")))
		},
		[]func(string) error{func(dir string) error { // in the order of the kubelet
			return errors.Join(put(dir, version("two"), "..2026_2", "pixiecore.hcl"), os.Symlink("..2026_2", to(dir, "..data_tmp")),
				os.Rename(to(dir, "..data_tmp"), to(dir, "..data")), os.RemoveAll(to(dir, "..2026_1")))
		}},
	},
	"the directory removed and made again": {plain, []func(string) error{
		func(dir string) error { return os.RemoveAll(to(dir, "etc")) },
		func(dir string) error { return put(dir, version("two"), "etc", "pixiecore.hcl") },
	}},
	"the directory removed and made again at once": {plain, []func(string) error{func(dir string) error {
		return errors.Join(os.RemoveAll(to(dir, "etc")), put(dir, version("two"), "etc", "pixiecore.hcl"))
	}}},
	"the directory renamed and another put there": {plain, []func(string) error{func(dir string) error {
		return errors.Join(put(dir, version("two"), "etc.new", "pixiecore.hcl"), os.Rename(to(dir, "etc"), to(dir, "etc.old")), os.Rename(to(dir, "etc.new"), to(dir, "etc")))
	}}},
	"removed, and back later": {plain, []func(string) error{
		func(dir string) error { return os.Remove(to(dir, "etc", "pixiecore.hcl")) },
		func(dir string) error { return put(dir, version("two"), "etc", "pixiecore.hcl") },
	}},
	"a file added to those of an include": {
		func(dir string) (string, error) {
			return to(dir, "pixiecore.hcl"), errors.Join(put(dir, "include = [\"conf.d/*.hcl\"]\n"+listen("http", "127.0.0.1:0"), "pixiecore.hcl"),
				put(dir, rule("one"), "conf.d", "20.hcl"))
		},
		[]func(string) error{func(dir string) error { return put(dir, rule("two"), "conf.d", "10.hcl") }},
	},
	"a file of a directory removed": {
		func(dir string) (string, error) {
			return to(dir, "etc"), errors.Join(put(dir, listen("http", "127.0.0.1:0"), "etc", "10.hcl"),
				put(dir, rule("one"), "etc", "20.hcl"), put(dir, rule("two"), "etc", "30.hcl"))
		},
		[]func(string) error{func(dir string) error { return os.Remove(to(dir, "etc", "20.hcl")) }},
	},
	"many files at once": {plain, []func(string) error{func(dir string) error {
		var errs []error
		for i := range 500 {
			errs = append(errs, put(dir, "text", "etc", fmt.Sprint(i, ".txt")))
		}
		errs = append(errs, put(dir, version("two"), "etc", "pixiecore.hcl"))
		for i := range 500 {
			errs = append(errs, put(dir, "text", "etc", fmt.Sprint(i+500, ".txt")))
		}
		return errors.Join(errs...)
	}}},
}

// Each way in which a file gets replaced is noticed by an event, and what is in
// it then is served. There is no poll in this test.
func TestEveryWayOfReplacingTheFileIsServed(t *testing.T) {
	for name, tc := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, err := tc.path(dir)
			must(t, err)
			var log lines
			o := options(t, path)
			o.Log = log.log()
			d := run(t, o, func(d *Daemon) { d.poll = time.Hour })
			log.await(t, "watching", log.said("configuration watched"))
			for i, step := range tc.steps {
				if i > 0 {
					log.await(t, "the step before", log.said("reload refused"))
					if got := serving(t, d); got != "one" {
						t.Errorf("between the steps %q is served", got)
					}
				}
				start := time.Now()
				must(t, step(dir))
				if i == len(tc.steps)-1 {
					log.await(t, "served", func() bool { return log.count("configuration reloaded") > 0 && serving(t, d) == "two" })
					t.Logf("served after %s", time.Since(start).Round(time.Millisecond))
				}
			}
			if n := log.count("configuration reloaded"); n != 1 {
				t.Errorf("%d reloads for one edit", n)
			}
		})
	}
}

// Without events (NFS, FUSE, no inotify instance left) there is the poll, and
// the log says so.
func TestWithoutEventsThereIsThePoll(t *testing.T) {
	for name, tc := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, err := tc.path(dir)
			must(t, err)
			var log lines
			o := options(t, path)
			o.Log = log.log()
			d := run(t, o, func(d *Daemon) {
				d.poll = 50 * time.Millisecond
				d.fileEvents = func() (*fsnotify.Watcher, error) { return nil, syscall.EMFILE }
			})
			log.await(t, "no events", log.said("no file events: an edit is seen within 50ms"))
			for _, step := range tc.steps {
				must(t, step(dir))
			}
			log.await(t, "served", func() bool { return serving(t, d) == "two" })
		})
	}
}

// A file that is written slowly is not served before it is whole, also where
// the part that is there is a valid file.
func TestASlowWriterIsWaitedFor(t *testing.T) {
	t.Parallel()
	const pause = 50 * time.Millisecond // the writer's, which a busy machine makes longer
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	var log lines
	o := options(t, path)
	o.Log = log.log()
	d := run(t, o, func(d *Daemon) { d.poll, d.quiet = time.Hour, 20*pause })
	log.await(t, "watching", log.said("configuration watched"))

	// As soon as the listener is written, what is there is valid, and no
	// machine boots by it; and so it is behind each rule.
	src := listen("http", "127.0.0.1:0")
	for i := range 4 {
		src += fmt.Sprintf("rule \"r%d\" {\n  match {\n    mac = \"06:*\"\n  }\n  ignore = true\n}\n", i)
	}
	src += "rule \"two\" {\n  local = true\n}\n"
	f, err := os.OpenFile(path, os.O_TRUNC|os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for rest := src; rest != ""; {
		n := min(10, len(rest))
		_, err := f.WriteString(rest[:n])
		must(t, err)
		rest = rest[n:]
		<-tick.C
		if got := serving(t, d); rest != "" && got != "one" {
			t.Fatalf("%d bytes of %d are written, and %q is served", len(src)-len(rest), len(src), got)
		}
	}
	log.await(t, "served", func() bool { return serving(t, d) == "two" })
	if n := log.count("reload refused"); n != 0 {
		t.Errorf("a part of the file was refused %d times", n)
	}
}

// More events than the kernel holds: some are lost, and the last state is served.
func TestAFloodOfEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, err := plain(dir)
	must(t, err)
	var log lines
	o := options(t, path)
	o.Log = log.log()
	d := run(t, o, func(d *Daemon) {
		d.poll = time.Hour
		d.fileEvents = func() (*fsnotify.Watcher, error) {
			w, err := fsnotify.NewWatcher()
			if err != nil {
				return nil, err
			}
			// Nobody reads the events yet, and the kernel's queue has 16384
			// places (inotify(7)).
			err = w.Add(to(dir, "etc"))
			for range 20_000 {
				err = errors.Join(err, os.Chmod(path, 0o600), os.Chmod(to(dir, "etc"), 0o755))
			}
			return w, err
		}
	})
	log.await(t, "watching", log.said("configuration watched"))
	must(t, put(dir, version("two"), "etc", "pixiecore.hcl"))
	log.await(t, "served", func() bool { return serving(t, d) == "two" })
	if log.count("file events lost") == 0 {
		t.Skip("the queue of this system did not overflow")
	}
}

// Lost events are a reason to look, without any event that came through.
func TestLostEventsAreAReasonToLook(t *testing.T) {
	looked := make(chan struct{}, 1)
	w := watcher{log: zap.NewNop(), files: func() []string { return nil }, poll: time.Hour, quiet: settle, changed: func(func() bool) { looked <- struct{}{} }}
	ctx, stop := context.WithCancel(t.Context())
	errs := make(chan error)
	var wg sync.WaitGroup
	wg.Go(func() { w.wait(ctx, nil, errs) })
	errs <- fsnotify.ErrEventOverflow
	select {
	case <-looked:
	case <-time.After(patience):
		t.Error("not looked")
	}
	stop()
	wg.Wait()
}

// What is read while the files are written is forgotten.
func TestAnUnsteadyReadIsForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	o := options(t, path)
	d, err := New(o)
	must(t, err)
	defer d.Close()
	new := free(t)
	write(t, path, version("two")+listen("status", new))
	d.reloadChanged(func() bool { return false })
	if got := serving(t, d); got != "one" || d.report().LastReload != nil {
		t.Errorf("%q is served, the status says %+v", got, d.report().LastReload)
	}
	d.reloadChanged(func() bool { return true })
	if got := serving(t, d); got != "two" || len(d.report().Listeners) != 2 {
		t.Errorf("then %q is served, %v", got, d.report().Listeners)
	}
}

// A stamp differs when a file does, also one that a pattern matches by now.
func TestStamp(t *testing.T) {
	dir := t.TempDir()
	must(t, put(dir, "a", "a.hcl"), os.Mkdir(to(dir, "conf.d"), 0o755))
	files := []string{to(dir, "a.hcl"), to(dir, "none.hcl"), to(dir, "conf.d", "*.hcl")}
	old := stampOf(files)
	if !stampOf(files).equal(old) {
		t.Error("files that nobody touched differ")
	}
	for _, tc := range []struct {
		name string
		do   func() error
	}{
		{"a longer file", func() error { return put(dir, "aa", "a.hcl") }},
		{"one that appears", func() error { return put(dir, "", "none.hcl") }},
		{"a match", func() error { return put(dir, "", "conf.d", "b.hcl") }},
		{"a longer match", func() error { return put(dir, "b", "conf.d", "b.hcl") }},
		{"one that goes", func() error { return os.Remove(to(dir, "a.hcl")) }},
	} {
		must(t, tc.do())
		now := stampOf(files)
		if now.equal(old) {
			t.Errorf("%s: not seen", tc.name)
		}
		old = now
	}
}

func TestDirectories(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, put(root, "", "real", "etc", "a.hcl"), put(root, "", "store", "b.hcl"),
		os.Symlink("real", to(root, "link")), os.Symlink("../../store/b.hcl", to(root, "real", "etc", "b.hcl")),
		os.Symlink(to(root, "loop"), to(root, "loop")))
	for name, tc := range map[string]struct {
		file string
		want []string
	}{
		"a file":                           {"real/etc/a.hcl", []string{"real/etc"}},
		"behind the link of a directory":   {"link/etc/a.hcl", []string{"", "real/etc"}},
		"a link beside a link":             {"link/etc/b.hcl", []string{"", "real/etc", "store"}},
		"not there":                        {"real/etc/none", []string{"real/etc"}},
		"in a directory that is not there": {"real/none/of/these.hcl", []string{"real"}},
		"a directory":                      {"store", []string{"", "store"}},
		"a link to itself":                 {"loop", []string{""}},
	} {
		var want []string
		for _, dir := range tc.want {
			want = append(want, filepath.Join(root, dir))
		}
		if diff := cmp.Diff(want, directories([]string{filepath.Join(root, tc.file)})); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// Directories that do not matter any more are not watched any more.
func TestWatchesAreGivenUp(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, put(root, "", "one", "a.hcl"), put(root, "", "two", "a.hcl"), os.Symlink("one", to(root, "link")))
	events, err := fsnotify.NewWatcher()
	must(t, err)
	defer events.Close()
	w := watcher{log: zap.NewNop(), files: func() []string { return []string{to(root, "link", "a.hcl")} }, events: events}
	for _, target := range []string{"one", "two"} {
		must(t, os.Remove(to(root, "link")), os.Symlink(target, to(root, "link")))
		if !w.arm() || w.arm() {
			t.Errorf("%s: want a new directory at the first look only", target)
		}
		if diff := cmp.Diff(map[string]bool{root: true, to(root, target): true}, set(events.WatchList())); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func set(all []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range all {
		m[s] = true
	}
	return m
}
