package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/daemon/status"
)

func fetchCommand() *cobra.Command {
	var path string
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Fill the cache with what machines can come to need",
		Long: `Fetch every file of other servers that the configuration can come to need into its
cache, so that machines find it there: for each platform and each machine block
that comes to a boot whose URLs hang on them. What is there and has not changed
is not fetched again. What cannot be known beforehand, such as the files of
machines that no machine block names, is listed and left out.

The cache is that of the daemon, which may run meanwhile: each profits by the
transfers of the other. As root, files are written as the user to whom the cache's
directory belongs.

Where there is a lock file, each line says to what the file is locked, or that it is
not, and that its server has another one ("differs").

The exit status is 1 when a file could not be fetched, and what is wrong stands
beside it. --dry-run lists the files, who asks for each, and whether there is a
copy, and asks no server. A configuration with ` + "`prefetch = true`" + ` in its cache block
does all this when it is loaded.`,
		Example: "  pixiecore fetch --dry-run\n  pixiecore fetch",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, report := load(cmd, path)
			if err := report.Err(); err != nil {
				writeReport(cmd, report)
				return exitError{exitNo, fmt.Errorf("configuration refused: %w", err)}
			}
			dir, open, err := daemon.CachingSources(cfg, serviceDir("CACHE_DIRECTORY", defaultCache))
			if err != nil {
				return exitError{exitNo, err}
			}
			remotes, err := cfg.Remotes(cmd.Context())
			if err != nil {
				return exitError{exitNo, err}
			}
			for _, s := range remotes.Skipped {
				if !asJSON {
					fmt.Fprintln(cmd.ErrOrStderr(), skippedLine(s))
				}
			}
			f := fetching{files: remotes.Files, told: make([]fetchedFile, len(remotes.Files)), out: newPrinter(cmd.OutOrStdout()), quiet: asJSON}
			for i, r := range f.files {
				f.told[i] = fetchedFile{URL: r.Shown(), Places: places(r)}
				if !r.Source.SHA256.IsZero() {
					f.told[i].SHA256 = r.Source.SHA256.String()
				}
				switch {
				case cfg.Lock == nil:
				case r.Source.Locked:
					f.told[i].Lock = isLocked
				default:
					f.told[i].Lock = isNotLocked
				}
			}
			if dry {
				f.list(dir)
			} else if err := f.fetch(cmd, dir, open); err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), struct {
					Dir     string        `json:"dir"`
					Files   []fetchedFile `json:"files"`
					Skipped []string      `json:"skipped,omitempty"`
				}{dir, f.told, skippedLines(remotes.Skipped)})
			} else {
				f.out.printf("%s\n", f.sum(dir, dry))
				if cfg.Lock != nil && len(f.files) > 0 {
					f.out.printf("%s\n", f.lockSum(cfg.Lock.Path))
				}
				err = f.out.err
			}
			switch much := daemon.TooMuch(f.bytes, cfg.Cache.MaxSize); {
			case err != nil:
				return failed(err)
			case cmd.Context().Err() != nil:
				return exitError{exitFailed, errors.New("ended before all was fetched; what has come is kept")}
			case f.failed > 0:
				return exitError{status: exitNo}
			case much != nil:
				return exitError{exitNo, much}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "config", defaultConfig, "the configuration `file`")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "list the files, and fetch none")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A fetchedFile is what became of one file.
type fetchedFile struct {
	URL    string   `json:"url"`              // without what is secret in it
	State  string   `json:"state"`            // "fetched", "there", "missing", "failed"
	Size   int64    `json:"size,omitempty"`   // bytes
	Note   string   `json:"note,omitempty"`   // what there is to say of it all the same
	Error  string   `json:"error,omitempty"`  // why it is not there
	Way    string   `json:"way,omitempty"`    // what mends that
	Places []string `json:"places"`           // that ask for it: "pixiecore.hcl:12, kernel of boot debian"
	Lock   string   `json:"lock,omitempty"`   // "locked", "not locked", "differs": as the lock file has it; empty: there is none
	SHA256 string   `json:"sha256,omitempty"` // that it must have, by the lock file or by the configuration
}

