package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// lockName is the file in the folder of a configuration that has the digests of the
// files of other servers. It is no part of a directory that is a configuration.
const lockName = "pixiecore.lock.hcl"

// LockPath is where the lock file of the configuration at path is: beside a file, in a
// directory.
func LockPath(path string, dir bool) string {
	if !dir {
		path = filepath.Dir(path)
	}
	return filepath.Join(path, lockName)
}

// A Lock is a lock file: what the files of other servers were when `pixiecore lock` was
// run, by their places as booters.Source has them.
type Lock struct {
	Path  string // absolute
	Files map[string]booters.Upstream
}

// lockHeader begins a lock file.
const lockHeader = `# Written by "pixiecore lock": what the files of other servers are that the
# configuration in this directory names. A file of theirs that is not here, or is
# another one, is not served. Keep it with the configuration; change it by
#
#   pixiecore lock                  what is new, and what is not needed any more
#   pixiecore lock --update [URL…]  what has changed on its server
#   pixiecore lock --check          say what has
`

// Bytes is the lock file.
func (l *Lock) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString(lockHeader)
	for _, at := range slices.Sorted(maps.Keys(l.Files)) {
		up := l.Files[at]
		fmt.Fprintf(&b, "\nfile %s {\n", hclText(at))
		all := [][2]string{{"sha256", hclText(up.SHA256.String())}, {"size", strconv.FormatInt(up.Size, 10)}}
		if up.ETag != "" {
			all = append(all, [2]string{"etag", hclText(up.ETag)})
		}
		if up.Modified != "" {
			all = append(all, [2]string{"modified", hclText(up.Modified)})
		}
		width := 0
		for _, one := range all {
			width = max(width, len(one[0]))
		}
		for _, one := range all {
			fmt.Fprintf(&b, "  %-*s = %s\n", width, one[0], one[1])
		}
		b.WriteString("}\n")
	}
	return b.Bytes()
}

// hclText writes a text as HCL reads it.
func hclText(s string) string { return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()) }

// ParseLock reads a lock file.
func ParseLock(path string, src []byte) (*Lock, *Report) {
	r := newReport()
	r.sources[path] = src
	d := &decoder{Report: r}
	l := d.parseLock(path, src)
	if r.Err() != nil {
		return nil, r
	}
	return l, r
}

// parseLock reads a lock file, whose places are shown under name.
func (d *decoder) parseLock(name string, src []byte) *Lock {
	const way = "It is written by `pixiecore lock`: put the one back that was there, or remove it and run that again."
	l := &Lock{Path: name, Files: make(map[string]booters.Upstream)}
	if dense(src) {
		d.file(name, sumLock, "It has too many words and signs. "+way)
		return nil
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	if _, deep := split(tokens, name); deep != nil {
		d.errorf(*deep, sumLock, "Too much stands in each other here. %s", way)
		return nil
	}
	f, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		first := firstError(diags)
		d.errorf(*first.Subject, sumLock, "%s %s", first.Detail, way)
		return nil
	}
	body := f.Body.(*hclsyntax.Body)
	for _, a := range body.Attributes {
		d.errorf(a.NameRange, sumLock, "There is nothing but file blocks in a lock file. %s", way)
	}
	for _, b := range body.Blocks {
		if b.Type != "file" || len(b.Labels) != 1 || len(b.Body.Blocks) > 0 {
			d.errorf(b.DefRange(), sumLock, "There is nothing but file blocks in a lock file, with one label each. %s", way)
			continue
		}
		up, bad := lockEntry(b)
		if bad != "" {
			d.errorf(b.DefRange(), sumLock, "%s. %s", bad, way)
			continue
		}
		if _, twice := l.Files[b.Labels[0]]; twice {
			d.errorf(b.LabelRanges[0], sumLock, "It stands here twice, as after a merge of two versions: take one of the blocks out, or run `pixiecore lock` again without the file.")
		}
		l.Files[b.Labels[0]] = up
	}
	return l
}

// lockEntry reads a file block, and says what is wrong with it.
func lockEntry(b *hclsyntax.Block) (up booters.Upstream, bad string) {
	for name, a := range b.Body.Attributes {
		v, diags := a.Expr.Value(nil)
		isText := v.Type() == cty.String && v.IsKnown() && !v.IsNull()
		switch {
		case diags.HasErrors():
			return up, "The value of " + name + " is no constant"
		case name == "size" && v.Type() == cty.Number && v.IsKnown() && !v.IsNull():
			n, accuracy := v.AsBigFloat().Int64()
			if up.Size = n; accuracy != big.Exact || n < 0 {
				return up, "The size is no number of bytes"
			}
		case name == "sha256" && isText:
			var err error
			if up.SHA256, err = boot.ParseDigest(v.AsString()); err != nil {
				return up, "The sha256 is no digest"
			}
		case name == "etag" && isText:
			up.ETag = v.AsString()
		case name == "modified" && isText:
			up.Modified = v.AsString()
		default:
			return up, fmt.Sprintf("There is no %s of this kind in a lock file of this version", name)
		}
	}
	if up.SHA256.IsZero() {
		return up, "It has no sha256"
	}
	return up, ""
}

