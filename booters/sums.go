package booters

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cache"
	"github.com/pixiecore/pixiecore/booters/checksums"
)

const (
	// sumsTimeout is how long a file of checksums, with its signature, may take: less
	// than a machine waits for its script.
	sumsTimeout = 20 * time.Second
	// maxSumsKnown is how many verified files of checksums are remembered, and sumsFor
	// how long: keys expire.
	maxSumsKnown = 16
	sumsFor      = time.Minute
)

// Checksums are where the digest of a file stands that its distributor publishes.
type Checksums struct {
	At        string // the absolute path or URL of a SHA256SUMS; empty: there is none
	Signature string // likewise, of its OpenPGP signature; empty: there is none, or it is in the file itself
	Key       string // the absolute path of the public keys of which one must have signed it; empty: none must
}

// sumsPrefix begins the written form of a Source with Checksums,
// "checksums:AT SIGNATURE KEY@PATH-OR-URL": of these three, each blank and "@" is
// escaped as in a URL.
const sumsPrefix = "checksums:"

var sumsEscaper = strings.NewReplacer("%", "%25", " ", "%20", "@", "%40")

func (c Checksums) String() string {
	return sumsEscaper.Replace(c.At) + " " + sumsEscaper.Replace(c.Signature) + " " + sumsEscaper.Replace(c.Key)
}

func parseChecksums(text string) (c Checksums, err error) {
	words := strings.Split(text, " ")
	if len(words) != 3 {
		return c, errors.New("checksums are named by a file, its signature and a key")
	}
	for i, to := range []*string{&c.At, &c.Signature, &c.Key} {
		if *to, err = url.PathUnescape(words[i]); err != nil {
			return Checksums{}, errors.New("the names of checksums are not escaped as they should be")
		}
	}
	if c.At == "" {
		return Checksums{}, errors.New("no file of checksums is named")
	}
	return c, nil
}

func (c Checksums) check() error {
	if c.At == "" {
		return nil
	}
	err := checkAt(c.At)
	if err == nil && c.Signature != "" {
		err = checkAt(c.Signature)
	}
	if err == nil && c.Key != "" && !filepath.IsAbs(c.Key) {
		err = fmt.Errorf("the key %q is no absolute path", c.Key)
	}
	return err
}

// place is that of a file for checksums.Sums.Find.
func (c Checksums) place(of string) (below, base string) {
	if filepath.IsAbs(of) {
		if rel, err := filepath.Rel(filepath.Dir(c.At), of); err == nil && filepath.IsAbs(c.At) && filepath.IsLocal(rel) {
			below = filepath.ToSlash(rel)
		}
		return below, filepath.Base(of)
	}
	u, err := url.Parse(of)
	if err != nil {
		return "", ""
	}
	if sums, err := url.Parse(c.At); err == nil && sums.Scheme == u.Scheme && sums.Host == u.Host {
		below, _ = strings.CutPrefix(u.Path, strings.TrimSuffix(path.Dir(sums.Path), "/")+"/")
		if below == u.Path {
			below = ""
		}
	}
	return below, path.Base(u.Path)
}

// Resolve is the source with the digest that its Checksums say, and without these: for a
// file in an image, that of the image, since those are what is published. A source that
// has none stays as it is. The error wraps boot.ErrUnverified, and is a
// sentence for the machine's screen.
func (s *Sources) Resolve(ctx context.Context, src Source) (Source, error) {
	if src.Sums.At == "" {
		return src, nil
	}
	of := src.Fetched().At
	below, base := src.Sums.place(of)
	sums, err := s.verified(ctx, src.Sums)
	if err == nil {
		src.SHA256, err = sums.Find(below, base)
	}
	if err != nil {
		return Source{}, fmt.Errorf("%s %w by %s: %w", redact(of), boot.ErrUnverified, redact(src.Sums.At), err)
	}
	src.Sums, src.Whole = Checksums{}, of != src.At
	return src, nil
}

// verified fetches a file of checksums, and what vouches for it.
func (s *Sources) verified(ctx context.Context, c Checksums) (checksums.Sums, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, sumsTimeout, fmt.Errorf("no answer within %v", sumsTimeout))
	defer cancel()
	keys, err := s.slurp(ctx, c.Key, checksums.MaxKeys, false)
	if err != nil {
		return nil, fmt.Errorf("its key: %w", err)
	}
	sums, err := s.verify(ctx, c, keys, false)
	if err == nil || filepath.IsAbs(c.At) || c.Signature == "" || filepath.IsAbs(c.Signature) {
		return sums, err
	}
	// The one may have been published anew between the two, or be older in the cache.
	if again, failed := s.verify(ctx, c, keys, true); failed == nil {
		return again, nil
	}
	return nil, err
}

