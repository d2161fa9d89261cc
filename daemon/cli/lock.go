package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/events"
)

const (
	// fetchedAtOnce is how many files are fetched to be locked at a time.
	fetchedAtOnce = 4
	// compareTimeout is how long plan asks the servers of locked files.
	compareTimeout = time.Minute
)

func lockCommand() *cobra.Command {
	var update, check, asJSON bool
	cmd := &cobra.Command{
		Use:   "lock [FILE] [URL...]",
		Short: "Write down what the files of other servers must be",
		Long: `Write down what the files of other servers must be, beside the configuration
FILE: pixiecore.lock.hcl has the SHA-256 of each that machines may come to need,
on every platform and with every name that can come to it. From then on, one that
is not in it is refused when the configuration is loaded, and one that is another
on its server is refused when a machine asks.

Files that are not in the lock file yet are fetched and added, those that are not
needed any more are taken out, and the others stay as they are. A URL is fetched
anew, also if it is in the file; --update does that with all. A file with sha256
or checksums must be what these say. When one cannot be had, nothing is written.

--check fetches nothing that a server says is unchanged, writes nothing, and says
what a lock would change.

The exit status is 0, and 1 when a file could not be locked or, with --check, when
the lock file is not what it would be now.`,
		Example: "  pixiecore lock\n  pixiecore lock --check\n  pixiecore lock https://example.org/live/vmlinuz",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, urls := defaultConfig, []string{}
			named := false
			for _, arg := range args {
				switch {
				case strings.Contains(arg, "://") || strings.HasPrefix(arg, "iso:"):
					urls = append(urls, arg)
				case named:
					return exitError{exitUsage, fmt.Errorf("%q is the second file that is named: a lock file belongs to one configuration", arg)}
				default:
					path, named = arg, true
				}
			}
			if check && (update || len(urls) > 0) {
				return exitError{exitUsage, errors.New("--check writes nothing, so neither --update nor a URL goes with it")}
			}
			l, err := newLocking(cmd, path)
			if err != nil {
				return err
			}
			defer l.sources.Close()
			if check {
				err = l.compare(cmd.Context())
			} else if err = l.choose(urls, update); err == nil {
				err = l.run(cmd.Context())
			}
			if err != nil {
				return err
			}
			wrote := false
			if !check && len(l.failures) == 0 && (len(l.changes) > 0 || l.old == nil) {
				if err := l.write(); err != nil {
					return failed(err)
				}
				wrote = true
			}
			if err := l.tell(cmd, asJSON, wrote); err != nil {
				return failed(err)
			}
			switch {
			case len(l.failures) > 0 && check:
				return exitError{exitFailed, fmt.Errorf("%s could not be compared", several(len(l.failures), "file"))}
			case len(l.failures) > 0:
				return exitError{exitNo, fmt.Errorf("nothing is written: %s could not be locked. Where there is none for some platform, leave that out by arch or firmware in the match of the rule", several(len(l.failures), "file"))}
			case check && len(l.changes) > 0:
				return exitError{status: exitNo}
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = completeFile
	cmd.Flags().BoolVar(&update, "update", false, "fetch all files anew")
	cmd.Flags().BoolVar(&check, "check", false, "say what would change, and write nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A lockChange is what becomes of one file in the lock file.
type lockChange struct {
	URL  string `json:"url"`           // without what is secret in it
	Do   string `json:"do"`            // "add", "change" or "remove"
	Old  string `json:"old,omitempty"` // SHA-256
	New  string `json:"new,omitempty"` // likewise; empty with --check where it is new
	Size int64  `json:"size,omitempty"`
}

// A locking is one run of lock.
type locking struct {
	path, at string // of the configuration, and of the lock file
	cfg      *config.Config
	sources  *booters.Sources
	old      *config.Lock                // nil: there is none
	needs    map[string][]config.Remote  // by the place of the file
	skipped  []config.Skipped            //
	todo     []string                    // places to fetch
	all      bool                        // whether what is not needed is taken out
	files    map[string]booters.Upstream // what the lock file will have
	out      func(format string, args ...any)

	mu       sync.Mutex
	changes  []lockChange
	failures []string
}

func newLocking(cmd *cobra.Command, path string) (*locking, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, failed(err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, failed(err)
	}
	l := &locking{path: abs, at: config.LockPath(abs, info.IsDir()), needs: make(map[string][]config.Remote), files: make(map[string]booters.Upstream)}
	l.out = func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format, args...) }
	// As if there were no lock file, which would refuse what is to be added to it.
	cfg, report := config.LoadFrom(path, func(path string) ([]byte, error) {
		if path == l.at {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return config.ReadFile(path)
	})
	if err := report.Err(); err != nil {
		writeReport(cmd, report)
		return nil, exitError{exitFailed, fmt.Errorf("configuration refused: %w", err)}
	}
	compiled, err := compile(cfg)
	if err != nil {
		return nil, exitError{exitFailed, fmt.Errorf("configuration refused: %w", err)}
	}
	l.cfg, l.sources = cfg, compiled.Sources
	src, err := config.ReadFile(l.at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, failed(err)
	default:
		if l.old, report = config.ParseLock(l.at, src); l.old == nil {
			writeReport(cmd, report)
			return nil, exitError{exitFailed, errors.New("the lock file cannot be read")}
		}
		l.files = maps.Clone(l.old.Files)
	}
	remotes, err := cfg.Remotes(cmd.Context())
	if err != nil {
		return nil, failed(err)
	}
	l.skipped = remotes.Skipped
	for _, r := range remotes.Files {
		if r.Boots() {
			l.needs[r.Source.At] = append(l.needs[r.Source.At], r)
		}
	}
	return l, nil
}

// choose says what is to be fetched.
func (l *locking) choose(urls []string, update bool) error {
	l.all = len(urls) == 0
	for _, at := range urls {
		if l.needs[at] == nil {
			return exitError{exitNo, fmt.Errorf("no machine can come to need %s by %s: see `pixiecore lock --check`", booters.ShownSource(at), l.path)}
		}
		l.todo = append(l.todo, at)
	}
	if l.all {
		for _, at := range slices.Sorted(maps.Keys(l.needs)) {
			if _, known := l.files[at]; !known || update {
				l.todo = append(l.todo, at)
			}
		}
	}
	return nil
}

// run fetches.
func (l *locking) run(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(fetchedAtOnce)
	for _, at := range l.todo {
		g.Go(func() error {
			for _, r := range l.needs[at] {
				up, err := l.sources.Upstream(ctx, r.Source, nil)
				if err != nil {
					l.fail(r, err)
					continue
				}
				l.set(at, up)
			}
			return nil
		})
	}
	g.Wait() // there is no error
	if l.all {
		for at, up := range l.files {
			if l.needs[at] == nil {
				delete(l.files, at)
				l.changes = append(l.changes, lockChange{URL: booters.ShownSource(at), Do: "remove", Old: up.SHA256.String()})
			}
		}
	}
	return ctx.Err()
}

// set notes what a file is. Validators that have changed alone are no change.
func (l *locking) set(at string, up booters.Upstream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, known := l.files[at]
	l.files[at] = up
	switch c := (lockChange{URL: booters.ShownSource(at), New: up.SHA256.String(), Size: up.Size}); {
	case !known:
		c.Do = "add"
		l.changes = append(l.changes, c)
	case old.SHA256 != up.SHA256:
		c.Do, c.Old = "change", old.SHA256.String()
		l.changes = append(l.changes, c)
	}
}

func (l *locking) fail(r config.Remote, err error) {
	var at []string
	for _, p := range r.Places {
		at = append(at, fmt.Sprintf("%s (%s of boot %s)", p.At(), p.What, p.Boot))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, fmt.Sprintf("%v; it is asked for at %s", err, strings.Join(at, ", ")))
}

// compare says what run would change, without fetching what is unchanged.
func (l *locking) compare(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(fetchedAtOnce)
	for at, all := range l.needs {
		up, known := l.files[at]
		if !known {
			l.changes = append(l.changes, lockChange{URL: booters.ShownSource(at), Do: "add"})
			continue
		}
		g.Go(func() error {
			err := l.sources.Unchanged(ctx, at, up)
			if now, changed := booters.Changed(err); changed {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.changes = append(l.changes, lockChange{URL: booters.ShownSource(at), Do: "change", Old: up.SHA256.String(), New: now.String()})
			} else if err != nil {
				l.fail(all[0], err)
			}
			return nil
		})
	}
	g.Wait() // there is no error
	for at, up := range l.files {
		if l.needs[at] == nil {
			l.changes = append(l.changes, lockChange{URL: booters.ShownSource(at), Do: "remove", Old: up.SHA256.String()})
		}
	}
	return ctx.Err()
}

// write replaces the lock file, which whoever reads the configuration can read.
func (l *locking) write() error {
	f, err := os.CreateTemp(filepath.Dir(l.at), "."+filepath.Base(l.at)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // unless it has been renamed
	like, err := os.Stat(l.at)
	if err != nil {
		like, err = os.Stat(l.path)
	}
	if err == nil {
		if st, ok := like.Sys().(*syscall.Stat_t); ok {
			f.Chown(int(st.Uid), int(st.Gid)) // who may not is the owner himself
		}
		err = f.Chmod(like.Mode().Perm() &^ 0o111)
	}
	_, failed := f.Write((&config.Lock{Files: l.files}).Bytes())
	if err := errors.Join(err, failed, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), l.at)
}

// tell shows what has changed, or would.
func (l *locking) tell(cmd *cobra.Command, asJSON, wrote bool) error {
	slices.SortFunc(l.changes, func(a, b lockChange) int { return strings.Compare(a.URL, b.URL) })
	slices.Sort(l.failures)
	for _, s := range l.skipped {
		who := strings.Join(s.Who, ", ")
		if s.More > 0 {
			who += fmt.Sprintf(" and %d more", s.More)
		}
		l.out("note: %s: what %s of boot %s is for %s is not locked: %s\n", s.At(), s.What, s.Boot, who, s.Why)
	}
	for _, f := range l.failures {
		l.out("error: %s\n", f)
	}
	if asJSON {
		changes := l.changes
		if changes == nil {
			changes = []lockChange{}
		}
		return writeJSON(cmd.OutOrStdout(), changes)
	}
	p := newPrinter(cmd.OutOrStdout())
	for _, c := range l.changes {
		switch c.Do {
		case "add":
			size := ""
			if c.New != "" {
				size = fmt.Sprintf(" %s, sha256 %.12s…", events.Size(c.Size), c.New)
			}
			p.printf("%s %s%s\n", p.paint(green, "+"), c.URL, size)
		case "remove":
			p.printf("%s %s: no machine can come to need it\n", p.paint(red, "-"), c.URL)
		default:
			p.printf("~ %s: sha256 %.12s… (was: %.12s…)\n", c.URL, c.New, c.Old)
		}
	}
	if len(l.failures) > 0 {
		return p.err
	}
	switch {
	case wrote:
		p.printf("%s: %s, written.\n", l.at, several(len(l.files), "file"))
	case len(l.changes) == 0:
		p.printf("%s: %s, nothing changes.\n", l.at, several(len(l.files), "file"))
	}
	return p.err
}

// upstreamChanges are the locked files that their servers have others for: those that
// machines would be refused.
func upstreamChanges(ctx context.Context, cfg *config.Config, sources *booters.Sources) (changes []control.Change, unknown []string, err error) {
	if cfg.Lock == nil {
		return nil, nil, nil
	}
	remotes, err := cfg.Remotes(ctx)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(fetchedAtOnce)
	for _, r := range remotes.Files {
		if !r.Source.Locked {
			continue
		}
		g.Go(func() error {
			err := sources.Unchanged(ctx, r.Source.At, cfg.Lock.Files[r.Source.At])
			mu.Lock()
			defer mu.Unlock()
			if _, changed := booters.Changed(err); changed {
				changes = append(changes, control.Change{What: "file", Name: r.Shown(), Old: "as it was locked", New: "refused: " + err.Error()})
			} else if err != nil {
				unknown = append(unknown, err.Error())
			}
			return nil
		})
	}
	g.Wait() // there is no error
	slices.SortFunc(changes, func(a, b control.Change) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(unknown)
	return changes, unknown, nil
}
