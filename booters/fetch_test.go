package booters

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fetched is what a source holds, or the sentence why it is not had.
func fetched(s *Sources, source string) string {
	b, _, err := readAll(s, source)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// quiet is a server of https whose log nobody reads.
func quiet(t *testing.T, h http.HandlerFunc, conf *tls.Config) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.TLS, srv.Config.ErrorLog = conf, log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// trusting are Sources that trust a server.
func trusting(srv *httptest.Server, certs ...tls.Certificate) *Sources {
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return NewSources().WithTLS(&tls.Config{RootCAs: pool, Certificates: certs})
}

func TestARedirectLeadsFromHTTPToHTTPSButNotBack(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "plain") }))
	t.Cleanup(plain.Close)
	secure := quiet(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, plain.URL+"/linux?token=hunter2", http.StatusFound)
			return
		}
		io.WriteString(w, "secure")
	}, nil)
	up := httptest.NewServer(http.RedirectHandler(secure.URL+"/linux", http.StatusMovedPermanently))
	t.Cleanup(up.Close)
	s := trusting(secure)
	if got := fetched(s, up.URL); got != "secure" {
		t.Errorf("from http to https: got %s", got)
	}
	want := `"` + secure.URL + `/down" redirects to "` + plain.URL + `/linux?redacted", which is not encrypted: write that URL, with a sha256, if it is meant`
	if got := fetched(s, secure.URL+"/down"); !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
		t.Errorf("from https to http: got %s, want %s", got, want)
	}
}

// What stands behind the question mark may be a token of the first server.
func TestARedirectTellsTheNextServerNothingOfTheLast(t *testing.T) {
	seen := make(chan http.Header, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	t.Cleanup(other.Close)
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	t.Cleanup(first.Close)
	fetched(NewSources(), strings.Replace(first.URL, "http://", "http://user:hunter2@", 1)+"/linux?token=hunter2")
	for name, values := range <-seen {
		if name == "Referer" || strings.Contains(strings.Join(values, " "), "hunter2") || name == "Authorization" {
			t.Errorf("the second server is told %s: %q", name, values)
		}
	}
}

func TestAtMostFiveRedirects(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left, more := strings.CutPrefix(r.URL.Path, "/x"); more {
			http.Redirect(w, r, left, http.StatusFound)
			return
		}
		io.WriteString(w, "kernel")
	}))
	t.Cleanup(srv.Close)
	if got := fetched(NewSources(), srv.URL+strings.Repeat("/x", maxRedirects)+"/linux"); got != "kernel" {
		t.Errorf("after five: got %s", got)
	}
	if got := fetched(NewSources(), srv.URL+strings.Repeat("/x", maxRedirects+1)+"/linux"); !strings.Contains(got, "more than 5 redirects") {
		t.Errorf("after six: got %s", got)
	}
}

// A proxy notes whom it was asked for, and answers in their place.
type proxy struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newProxy(t *testing.T) *proxy {
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+r.Host)
		p.mu.Unlock()
		switch {
		case r.Method == http.MethodConnect:
			http.Error(w, "no", http.StatusForbidden)
		case r.URL.Path == "/to-metadata":
			http.Redirect(w, r, "http://[::ffff:169.254.169.254]/latest", http.StatusFound)
		case r.URL.Path == "/to-a-number":
			http.Redirect(w, r, "http://2852039166/latest", http.StatusFound)
		default:
			io.WriteString(w, "from the proxy")
		}
	}))
	t.Cleanup(p.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, p.URL)
	}
	t.Setenv("NO_PROXY", "inside.example")
	t.Setenv("no_proxy", "inside.example")
	return p
}

// A proxy is of the environment, and may be anywhere, on this host as here. What it
// is asked for is checked, as far as it is an address: a name, it resolves itself.
func TestAProxyIsAskedForNoAddressThatWeWouldNotDial(t *testing.T) {
	p := newProxy(t)
	s := NewSources()
	for source, want := range map[string]string{
		"http://mirror.example/linux":       "from the proxy",
		"https://mirror.example/linux":      "Forbidden",
		"http://169.254.169.254/latest":     "is a link-local address",
		"http://[fd00:ec2::254]/latest":     "is an address where clouds keep credentials",
		"https://[64:ff9b::a9fe:a9fe]/":     "is a link-local address",
		"http://2852039166/latest":          "is no name, and no address",
		"http://mirror.example/to-metadata": "is a link-local address",
		"http://mirror.example/to-a-number": "is no name, and no address",
	} {
		if got := fetched(s, source); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", source, got, want)
		}
	}
	slices.Sort(p.asked)
	if got, want := strings.Join(p.asked, ", "), "CONNECT mirror.example:443, GET mirror.example, GET mirror.example, GET mirror.example"; got != want {
		t.Errorf("the proxy was asked for %s, want %s", got, want)
	}
	// Whom NO_PROXY names is dialled, and so is the proxy itself: by the same dial.
	tr := s.client.Transport.(*http.Transport)
	if u, err := tr.Proxy(&http.Request{URL: &url.URL{Scheme: "http", Host: "inside.example"}}); u != nil || err != nil {
		t.Errorf("for inside.example: the proxy %v, %v", u, err)
	}
	t.Setenv("HTTP_PROXY", "http://169.254.1.1:3128")
	t.Setenv("http_proxy", "http://169.254.1.1:3128")
	if got := fetched(NewSources(), "http://mirror.example/linux"); !strings.Contains(got, "169.254.1.1 is a link-local address") {
		t.Errorf("by a proxy with a link-local address: got %s", got)
	}
}

func TestAClientCertificateIsShown(t *testing.T) {
	srv := quiet(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "kernel") }, &tls.Config{ClientAuth: tls.RequireAnyClientCert})
	if got := fetched(trusting(srv), srv.URL); !strings.Contains(got, "certificate required") {
		t.Errorf("without one: got %s", got)
	}
	if got := fetched(trusting(srv, srv.TLS.Certificates[0]), srv.URL); got != "kernel" {
		t.Errorf("with one: got %s", got)
	}
	if got := fetched(NewSources(), srv.URL); !strings.Contains(got, "certificate signed by unknown authority") {
		t.Errorf("by the system's authorities: got %s", got)
	}
}

// A server that answers each request in time, and never with the file, is given up
// as well: here a proxy that does not answer CONNECT.
func TestAnAnswerHasATimeLimitOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := upstream(func(c net.Conn) { c.Read(make([]byte, 1)) })
		s.client.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example"})
		start := time.Now()
		_, _, err := s.Open(t.Context(), "https://example.com/linux")
		if got := time.Since(start); err == nil || !strings.Contains(err.Error(), "no answer within 45s") || got != answerTimeout {
			t.Errorf("got %v after %v, want an error after %v", err, got, answerTimeout)
		}
		time.Sleep(time.Minute) // for the transport, which dials on by itself
	})
}