func (s *Sources) verify(ctx context.Context, c Checksums, key []byte, anew bool) (checksums.Sums, error) {
	text, err := s.slurp(ctx, c.At, checksums.MaxSums, anew)
	if err != nil {
		return nil, err
	}
	signature, err := s.slurp(ctx, c.Signature, checksums.MaxSignature, anew)
	if err != nil {
		return nil, fmt.Errorf("its signature: %w", err)
	}
	return s.sums.verify(text, signature, key, time.Now())
}

// slurp reads a small file; nil for an empty name. anew is without the cache.
func (s *Sources) slurp(ctx context.Context, at string, most int, anew bool) ([]byte, error) {
	if at == "" {
		return nil, nil
	}
	r, err := s.open(ctx, at, anew)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > most:
		return nil, fmt.Errorf("%s has more than %d bytes", redact(at), most)
	}
	return text, nil
}

func (s *Sources) open(ctx context.Context, at string, anew bool) (io.ReadCloser, error) {
	keep := s.opts.Cache
	if keep == nil && s.opts.Spool != nil {
		keep, _ = s.opts.Spool() // else each machine costs a transfer
	}
	if keep == nil || anew || filepath.IsAbs(at) {
		plain := s
		if anew {
			plain = s.plain()
		}
		r, _, err := plain.Open(ctx, at)
		return r, err
	}
	f, err := keep.Open(ctx, cache.Request{URL: at, Get: s.fetch})
	if errors.As(err, new(*cache.TooLargeError)) || errors.As(err, new(*cache.DiskError)) {
		r, _, err := s.plain().Open(ctx, at)
		return r, err
	}
	if err != nil {
		return nil, fmt.Errorf("get %q: %w", redact(at), err)
	}
	return f.ReadCloser, nil
}

// plain is s without a cache.
func (s *Sources) plain() *Sources {
	p := *s
	p.opts.Cache, p.opts.Spool = nil, nil
	return &p
}

// knownSums are files of checksums that were verified. They outlive generations.
type knownSums struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]verifiedSums
}

type verifiedSums struct {
	when time.Time
	sums checksums.Sums
}

func newKnownSums() *knownSums {
	return &knownSums{all: make(map[[sha256.Size]byte]verifiedSums)}
}

// verify is checksums.Verify, once for many machines. key and signature may be nil.
func (k *knownSums) verify(text, signature, key []byte, now time.Time) (checksums.Sums, error) {
	h := sha256.New()
	for _, part := range [][]byte{text, signature, key} {
		fmt.Fprintf(h, "%v %d ", part == nil, len(part))
		h.Write(part)
	}
	id := [sha256.Size]byte(h.Sum(nil))
	k.mu.Lock()
	known, ok := k.all[id]
	k.mu.Unlock()
	if age := now.Sub(known.when); ok && age >= 0 && age < sumsFor {
		return known.sums, nil
	}
	var keys *checksums.Keys
	var err error
	if key != nil {
		if keys, err = checksums.ParseKeys(key); err != nil {
			return nil, fmt.Errorf("its key: %w", err)
		}
	}
	sums, err := checksums.Verify(text, signature, keys, now)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.all) >= maxSumsKnown {
		clear(k.all)
	}
	k.all[id] = verifiedSums{now, sums}
	return sums, nil
}

// CheckKey says what is wrong with a file of public keys by which checksums are
// verified. The error is for the operator.
func (s *Sources) CheckKey(ctx context.Context, path string) error {
	text, err := s.slurp(ctx, path, checksums.MaxKeys, false)
	if err != nil {
		return err
	}
	keys, err := checksums.ParseKeys(text)
	if err != nil {
		return err
	}
	return keys.Expired(time.Now())
}

// fixed are the digests that checksums said when they were asked first in a boot, so
// that what is published meanwhile does not mix a kernel of one release with the
// initrd of another.
type fixed struct {
	mu    sync.Mutex
	known map[Source]Source
}

func newFixed() *fixed { return &fixed{known: make(map[Source]Source)} }

// resolve is Sources.Resolve. A Verdict's Render has no context, and whoever waits for
// it waits for others too, so that no machine's leaving ends it.
func (f *fixed) resolve(s *Sources, src Source) (Source, error) {
	if src.Sums.At == "" {
		return src, nil
	}
	f.mu.Lock()
	known, ok := f.known[src]
	f.mu.Unlock()
	if ok {
		return known, nil
	}
	resolved, err := s.Resolve(context.Background(), src)
	if err != nil {
		return Source{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if known, ok := f.known[src]; ok {
		return known, nil
	}
	f.known[src] = resolved
	return resolved, nil
}
