package booters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const maxSource = 2048 // bytes of a path or URL

// A Source is where a boot file is, and what it must be.
type Source struct {
	At     string      // an absolute path or an http(s) URL, or a file in the image there (InImage)
	SHA256 boot.Digest // of its content; the zero Digest: whatever is there
	Locked bool        // SHA256 is that of the lock file
	Whole  bool        // SHA256 is that of the whole image in which the file is
	Sums   Checksums   // say the digest, where SHA256 does not: of the image, if the file is in one
}

// The written form of a Source with a digest is "sha256:DIGEST@PATH-OR-URL", with another
// word where the digest comes of the lock file, or is that of the image in which the file
// is. No path or URL begins so, and neither as one with Checksums does.
var digestForms = [...]digestForm{
	{prefix: digestPrefix},
	{prefix: "locked:", locked: true},
	{prefix: "within:", whole: true},
	{prefix: "lockin:", locked: true, whole: true},
}

type digestForm struct {
	prefix        string
	locked, whole bool
}

const (
	digestPrefix = "sha256:" // none is longer
	digestLen    = len(digestPrefix) + 2*len(boot.Digest{}) + len("@")
)

// String is the Source as ParseSource reads it, and as it stands in the Kernel
// and Initrd of a Spec of sources: the path or URL, behind the digest if it has
// one.
func (s Source) String() string {
	switch {
	case s.Sums.At != "":
		return sumsPrefix + s.Sums.String() + "@" + s.At
	case s.SHA256.IsZero():
		return s.At
	}
	form := slices.IndexFunc(digestForms[:], func(f digestForm) bool { return f.locked == s.Locked && f.whole == s.Whole })
	return digestForms[form].prefix + s.SHA256.String() + "@" + s.At
}

// Local reports whether the source is a file of this host, or in one.
func (s Source) Local() bool {
	if image, _, ok := CutImage(s.At); ok {
		return filepath.IsAbs(image)
	}
	return filepath.IsAbs(s.At)
}

// ParseSource reads what String writes. The error is for the operator, and shows
// nothing of a URL that may be secret.
func ParseSource(text string) (Source, error) {
	s, err := splitSource(text)
	if err != nil {
		return Source{}, err
	}
	if err := s.Sums.check(); err != nil {
		return Source{}, fmt.Errorf("checksums: %w", err)
	}
	if _, _, inImage := CutImage(s.At); s.Whole && !inImage {
		return Source{}, errors.New("the digest of an image stands before what is not in one")
	}
	return s, checkAt(s.At)
}

// CutDigest reads what String writes, where the paths need not be absolute. It is
// false for a source with neither a digest nor checksums, which it returns as it is.
func CutDigest(text string) (Source, bool) {
	s, err := splitSource(text)
	return s, err == nil && s.Verified()
}

// Fetched is what a remote source is fetched as, and its digest or checksums are for: the
// whole image, where they are those of one, else the file.
func (s Source) Fetched() Source {
	image, _, ok := CutImage(s.At)
	if !ok || !s.Whole && s.Sums.At == "" {
		return s
	}
	return Source{At: image, SHA256: s.SHA256, Locked: s.Locked, Sums: s.Sums}
}

// Verified reports whether the file is served only with the right content.
func (s Source) Verified() bool { return !s.SHA256.IsZero() || s.Sums.At != "" }

// splitSource takes a source apart, of which the path may be relative.
func splitSource(text string) (s Source, err error) {
	s.At = text
	for _, form := range digestForms {
		rest, ok := strings.CutPrefix(text, form.prefix)
		if !ok {
			continue
		}
		digest, at, _ := strings.Cut(rest, "@")
		if s.SHA256, err = boot.ParseDigest(digest); err != nil {
			return Source{}, err
		}
		s.At, s.Locked, s.Whole = at, form.locked, form.whole
		return s, nil
	}
	if rest, ok := strings.CutPrefix(text, sumsPrefix); ok {
		sums, at, _ := strings.Cut(rest, "@")
		if s.Sums, err = parseChecksums(sums); err != nil {
			return Source{}, err
		}
		s.At = at
	}
	return s, nil
}

// Open opens a source, and says how many bytes it has, or -1 where the server
// does not tell. A local file is an *os.File, so that http.ServeContent and
// sendfile work on it. What is read from a URL ends with ctx, and with an error
// when the server stalls.
//
// What has a digest is verified before Open returns, and the error for another
// content is a *boot.DigestError. What is opened may be a boot.Noted.
func (s *Sources) Open(ctx context.Context, source string) (io.ReadCloser, int64, error) {
	src, err := ParseSource(source)
	if err == nil {
		src, err = s.Resolve(ctx, src)
	}
	switch {
	case err != nil:
		return nil, 0, err
	case !src.Local() && src.Whole:
		return s.within(ctx, src)
	case !src.Local() && (!src.SHA256.IsZero() || s.opts.Cache != nil):
		return s.cached(ctx, src)
	case !src.Local():
		return s.get(ctx, src.At)
	case !src.SHA256.IsZero():
		f, err := s.openPinned(ctx, src)
		if err != nil {
			return nil, 0, err
		}
		return f, f.size, nil
	}
	if _, _, ok := CutImage(src.At); ok {
		f, err := s.openMember(src)
		if err != nil {
			return nil, 0, err
		}
		return f, f.Size(), nil
	}
	f, info, err := openRegular(src.At)
	if err != nil {
		return nil, 0, fmt.Errorf("open %q: %w", src.At, bare(err))
	}
	return f, info.Size(), nil
}

