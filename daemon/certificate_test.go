package daemon

import (
	"archive/zip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

// certify writes a certificate for 127.0.0.1 that signs itself, and its key, and
// returns a client that trusts it.
func certify(t testing.TB, cert, key string, serial int64, from, until time.Time) *http.Client {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: from, NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// fetch returns the body and the serial number of the certificate.
func fetch(t testing.TB, c *http.Client, url string) (body string, serial int64) {
	t.Helper()
	resp, err := c.Get(url)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.TLS != nil {
		serial = resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	return string(b), serial
}

func TestHTTPS(t *testing.T) {
	dir := t.TempDir()
	path, cert, key := filepath.Join(dir, "pixiecore.hcl"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	now := time.Now()
	client := certify(t, cert, key, 1, now.Add(-time.Hour), now.Add(30*24*time.Hour))
	secure, plain, health := free(t), free(t), free(t)
	const pair = "cert = \"cert.pem\"\n  key = \"key.pem\""
	both := listen("http", secure, pair) + listen("http", plain) + listen("status", health, pair) + listen("pxe", "127.0.0.1:0") + everyLocal
	write(t, path, both)
	o := options(t, path)
	o.Path = "" // each reload is this test's
	d := run(t, o)

	body, serial := fetch(t, client, "https://"+secure+"/boot.ipxe")
	if serial != 1 || !strings.Contains(body, "https://"+secure+"/") || strings.Contains(body, "http://") {
		t.Errorf("certificate %d, and the script leads elsewhere:\n%s", serial, body)
	}
	if body, _ := fetch(t, client, "https://"+health+"/healthz"); body != "ok\n" {
		t.Errorf("status: %q", body)
	}
	// The file says https, and a machine that loads from the plain one is sent there.
	if body, _ := fetch(t, client, "http://"+plain+"/boot.ipxe"); !strings.Contains(body, "https://"+secure+"/") {
		t.Errorf("from the plain server:\n%s", body)
	}
	web := func(addr string, secure bool) bootfiles.Web {
		a := netip.MustParseAddrPort(addr)
		return bootfiles.Web{Addr: a.Addr(), Port: a.Port(), TLS: secure}
	}
	want := &dhcp4.Settings{Web: web(secure, true), Plain: web(plain, false)}
	if diff := cmp.Diff(want, service[*dhcp4.Server](t, d).Settings(), cmp.Comparer(equal[netip.Addr])); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	// The files change under their names, as a renewal has it.
	renewed := certify(t, cert, key, 2, now.Add(-time.Hour), now.Add(60*24*time.Hour))
	if _, serial := fetch(t, client, "https://"+secure+"/boot.ipxe"); serial != 1 {
		t.Errorf("certificate %d before a reload", serial)
	}
	must(t, d.Reload())
	if _, serial := fetch(t, renewed, "https://"+secure+"/boot.ipxe"); serial != 2 {
		t.Errorf("certificate %d after the reload", serial)
	}
	// A pair that does not fit refuses the reload, and the one that runs stays.
	write(t, key, "no key")
	if err := d.Reload(); err == nil || !strings.Contains(err.Error(), "key.pem") {
		t.Errorf("got %v", err)
	}
	if _, serial := fetch(t, renewed, "https://"+secure+"/boot.ipxe"); serial != 2 {
		t.Errorf("certificate %d after a reload that was refused", serial)
	}
	// A listener can become plain on the same socket, and machines are told so.
	write(t, path, listen("http", secure)+listen("http", plain)+listen("pxe", "127.0.0.1:0")+everyLocal)
	must(t, d.Reload())
	if body, _ := fetch(t, client, "http://"+plain+"/boot.ipxe"); !strings.Contains(body, "http://"+plain+"/") {
		t.Errorf("plain again:\n%s", body)
	}
	if body, _ := fetch(t, client, "http://"+secure+"/boot.ipxe"); !strings.Contains(body, "http://"+secure+"/") {
		t.Errorf("plain on the socket of https:\n%s", body)
	}
}

// A program that renews a certificate tells nobody. It is no edit: it is not held, and
// the key is not in the copy of the configuration.
func TestARenewedCertificateIsServed(t *testing.T) {
	dir := t.TempDir()
	path, cert, key := filepath.Join(dir, "pixiecore.hcl"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	now := time.Now()
	certify(t, cert, key, 1, now.Add(-time.Hour), now.Add(30*24*time.Hour))
	secure := free(t)
	write(t, path, listen("http", secure, "cert = \"cert.pem\"\n  key = \"key.pem\"")+everyLocal+"reload {\n  mode = \"manual\"\n}\n")
	var log lines
	o := options(t, path)
	o.Log = log.log()
	run(t, o)
	log.await(t, "watching", log.said("configuration watched"))

	renewed := certify(t, cert, key, 2, now.Add(-time.Hour), now.Add(60*24*time.Hour))
	log.await(t, "a reload", log.said("configuration reloaded"))
	if _, serial := fetch(t, renewed, "https://"+secure+"/boot.ipxe"); serial != 2 {
		t.Errorf("certificate %d after a renewal", serial)
	}
	z, err := zip.OpenReader(filepath.Join(o.StateDir, lastGood))
	must(t, err)
	defer z.Close()
	for _, f := range z.File {
		if f.Name != member(path) {
			t.Errorf("a copy of %s is kept", f.Name)
		}
	}
}

func TestDoubtsOfACertificate(t *testing.T) {
	dir := t.TempDir()
	l := config.Listener{Kind: config.HTTP, Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), Address: netip.MustParseAddrPort("127.0.0.1:443")}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	certify(t, l.Cert, l.Key, 1, from, from.Add(90*24*time.Hour))
	conf, err := loadCertificate(l)
	must(t, err)
	other := l
	other.Advertise = netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		name string
		l    config.Listener
		days int
		want string // part of it; empty: there is none
	}{
		{"in its time", l, 1, ""},
		{"early", l, -1, "begins on 2026-01-01"},
		{"late", l, 85, "expires on 2026-04-01"},
		{"too late", l, 91, "has expired on 2026-04-01"},
		{"for another address", other, 1, "not for 192.0.2.1"},
	} {
		got := strings.Join(doubts(conf, tc.l, from.Add(time.Duration(tc.days)*24*time.Hour)), "; ")
		if got == "" && tc.want != "" || tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	if conf, err := loadCertificate(config.Listener{}); conf != nil || err != nil || doubts(conf, l, from) != nil {
		t.Errorf("plain: %v, %v", conf, err)
	}
}

// A reload turns single_port on for transfers that begin after it.
func TestSinglePortIsASetting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	file := func(more ...string) string {
		return listen("tftp", "127.0.0.1:0", more...) + listen("http", free(t)) + everyLocal
	}
	write(t, path, file())
	o := options(t, path)
	o.Path = ""
	d := run(t, o)
	server := service[*tftp.Server](t, d)
	for _, single := range []bool{true, false} {
		more := ""
		if single {
			more = "single_port = true"
		}
		write(t, path, file(more))
		must(t, d.Reload())
		if got := server.SinglePort(); got != single {
			t.Errorf("single port: %v, want %v", got, single)
		}
		if _, err := pxeclient.Fetch(t.Context(), server.Conn.LocalAddr(), "autoexec.ipxe", pxeclient.FetchOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// A listener for others takes the token, or a certificate of an authority, and tells
// health to anybody.
func TestStatusForOthers(t *testing.T) {
	dir := t.TempDir()
	path, now := filepath.Join(dir, "pixiecore.hcl"), time.Now()
	server := certify(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), 1, now.Add(-time.Hour), now.Add(30*24*time.Hour))
	certify(t, filepath.Join(dir, "reader.pem"), filepath.Join(dir, "reader-key.pem"), 2, now.Add(-time.Hour), now.Add(30*24*time.Hour))
	certify(t, filepath.Join(dir, "stranger.pem"), filepath.Join(dir, "stranger-key.pem"), 3, now.Add(-time.Hour), now.Add(30*24*time.Hour))
	at := free(t)
	const pair = "cert = \"cert.pem\"\n  key = \"key.pem\"\n  "
	write(t, path, listen("http", "127.0.0.1:0")+listen("status", at, pair+"client_ca = \"reader.pem\"\n  token = \"0123456789abcdef\"")+everyLocal)
	run(t, options(t, path))

	ask := func(certificate, token, path string) int {
		t.Helper()
		c := *server
		tr := server.Transport.(*http.Transport).Clone()
		if certificate != "" {
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certificate+".pem"), filepath.Join(dir, certificate+"-key.pem"))
			must(t, err)
			// Also one that the server has not asked for.
			tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		c.Transport = tr
		req, err := http.NewRequest("GET", "https://"+at+path, nil)
		must(t, err)
		if token != "" {
			req.SetBasicAuth("", token)
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, tc := range []struct {
		certificate, token, path string
		want                     int
	}{
		{"reader", "", "/api/v1/status", 200},
		{"", "0123456789abcdef", "/api/v1/status", 200},
		{"", "", "/api/v1/status", 401},
		{"", "fedcba9876543210", "/api/v1/status", 401},
		{"stranger", "0123456789abcdef", "/api/v1/status", 0}, // the handshake fails
		{"", "", "/healthz", 200},
		{"", "", "/readyz", 200},
	} {
		if got := ask(tc.certificate, tc.token, tc.path); got != tc.want {
			t.Errorf("%+v: got %d", tc, got)
		}
	}
}

// Who is ready answers machines.
func TestReadiness(t *testing.T) {
	path, at := filepath.Join(t.TempDir(), "pixiecore.hcl"), free(t)
	write(t, path, listen("status", at)+listen("http", "127.0.0.1:0")+everyLocal)
	o := options(t, path)
	o.Path = ""
	d, err := New(o)
	must(t, err)
	if err := (operator{d}).Ready(); err == nil || !strings.Contains(err.Error(), "starts") {
		t.Errorf("before it runs: %v", err)
	}
	d.Close()

	d = run(t, o)
	if code, body := get(t, "http://"+at+"/readyz"); code != 200 {
		t.Errorf("got %d %q", code, body)
	}
	write(t, path, listen("status", at)+everyLocal)
	must(t, d.Reload())
	if code, body := get(t, "http://"+at+"/readyz"); code != 503 || !strings.Contains(body, "no listener boots machines") {
		t.Errorf("with a listener for the status alone: got %d %q", code, body)
	}
}
