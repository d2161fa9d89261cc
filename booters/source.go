package booters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"syscall"
	"time"
)

const (
	maxSource = 2048 // bytes of a path or URL
	// Of fetching a URL:
	connectTimeout = 5 * time.Second  // DNS and TCP
	tlsTimeout     = 5 * time.Second  // the TLS handshake
	headerTimeout  = 10 * time.Second // from the request to the end of the response's header
	stallTimeout   = 30 * time.Second // while a reader waits for the next byte
	maxHeader      = 64 << 10         // bytes of a response's header
	maxRedirects   = 5
)

var errStalled = fmt.Errorf("no byte for %v", stallTimeout)

// Sources opens boot files where they are: at an absolute local path or behind
// an http(s) URL.
type Sources struct{ client *http.Client }

// NewSources makes Sources with a client of its own. It takes proxies from the
// environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).
func NewSources() *Sources {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: refuseLinkLocal}
	return &Sources{client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
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
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return checkURL(r.URL)
		},
	}}
}

// Open opens a source, and says how many bytes it has, or -1 where the server
// does not tell. A local file is an *os.File, so that http.ServeContent and
// sendfile work on it. What is read from a URL ends with ctx, and with an error
// when the server stalls.
func (s *Sources) Open(ctx context.Context, source string) (io.ReadCloser, int64, error) {
	if err := checkSource(source); err != nil {
		return nil, 0, err
	}
	if !filepath.IsAbs(source) {
		return s.get(ctx, source)
	}
	f, info, err := openRegular(source)
	if err != nil {
		return nil, 0, fmt.Errorf("open %q: %w", source, bare(err))
	}
	return f, info.Size(), nil
}

func (s *Sources) get(ctx context.Context, source string) (_ io.ReadCloser, _ int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			cancel(nil)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("get %q: %w", redact(source), bareURL(err))
	}
	req.Header.Set("User-Agent", "pixiecore")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("get %q: %w", redact(source), bareURL(err))
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, 0, fmt.Errorf("get %q: the server answers %s", redact(source), resp.Status)
	}
	b := &body{body: resp.Body, cancel: cancel, cause: func() error { return context.Cause(ctx) }, source: source}
	b.stall = time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	b.stall.Stop() // it runs during Read only
	return b, resp.ContentLength, nil
}

// body is a response's body with a limit on how long one Read may wait. The
// time that the reader itself takes does not count: a machine may be slow.
type body struct {
	body   io.ReadCloser
	cancel context.CancelCauseFunc // ends the request
	cause  func() error            // why it was ended
	source string
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
		err = fmt.Errorf("read %q: %w", redact(b.source), err)
	}
	return n, err
}

func (b *body) Close() error {
	b.cancel(nil)
	b.stall.Stop()
	return b.body.Close()
}

// checkSource refuses what is neither an absolute path nor an http(s) URL.
func checkSource(source string) error {
	switch {
	case source == "":
		return errors.New("no path or URL is given")
	case len(source) > maxSource:
		return fmt.Errorf("a path or URL of %d bytes is longer than %d", len(source), maxSource)
	case filepath.IsAbs(source):
		return nil
	}
	u, err := url.Parse(source)
	if err != nil {
		return fmt.Errorf("URL %q: %w", redact(source), bareURL(err))
	}
	if u.Scheme == "" {
		return fmt.Errorf("%q is neither an absolute path nor an http or https URL", source)
	}
	return checkURL(u)
}

func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("URL %q: the scheme %q is neither http nor https", redactURL(u), u.Scheme)
	}
	if u.Hostname() == "" {
		return fmt.Errorf("URL %q: it names no host", redactURL(u))
	}
	// A proxy would dial in our place.
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return checkAddr(ip)
	}
	return nil
}

// refuseLinkLocal is a net.Dialer's Control, called when names are resolved.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return checkAddr(to.Addr())
}

// checkAddr refuses RFC 3927 (169.254.0.0/16) and RFC 4291 §2.5.6 (fe80::/10)
// addresses. Clouds serve their machines' credentials there, and a boot file is
// handed to whoever asks.
func checkAddr(ip netip.Addr) error {
	if ip.Unmap().IsLinkLocalUnicast() {
		return fmt.Errorf("%v is a link-local address, where clouds keep credentials: boot files are not fetched from there", ip)
	}
	return nil
}

// redact is a source as it may be shown: without the user, password and query
// of a URL.
func redact(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return "(not a URL)" // so we cannot tell what is secret in it
	}
	return redactURL(u)
}

func redactURL(u *url.URL) string {
	shown := *u
	if shown.User != nil {
		shown.User = url.User("redacted")
	}
	if shown.RawQuery != "" {
		shown.RawQuery = "redacted"
	}
	return shown.String()
}

// bareURL takes the method and URL off an error: they have been named, and the
// URL may hold a password.
func bareURL(err error) error {
	if u := new(url.Error); errors.As(err, &u) {
		return u.Err
	}
	return err
}
