package page

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// Access says who may read. The zero Access is this host.
type Access struct {
	Token       string // what a reader shows; empty: none will do
	Certificate bool   // whether a certificate will do that the listener has verified
}

// guard answers those who may read by h, and tells the others what is missing.
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a Access
		if s.Access != nil {
			a = s.Access()
		}
		if code, why := a.refuses(r); code != 0 {
			if code == http.StatusUnauthorized {
				// RFC 7617 §2: this is what makes a browser ask.
				w.Header().Set("WWW-Authenticate", `Basic realm="pixiecore", charset="UTF-8"`)
				w.Header().Add("WWW-Authenticate", `Bearer realm="pixiecore"`)
			}
			say(w, code, why)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// refuses is 0 for a request that is answered, else a status code with a sentence.
func (a Access) refuses(r *http.Request) (code int, why string) {
	switch {
	case a.Certificate && r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return 0, ""
	case a.Token != "" && a.opens(r):
		return 0, ""
	case a.Token != "":
		return http.StatusUnauthorized, "The status is for those who show the token of the listener: as the password of any user, or as Authorization: Bearer."
	case a.Certificate:
		return http.StatusForbidden, "The status is for those who show a certificate that client_ca of the listener has issued."
	case !netio.FromThisHost(r):
		return http.StatusForbidden, "The status is for programs of its own host. With token = \"…\" or client_ca = \"…\" in the listener, others can read it too."
	case !namesThisHost(r.Host):
		return http.StatusForbidden, "The status was asked for under a name that anybody can let lead here. Ask for it by an IP address or as localhost, or write token = \"…\" into the listener."
	}
	return 0, ""
}

// opens reports whether the request shows the token.
func (a Access) opens(r *http.Request) bool {
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, shown, ok = r.BasicAuth()
	}
	// Digests have one length, whatever is shown.
	got, want := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(a.Token))
	return ok && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// namesThisHost reports whether the name in a request is one that nobody else can
// give to this host: an address, or the name of loopback (RFC 6761 §6.3). HTTP/1.0
// has none.
func namesThisHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	_, err := netip.ParseAddr(host)
	return err == nil || host == "" || strings.EqualFold(host, "localhost")
}
