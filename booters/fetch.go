package booters

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
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
type Sources struct {
	client  *http.Client
	digests *digests // of local files
	answers *answers // of APIs
}

// NewSources makes Sources with a client of its own. It takes proxies from the
// environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).
func NewSources() *Sources {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: refuseLinkLocal}
	s := &Sources{digests: newDigests(), client: &http.Client{
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
	s.answers = newAnswers(s.client)
	return s
}

// Close ends what APIs are being asked, and waits for it. Files that are open
// stay open.
func (s *Sources) Close() { s.answers.close() }

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
