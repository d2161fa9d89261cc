package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pixiecore/pixiecore/config"
)

// credentials are the files with certificates and keys that a configuration names.
// They are watched: programs renew them, of their own accord, under their names.
func credentials(cfg *config.Config) (paths []string) {
	add := func(all ...string) {
		for _, path := range all {
			if path != "" {
				paths = append(paths, path)
			}
		}
	}
	for _, l := range cfg.Listeners {
		add(l.Cert, l.Key, l.ClientCA)
	}
	add(cfg.Fetch.CA, cfg.Fetch.Cert, cfg.Fetch.Key)
	return paths
}

// loadCertificate reads the certificate of an https listener; nil without an error
// for a listener that has none. The error is one for the operator.
func loadCertificate(l config.Listener) (*tls.Config, error) {
	if l.Cert == "" {
		return nil, nil
	}
	at := ""
	if l.Pos != "" {
		at = l.Pos + ": "
	}
	pair, err := tls.LoadX509KeyPair(l.Cert, l.Key)
	if err != nil {
		return nil, fmt.Errorf("%slistener %q %s: certificate %s with key %s: %w; both are PEM files that the user of the daemon can read, the certificate with those that lead to its issuer behind it",
			at, l.Kind, l.Address, l.Cert, l.Key, err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if l.ClientCA == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(l.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("%slistener %q %s: client_ca: %w; the user of the daemon must be able to read it", at, l.Kind, l.Address, err)
	}
	if conf.ClientCAs = x509.NewCertPool(); !conf.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%slistener %q %s: client_ca: %s holds no certificate; it is a PEM file with those of the authorities", at, l.Kind, l.Address, l.ClientCA)
	}
	// Who shows none is refused by the server behind, with a sentence, unless the
	// token will do; and health is told to anybody.
	conf.ClientAuth = tls.VerifyClientCertIfGiven
	return conf, nil
}

// fetchTLS reads what the fetch block names. The error is one for the operator.
func fetchTLS(f config.Fetch) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w; the user of the daemon must be able to read it", err)
		}
		// Beside the system's: public mirrors go on working.
		if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
			conf.RootCAs = x509.NewCertPool()
		}
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate; it is a PEM file with those of the authorities", f.CA)
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w; both are PEM files that the user of the daemon can read", f.Cert, f.Key, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// soon is how long before its end a certificate is said to end.
const soon = 7 * 24 * time.Hour

// doubts says in sentences why machines may refuse what an https listener shows.
func doubts(c *tls.Config, l config.Listener, now time.Time) (all []string) {
	if c == nil {
		return nil
	}
	leaf := c.Certificates[0].Leaf
	switch {
	case now.After(leaf.NotAfter):
		all = append(all, fmt.Sprintf("it has expired on %s; renew it, and it is read again", leaf.NotAfter.Format(time.DateOnly)))
	case now.Add(soon).After(leaf.NotAfter):
		all = append(all, fmt.Sprintf("it expires on %s; renew it, and it is read again", leaf.NotAfter.Format(time.DateOnly)))
	case now.Before(leaf.NotBefore):
		all = append(all, fmt.Sprintf("it begins on %s: is the clock of this host right?", leaf.NotBefore.Format(time.DateOnly)))
	}
	// Machines are told addresses, since they may have no name server.
	if a := told(l); l.Kind == config.HTTP && a.IsValid() && leaf.VerifyHostname(a.String()) != nil {
		all = append(all, fmt.Sprintf("it is not for %s, the address that machines are told; issue one with that IP address in it", a))
	}
	return all
}

// maybeTLS speaks TLS on each connection for which there is a configuration when it
// is accepted, so that a reload can bring certificates, new ones, or none.
type maybeTLS struct {
	net.Listener
	config func() *tls.Config
}

func (m maybeTLS) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if conf := m.config(); conf != nil {
		return tls.Server(c, conf), nil
	}
	return c, nil
}