// readLock reads the lock file of what is loaded, if there is one. That it may come to
// be is known to whoever watches the files that were looked at.
func (d *decoder) readLock() {
	if d.disk.open == nil || d.piped {
		return
	}
	path := LockPath(d.abs, false) // of a directory, abs is a pattern in it
	src, err := d.disk.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	name := filepath.Join(filepath.Dir(d.name), lockName)
	if filepath.Dir(d.abs) == d.name || isPattern(d.abs) {
		name = filepath.Join(d.name, lockName)
	}
	if err != nil {
		d.file(name, sumLock, fmt.Sprintf("%v. The user that pixiecore runs as must be able to read it.", err))
		return
	}
	d.sources[name] = src
	if d.lock = d.parseLock(name, src); d.lock != nil {
		d.lock.Path = path
	}
	d.cfg.Lock = d.lock
}

// locked makes a value that was checked into one of which every file of another server
// has its digest: a source, or a command line with markers. Without a lock file, and
// where it is a secret which files there are, it stays as it is.
func (p *phrase) locked(value string) (string, *refusal) {
	switch {
	case p.scope.lock == nil || p.secret:
		return value, nil
	case p.file:
		return p.lockedSource(value)
	case !strings.HasPrefix(p.name, "cmdline"):
		return value, nil
	}
	var line strings.Builder
	for rest := value; ; {
		before, marker, found := strings.Cut(rest, "{{")
		line.WriteString(before)
		if !found {
			return line.String(), nil
		}
		inner, behind, _ := strings.Cut(marker, "}}")
		fn, arg, _ := strings.Cut(strings.TrimSpace(inner), " ")
		if source, err := strconv.Unquote(strings.TrimSpace(arg)); err == nil && (fn == "ID" || fn == "URL") {
			locked, refused := p.lockedSource(source)
			if refused != nil {
				return "", refused
			}
			inner = fmt.Sprintf(" %s %q ", fn, locked)
		}
		fmt.Fprintf(&line, "{{%s}}", inner)
		rest = behind
	}
}

// lockedSource is a source with the digest of the lock file. What the configuration
// says itself stands.
func (p *phrase) lockedSource(text string) (string, *refusal) {
	src, err := booters.ParseSource(text)
	if err != nil || p.scope.lock == nil || src.Local() || !src.SHA256.IsZero() {
		return text, nil
	}
	fetched := src.Fetched()
	up, ok := p.scope.lock.Files[fetched.At]
	if !ok {
		return "", &refusal{sumUnlocked, fmt.Sprintf("%s is not in %s, and so is not served: nobody has said what it must be. `pixiecore lock` fetches it once and adds it.", booters.ShownSource(fetched.At), lockName)}
	}
	return booters.Source{At: src.At, SHA256: up.SHA256, Locked: true, Whole: fetched.At != src.At}.String(), nil
}

// lockedLink is link for a phrase.
func (p *phrase) lockedLink(link func(booters.Target) (string, error)) func(booters.Target) (string, error) {
	if p.scope.lock == nil || p.secret || link == nil {
		return link
	}
	return func(t booters.Target) (string, error) {
		if t.Source != "" {
			locked, refused := p.lockedSource(t.Source)
			if refused != nil {
				return "", refused
			}
			t.Source = locked
		}
		return link(t)
	}
}

// maxUnlocked is how many files are listed in one problem.
const maxUnlocked = 5

// checkLock refuses what hangs on the machine and is not in the lock file; constants
// are refused where they stand.
func (d *decoder) checkLock() {
	if d.lock == nil {
		return
	}
	all, err := d.cfg.Remotes(context.Background())
	if err != nil {
		d.Report.file(d.name, sumLock, fmt.Sprintf("%v.", err))
		return
	}
	type place struct {
		hcl.Range
		what string
	}
	var order []place
	missing := make(map[place][]string)
	for _, r := range all.Files {
		if !r.Source.SHA256.IsZero() || len(r.Places) == 0 {
			continue
		}
		for _, p := range r.Places {
			if p.What == whatChecksums || p.What == whatSignature { // which say what was locked
				continue
			}
			at := place{p.at, p.What}
			if missing[at] == nil {
				order = append(order, at)
			}
			missing[at] = append(missing[at], r.Shown())
		}
	}
	for _, at := range order {
		urls := missing[at]
		shown := strings.Join(urls[:min(len(urls), maxUnlocked)], ", ")
		if more := len(urls) - maxUnlocked; more > 0 {
			shown += fmt.Sprintf(" and %d more", more)
		}
		d.errorf(at.Range, sumUnlocked, "Machines may come to need %s, which %s does not have, and so they are not served: nobody has said what they must be. `pixiecore lock` fetches them once and adds them; where there is none for some platform, leave that out by arch or firmware in the rule.", shown, lockName)
	}
}
