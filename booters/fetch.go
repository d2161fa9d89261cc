package booters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cache"
	"github.com/pixiecore/pixiecore/booters/uploads"
)

const (
	// Of fetching a URL:
	connectTimeout = 5 * time.Second  // DNS and TCP
	tlsTimeout     = 5 * time.Second  // the TLS handshake
	headerTimeout  = 10 * time.Second // from the request to the end of the response's header
	answerTimeout  = 45 * time.Second // from the first connection to the last header, over redirects and proxies
	stallTimeout   = 30 * time.Second // while a reader waits for the next byte
	maxHeader      = 64 << 10         // bytes of a response's header
	maxRedirects   = 5
)

var (
	errStalled  = fmt.Errorf("no byte for %v", stallTimeout)
	errNoAnswer = fmt.Errorf("no answer within %v", answerTimeout)
)

// Sources opens boot files where they are: at an absolute local path or behind
// an http(s) URL.
type Sources struct {
	client  *http.Client
	digests *digests // of local files
	answers *answers // of APIs
	sums    *knownSums
	images  *knownImages
	made    *madeRoom
	refused *refusals
	opts    SourceOptions
}

// SourceOptions say how remote files are fetched. The zero value streams them
// through, and refuses those that have a digest.
type SourceOptions struct {
	// Cache keeps them; nil: they stream through.
	Cache *cache.Cache
	// Spool is asked for a place, where there is no Cache, in which a file with a
	// digest is fetched whole before it is served. Nil: there is none.
	Spool func() (*cache.Cache, error)
	// Uploads keeps what machines send; nil: nobody does.
	Uploads *uploads.Dir
	// TLS is how servers are verified, and what they are shown; nil: by the
	// system's authorities.
	TLS *tls.Config
}

// WithTLS makes Sources that verify servers otherwise.
func (s *Sources) WithTLS(conf *tls.Config) *Sources {
	o := s.opts
	o.TLS = conf
	return s.With(o)
}

// NewSources makes Sources with a client of its own. It takes proxies from the
// environment of that moment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).
func NewSources() *Sources {
	client := newClient(nil)
	return &Sources{client: client, digests: newDigests(), answers: newAnswers(client), sums: newKnownSums(), images: newKnownImages(), made: newMadeRoom(), refused: newRefusals()}
}

// With makes Sources with other options. What is known of local files and what
// APIs have answered is shared, and Close of the one is that of the other.
func (s *Sources) With(o SourceOptions) *Sources {
	return &Sources{client: newClient(o.TLS), digests: s.digests, answers: s.answers, sums: s.sums, images: s.images, made: s.made, refused: s.refused, opts: o}
}

func newClient(conf *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: refuseLinkLocal}
	// http.ProxyFromEnvironment would keep the first answer for the whole process.
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
			TLSClientConfig:        conf,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    tlsTimeout,
			ResponseHeaderTimeout:  headerTimeout,
			MaxResponseHeaderBytes: maxHeader,
			// A file that is decompressed on the way has no known length, and
			// without one iPXE is very slow.
			DisableCompression: true,
			// A connection ends with its file, so that none is left to be
			// closed. Next to a kernel, a handshake weighs nothing.
			DisableKeepAlives: true,
		},
		CheckRedirect: checkRedirect,
	}
}

// checkRedirect is an http.Client's CheckRedirect.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if from := via[len(via)-1].URL; from.Scheme == "https" && r.URL.Scheme == "http" {
		return fmt.Errorf("%q redirects to %q, which is not encrypted: write that URL, with a sha256, if it is meant", redactURL(from), redactURL(r.URL))
	}
	// It would tell one server the query of another, which may be a token.
	r.Header.Del("Referer")
	return checkURL(r.URL)
}

// Close ends what APIs are being asked, and waits for it. Files that are open
// stay open.
func (s *Sources) Close() { s.answers.close() }

// get opens a URL as it streams in.
func (s *Sources) get(ctx context.Context, url string) (io.ReadCloser, int64, error) {
	resp, err := s.getter(url)(ctx, url, http.Header{})
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = &cache.AnswerError{Code: resp.StatusCode, Status: resp.Status}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("get %q: %w", redact(url), err)
	}
	if b, ok := resp.Body.(*body); ok { // an empty file has none in an image
		b.source = url
	}
	return resp.Body, resp.ContentLength, nil
}

// getter is how a URL is fetched, or a file in the image there.
func (s *Sources) getter(at string) cache.Get {
	if _, _, ok := CutImage(at); ok {
		return s.getMember
	}
	return s.fetch
}