// The words of fetchedFile.Lock.
const (
	isLocked    = "locked"
	isNotLocked = "not locked" // since it needs not: see lockSum
	differs     = "differs"    // its server has another than what was locked
)

func places(r config.Remote) (all []string) {
	for _, p := range r.Places {
		all = append(all, fmt.Sprintf("%s, %s of boot %s", p.At(), p.What, p.Boot))
	}
	return all
}

func skippedLine(s config.Skipped) string {
	who := strings.Join(s.Who, ", ")
	if s.More > 0 {
		who += fmt.Sprintf(" and %d more", s.More)
	}
	if who != "" {
		who = " for " + who
	}
	return fmt.Sprintf("left out: %s, %s of boot %s%s: %s", s.At(), s.What, s.Boot, who, s.Why)
}

func skippedLines(all []config.Skipped) (lines []string) {
	for _, s := range all {
		lines = append(lines, skippedLine(s))
	}
	return lines
}

// A fetching is one run of the command.
type fetching struct {
	files []config.Remote
	told  []fetchedFile // likewise
	out   *printer
	quiet bool // tells nothing on the way

	done, fetched, failed int
	bytes                 int64 // of those that are there
	came                  int64 // of those that were fetched
	bar                   *progress
}

// list tells of the files without asking for any.
func (f *fetching) list(dir string) {
	for i, r := range f.files {
		one := &f.told[i]
		if one.State = "missing"; daemon.Holds(dir, r) {
			one.State = "there"
			f.done++
		}
		f.tell(*one)
		if !f.quiet {
			for _, p := range one.Places {
				f.out.printf("         %s\n", f.out.paint(faint, p))
			}
		}
	}
}

// fetch fetches what is missing.
func (f *fetching) fetch(cmd *cobra.Command, dir string, open func() (*booters.Sources, func(), error)) error {
	if err := becomeOwner(dir); err != nil {
		return exitError{exitFailed, err}
	}
	sources, end, err := open()
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; run this by sudo, and it writes as the user to whom the directory belongs", err)
		}
		return exitError{exitFailed, err}
	}
	defer end()
	f.bar = newProgress(cmd.ErrOrStderr(), len(f.files), f.quiet)
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	daemon.Fetch(ctx, sources, f.files, func(i int, have, size int64) { f.bar.seen(f.told[i].URL, i, have, size) }, func(i int, k daemon.Fetched) {
		one := &f.told[i]
		switch {
		case k.Err != nil:
			one.State, one.Error = "failed", k.Err.Error()
			if digest := (*boot.DigestError)(nil); errors.As(k.Err, &digest) && digest.Locked {
				one.Lock = differs
			}
			if !k.OfCache() {
				one.Way = remedy(k.Err, one.URL)
			}
			f.failed++
		case k.Fetched:
			one.State, one.Size, one.Note = "fetched", k.Size, k.Note
			f.fetched, f.came = f.fetched+1, f.came+k.Size
			f.done++
		default:
			one.State, one.Size, one.Note = "there", k.Size, k.Note
			f.done++
		}
		f.bytes += k.Size
		f.bar.clear()
		f.tell(*one)
		f.bar.did(i)
	})
	f.bar.clear()
	return nil
}

// tell prints what became of a file.
func (f *fetching) tell(one fetchedFile) {
	lock := ""
	switch one.Lock {
	case isLocked:
		lock = fmt.Sprintf(", locked to sha256 %.12s…", one.SHA256)
	case isNotLocked:
		lock = ", " + isNotLocked
	}
	switch {
	case f.quiet:
	case one.Error != "":
		word := "failed"
		if one.Lock == differs {
			word = differs
		}
		f.out.printf("%s  %s\n", f.out.paint(red, fmt.Sprintf("%-7s", word)), one.Error)
		if one.Way != "" {
			f.out.printf("         → %s\n", one.Way)
		}
	case one.Size > 0:
		f.out.printf("%s  %s, %s%s\n", f.out.paint(green, fmt.Sprintf("%-7s", one.State)), one.URL, status.Bytes(one.Size), lock)
	default:
		f.out.printf("%-7s  %s%s\n", one.State, one.URL, lock)
	}
	if one.Note != "" && !f.quiet {
		f.out.printf("         %s\n", one.Note)
	}
}