// checkAt refuses what is neither an absolute path nor an http(s) URL.
func checkAt(at string) error {
	switch {
	case at == "":
		return errors.New("no path or URL is given")
	case len(at) > maxSource:
		return fmt.Errorf("a path or URL of %d bytes is longer than %d", len(at), maxSource)
	case filepath.IsAbs(at):
		return nil
	}
	if image, name, ok := CutImage(at); ok {
		if _, _, nested := CutImage(image); nested {
			return errors.New("an image in an image is not read")
		}
		return errors.Join(checkName(name), checkAt(image))
	}
	u, err := url.Parse(at)
	if err != nil {
		return fmt.Errorf("URL %q: %w", redact(at), bareURL(err))
	}
	if u.Scheme == "" {
		return fmt.Errorf("%q is neither an absolute path nor an http or https URL", at)
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
	if err := CheckHost(u.Hostname()); err != nil {
		return fmt.Errorf("URL %q: %w", redactURL(u), err)
	}
	return nil
}

// CheckHost refuses the host of a URL that is an address from which boot files are
// not fetched. What a name leads to is checked where it is dialled; behind a proxy
// that is the proxy, so an address is refused here.
func CheckHost(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		return checkAddr(ip)
	}
	if endsInNumber(host) {
		return fmt.Errorf("%s is no name, and no address as those are usually written: write four numbers, like 192.0.2.1", host)
	}
	return nil
}

// endsInNumber reports whether a host that is no address as netip reads it would be
// one for inet_aton(3), by which a proxy may go: 2852039166, 0xa9fea9fe, 0251.254.43518
// or 169.254.169.254 with a dot behind it. No top-level domain is all digits (RFC 3696
// §2).
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if digits, hex := strings.CutPrefix(last, "0x"); hex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// refuseLinkLocal is a net.Dialer's Control, called when names are resolved.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return checkAddr(to.Addr())
}

// credentials are where clouds serve their machines' credentials, beside the
// link-local addresses: Alibaba, Oracle and Azure; over IPv6 AWS, Google and Scaleway.
var credentials = [...]netip.Prefix{
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("192.0.0.192/32"), netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fd20:ce::254/128"), netip.MustParsePrefix("fd00:42::42/128"),
}

// embedding are prefixes of IPv6 addresses that lead to the IPv4 address which stands
// in them, from the byte at.
var embedding = [...]struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},   // NAT64, RFC 6052 §2.1
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12}, // NAT64 of one's own, RFC 8215: as prefixes of 96 bits have it
	{netip.MustParsePrefix("2002::/16"), 2},       // 6to4, RFC 3056 §2
	{netip.MustParsePrefix("::/96"), 12},          // IPv4-compatible, RFC 4291 §2.5.5.1
}

// checkAddr refuses RFC 3927 (169.254.0.0/16) and RFC 4291 §2.5.6 (fe80::/10)
// addresses, and others where clouds serve credentials, also where they stand in
// an address of IPv6: a boot file is handed to whoever asks.
func checkAddr(ip netip.Addr) error {
	to := ip.WithZone("").Unmap() // no Prefix contains an address with a zone
	for _, e := range embedding {
		if e.prefix.Contains(to) {
			b := to.As16()
			to = netip.AddrFrom4([4]byte(b[e.at:]))
			break
		}
	}
	if to.IsLinkLocalUnicast() {
		return fmt.Errorf("%v is a link-local address, where clouds keep credentials; boot files are not fetched from there", ip)
	}
	for _, p := range credentials {
		if p.Contains(to) {
			return fmt.Errorf("%v is an address where clouds keep credentials; boot files are not fetched from there", ip)
		}
	}
	return nil
}

// ShownSource is a path or URL as it may be shown, without its digest.
func ShownSource(source string) string {
	src, err := splitSource(source)
	if err != nil || src.Local() {
		return src.At
	}
	return redact(src.At)
}

// redactRemote is redact of what may be a path.
func redactRemote(at string) string {
	if filepath.IsAbs(at) {
		return at
	}
	return redact(at)
}

// redact is a source as it may be shown: without the user, password and query
// of a URL.
func redact(source string) string {
	if image, name, ok := CutImage(source); ok {
		return InImage(redact(image), name)
	}
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