// fetch is a cache.Get. Its errors do not name the URL.
func (s *Sources) fetch(ctx context.Context, url string, header http.Header) (_ *http.Response, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			cancel(nil)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, bareURL(err)
	}
	req.Header = header
	req.Header.Set("User-Agent", "pixiecore")
	late := time.AfterFunc(answerTimeout, func() { cancel(errNoAnswer) })
	resp, err := s.client.Do(req)
	late.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, bareURL(err)
	}
	b := &body{body: resp.Body, cancel: cancel, cause: func() error { return context.Cause(ctx) }}
	b.stall = time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	b.stall.Stop() // it runs during Read only
	resp.Body = b
	return resp, nil
}

// cached opens a URL by way of a cache.
func (s *Sources) cached(ctx context.Context, src Source) (io.ReadCloser, int64, error) {
	keep, err := s.opts.Cache, error(nil)
	if keep == nil && s.opts.Spool != nil {
		keep, err = s.opts.Spool()
	}
	if keep == nil && err == nil {
		err = errors.New("what has a digest is fetched whole before it is served, and there is no directory for that")
	}
	var f cache.File
	if err == nil {
		f, err = keep.Open(ctx, s.request(src))
	}
	if err == nil {
		s.refused.forget(src)
		return noted(f.ReadCloser, f.Note), f.Size, nil
	}
	var (
		large *cache.TooLargeError
		disk  *cache.DiskError
	)
	switch {
	case src.SHA256.IsZero() && (errors.As(err, &large) || errors.As(err, &disk)):
		// A cache in trouble must not keep a machine from booting.
		r, size, failed := s.get(ctx, src.At)
		if failed != nil {
			return nil, 0, failed
		}
		return noted(r, "not kept in the cache: "+err.Error()), size, nil
	case errors.As(err, &large) && s.opts.Cache == nil:
		err = fmt.Errorf("it is fetched whole to be verified, for which there are %d bytes: write a cache block with a larger max_size", large.Max)
	}
	err = notKept(src, err)
	if digest := (*boot.DigestError)(nil); errors.As(err, &digest) {
		s.refused.add(src, digest, time.Now())
	}
	return nil, 0, err
}

func (s *Sources) request(src Source) cache.Request {
	return cache.Request{URL: src.At, Want: src.SHA256, Get: s.getter(src.At)}
}

// notKept names the file in an error of a cache.
func notKept(src Source, err error) error {
	if digest := (*boot.DigestError)(nil); errors.As(err, &digest) {
		return &boot.DigestError{File: redact(src.At), Want: digest.Want, Got: digest.Got, Locked: src.Locked} // err belongs to all who asked
	}
	return fmt.Errorf("get %q: %w", redact(src.At), err)
}

// Keep sees to it that a remote file is in the cache: see cache.Cache. The error is for
// the operator, as those of Open are.
func (s *Sources) Keep(ctx context.Context, source string, seen func(have, size int64)) (cache.Kept, error) {
	src, err := ParseSource(source)
	if err == nil {
		src, err = s.Resolve(ctx, src)
	}
	switch {
	case err != nil:
		return cache.Kept{}, err
	case src.Local():
		return cache.Kept{}, fmt.Errorf("%q is a file of this host, which no cache keeps", src.At)
	case s.opts.Cache == nil:
		return cache.Kept{}, fmt.Errorf("get %q: there is no cache to keep it", redact(src.At))
	}
	k, err := s.opts.Cache.Keep(ctx, s.request(src), seen)
	if err != nil {
		return cache.Kept{}, notKept(src, err)
	}
	return k, nil
}

// noted is r, with a note if there is one.
func noted(r io.ReadCloser, note string) io.ReadCloser {
	if note == "" {
		return r
	}
	if f, ok := r.(*os.File); ok {
		return notedFile{f, note}
	}
	return notedReader{r, note}
}

// These implement boot.Noted. A notedFile goes out by sendfile(2) like the file
// in it.
type (
	notedFile struct {
		*os.File
		note string
	}
	notedReader struct {
		io.ReadCloser
		note string
	}
)

func (f notedFile) Note() string   { return f.note }
func (r notedReader) Note() string { return r.note }

// body is a response's body with a limit on how long one Read may wait. The
// time that the reader itself takes does not count: a machine may be slow.
type body struct {
	body   io.ReadCloser
	cancel context.CancelCauseFunc // ends the request
	cause  func() error            // why it was ended
	source string                  // for errors; empty: they do not name it
	stall  *time.Timer
}

func (b *body) Read(p []byte) (int, error) {
	b.stall.Reset(stallTimeout)
	n, err := b.body.Read(p)
	b.stall.Stop()
	if err != nil && err != io.EOF {
		if cause := b.cause(); cause != nil {
			err = cause
		}
		if b.source != "" {
			err = fmt.Errorf("read %q: %w", redact(b.source), err)
		}
	}
	return n, err
}

func (b *body) Close() error {
	b.cancel(nil)
	b.stall.Stop()
	return b.body.Close()
}