func (f *fetching) sum(dir string, dry bool) string {
	switch {
	case len(f.files) == 0:
		return "The configuration names no file of another server."
	case dry:
		return fmt.Sprintf("%d of %d files have a copy in %s.", f.done, len(f.files), dir)
	case f.fetched == 0:
		return fmt.Sprintf("%d of %d files are in %s; none had to be fetched.", f.done, len(f.files), dir)
	default:
		return fmt.Sprintf("%d of %d files are in %s; %d of them fetched, %s.", f.done, len(f.files), dir, f.fetched, status.Bytes(f.came))
	}
}

// lockSum says how many files the lock file has, and what the others go by: a file that
// it lacks and that nothing else verifies is refused when the configuration is loaded.
func (f *fetching) lockSum(path string) string {
	locked, other := 0, 0
	for _, one := range f.told {
		switch one.Lock {
		case differs:
			other++
			fallthrough
		case isLocked:
			locked++
		}
	}
	s := fmt.Sprintf("%d of %d files are locked by %s", locked, len(f.told), filepath.Base(path))
	if other > 0 {
		s += fmt.Sprintf(", of which %d differ on their servers", other)
	}
	if n := len(f.told) - locked; n > 0 {
		s += fmt.Sprintf("; %d need no lock: the configuration has their sha256, or they are checksums and signatures", n)
	}
	return s + "."
}

// becomeOwner makes root the user to whom the cache belongs, since what root wrote
// there the daemon could not read.
func becomeOwner(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no such directory; make it for the user that the daemon runs as: install -d -m 700 -o USER %s", dir, shellWord(dir))
	}
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(int(st.Gid)), syscall.Setuid(int(st.Uid))); err != nil {
		return fmt.Errorf("%s: become its owner, the user %d: %w", dir, st.Uid, err)
	}
	return nil
}

const (
	redraw   = 100 * time.Millisecond // at most so often
	barCells = 20
)

// A progress is a line at the foot of a terminal, which says how far all files are, and
// the one of which bytes came last.
type progress struct {
	w       io.Writer
	width   int // columns; 0: no terminal, so nothing is drawn
	files   int
	done    int
	have    map[int]int64 // bytes of the files under way
	came    int64         // of those that have ended
	began   time.Time
	drawn   time.Time
	visible bool
}

func newProgress(w io.Writer, files int, quiet bool) *progress {
	p := &progress{w: w, files: files, have: make(map[int]int64), began: time.Now()}
	if p.width, _ = terminal(w); quiet {
		p.width = 0
	}
	return p
}

// seen notes bytes of a file.
func (p *progress) seen(url string, i int, have, size int64) {
	p.have[i] = have
	if now := time.Now(); p.width > 0 && now.Sub(p.drawn) >= redraw {
		p.drawn = now
		p.clear()
		fmt.Fprint(p.w, p.line(url, have, size, now))
		p.visible = true
	}
}

// did notes the end of a file.
func (p *progress) did(i int) {
	p.came += p.have[i]
	delete(p.have, i)
	p.done++
}

// line is what stands there.
func (p *progress) line(url string, have, size int64, now time.Time) string {
	total := p.came
	for _, n := range p.have {
		total += n
	}
	rate := int64(float64(total) / max(now.Sub(p.began).Seconds(), redraw.Seconds()))
	part := ""
	if size > 0 {
		full := int(have * barCells / size)
		part = fmt.Sprintf("[%s%s] %d%% of ", strings.Repeat("#", full), strings.Repeat(" ", barCells-full), have*100/size)
	}
	line := fmt.Sprintf("%d/%d files, %s at %s/s  %s%s", p.done, p.files, status.Bytes(total), status.Bytes(rate), part, url)
	if utf8.RuneCountInString(line) >= p.width {
		line = string([]rune(line)[:max(p.width-1, 0)])
	}
	return line
}

// clear takes the line away.
func (p *progress) clear() {
	if p.visible {
		fmt.Fprint(p.w, "\r\x1b[K") // ECMA-48 §8.3.41: to the end of the line
		p.visible = false
	}
}
