package config

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// A Config is one valid configuration.
type Config struct {
	Listeners []Listener         // at least one, in file order
	Rules     []booters.Rule     // in file order: the first that matches decides
	Boots     []booters.Choice   // the boot blocks, as far as they have something to boot
	Inventory *booters.Inventory // the machine blocks; never nil
	Loaders   Loaders            // the ipxe block: absolute paths of what replaces the built-in loaders
	Cache     *Cache             // the cache block; nil: remote files are not kept
	Uploads   *Uploads           // the uploads block; nil: nothing that machines send is kept
	Fetch     Fetch              // the fetch block: how servers of URLs are verified
	Log       Log                // what to log, and how
	URLKey    string             // the url_key block: the absolute path of the key for addresses; empty: this host's own
	Reload    Reload             // the reload block: which edits are served without being asked to
	StateDir  string             // the state block: the absolute path for what outlives the process; empty: the caller's choice
	Files     []string           // the absolute paths that were read, the first of them Load's: see ReadFile

	// Lock is the lock file beside it; nil: there is none.
	Lock *Lock
	asks []ask // what its rules boot is made of, for Remotes

	// What follows is of a program that has the server in it; no file says it.

	Booter     boot.Booter              // decides in place of Rules; nil: they do
	LoaderData map[boot.Firmware][]byte // the loaders, and all that there are; nil: those of Loaders and of the usual places
}

// Loaders maps a firmware to the absolute path of its loader.
type Loaders = map[boot.Firmware]string

// A Kind is what a Listener serves.
type Kind string

// The kinds of listeners, in the order in which a booting machine meets them.
const (
	DHCP   Kind = "dhcp"   // ProxyDHCP, RFC 2131 and PXE 2.1
	PXE    Kind = "pxe"    // the PXE boot server, usually port 4011
	TFTP   Kind = "tftp"   // RFC 1350
	HTTP   Kind = "http"   // scripts, kernels, initrds
	DHCP6  Kind = "dhcp6"  // RFC 8415 and RFC 5970
	Status Kind = "status" // health, and what is served, as pages and as JSON
)

// kinds are the words for the label of a listener.
var kinds = func() (words []string) {
	for _, k := range Kinds() {
		words = append(words, string(k))
	}
	return words
}()

// Kinds are all of them, in that order.
func Kinds() []Kind { return []Kind{DHCP, PXE, TFTP, HTTP, DHCP6, Status} }

// defaultAddress is where a kind listens unless the file says otherwise. The
// status document shows what every machine boots, so it is for this host only.
func (k Kind) defaultAddress() netip.AddrPort {
	switch k {
	case DHCP:
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 67) // RFC 2131 §4.1
	case PXE:
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 4011) // PXE 2.1 §2.2.1
	case TFTP:
		return netip.AddrPortFrom(netip.IPv6Unspecified(), 69) // RFC 1350 §4
	case HTTP:
		return netip.AddrPortFrom(netip.IPv6Unspecified(), 80)
	case DHCP6:
		return netip.AddrPortFrom(netip.IPv6Unspecified(), 547) // RFC 8415 §7.2
	default:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 8067)
	}
}

// Transport is the kind's own port space, "tcp" or "udp": two listeners of one transport
// cannot have the same address.
func (k Kind) Transport() string {
	if k == HTTP || k == Status {
		return "tcp"
	}
	return "udp"
}

// A Listener is a socket to open.
type Listener struct {
	Kind       Kind
	Address    netip.AddrPort // IPv4 for DHCP and PXE; port 0 takes any free one
	Interfaces []string       // empty: all of them
	Advertise  netip.Addr     // what machines are told to come back to; the zero Addr: the receiving interface's own
	Share      bool           // DHCP only: listen beside another DHCP server on this host
	Relays     []netip.Prefix // DHCP only, IPv4: whose relayed requests are answered; empty: those of all relays
	Relayed    bool           // DHCP only: relayed requests only (broadcast = false)
	SinglePort bool           // TFTP only: transfers go over the listener's port, too
	Cert, Key  string         // HTTP and Status: the absolute paths of PEM files for https; both or neither
	DHCP4      ServerV4       // DHCP only
	DHCP6      ServerV6       // DHCP6 only
	Token      string         // Status only: what a client shows to read it; empty: none will do
	ClientCA   string         // Status only: the path of the authorities of clients' certificates; empty: none will do
	Assets     string         // Status and LocalToo, and said by no file: a directory with files of the page in place of those built in; empty: none
	LocalToo   bool           // HTTP only, and said by no file: this host is told the status there, too
	Pos        string         // "pixiecore.hcl:3"
}

// ServerV4 is what a DHCP server of mode = "server" leases, and tells with it.
type ServerV4 struct {
	Server  bool // false: it is a ProxyDHCP server, and the rest is empty
	Pool    Pool // without Size: machines with an IP are answered, and nobody else
	Mask    int  // the length in bits, where no interface tells it; 0: not set
	Routers []netip.Addr
	DNS     []netip.Addr
	Domain  string
}

// ServerV6 is what a DHCPv6 server tells beside where to boot from.
type ServerV6 struct {
	Pool       Pool         // without Size: none, so that the answers are a proxy's
	Preference *uint8       // RFC 8415 §21.8; nil: none is told
	DNS        []netip.Addr // IPv6

	// What follows is of a program that has the server in it; no file says it.

	URL       func(id []byte, arch uint16) (string, error)          // decides the boot file in place of Rules; nil: they do
	Reserve   func(client []byte, iaid [4]byte) (netip.Addr, error) // gives out addresses in place of Pool, of which Lifetime counts; nil: none
	Release   func(client []byte, iaid [4]byte)                     // comes with Reserve
	Preferred time.Duration                                         // of an address's lifetime; 0: all but 3 % of it
	DUID      []byte                                                // the server's; empty: its own
}

// Pool is the addresses that are leased.
type Pool struct {
	Start    netip.Addr
	Size     int
	Lifetime time.Duration
}

// A LogLevel is the least severity that is logged.
type LogLevel string

// The levels.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// A LogFormat is how a line of the log is written.
type LogFormat string

// The formats. LogAuto is console on a terminal, the journal's fields where standard error
// leads to the journal, and JSON elsewhere.
const (
	LogAuto    LogFormat = "auto"
	LogConsole LogFormat = "console"
	LogJSON    LogFormat = "json"
)

// Log is the log block.
type Log struct {
	Level  LogLevel  // LogInfo unless set
	Format LogFormat // LogAuto unless set
}

// The words for the mode of a reload block.
const (
	reloadWatch  = "watch"
	reloadManual = "manual"
)

// Reload is the reload block: what becomes of an edit of the file that nobody
// has asked to be served.
type Reload struct {
	Manual     bool  // mode = "manual": it is told of, and not served
	MaxChanged Limit // of the machines that would boot something else
	MaxRemoved Limit // of those that would boot nothing from here any more
}

// A Limit is the most that is allowed. The zero Limit allows everything.
type Limit struct {
	Set  bool
	Most int // from 0
}

// Exceeded reports whether n is more than is allowed.
func (l Limit) Exceeded(n int) bool { return l.Set && n > l.Most }

// maxFile bounds a file in bytes, and so what a function reads; maxTokens bounds
// what is parsed. A table of a hundred thousand machines has a third of it.
const maxFile = 16 << 20

// patterns are the names of the files that take part where a directory is given.
var patterns = []string{"*.hcl", "*.json"}

// Load reads the file at path, or all files *.hcl and *.json of the directory at
// path, in lexical order. A file whose name ends in .json is in HCL's JSON syntax.
// Beyond what Parse reports, it warns of local files that are named in it and are
// not there.
//
// The Config is nil when Report.Err is not nil. The Report is never nil.
func Load(path string) (*Config, *Report) { return LoadFrom(path, ReadFile) }

// LoadFrom is Load of what read returns for absolute paths, such as a copy of
// the files that lies elsewhere. Each path is read once. Paths in the files mean
// the same as to Load.
func LoadFrom(path string, read func(path string) ([]byte, error)) (*Config, *Report) {
	r := newReport()
	abs, err := filepath.Abs(path)
	if err != nil {
		r.file(path, sumUnreadable, fmt.Sprintf("%v. Name the file by its absolute path.", err))
		return nil, r
	}
	k := &disk{open: read, getenv: os.LookupEnv}
	src, err := read(abs)
	if err != nil && !errors.Is(err, errTooLarge) {
		// A copy of the files has no directory, but what its patterns were read as.
		if errors.Is(err, errDirectory) || slices.ContainsFunc(patterns, func(p string) bool {
			names, err := read(filepath.Join(abs, p))
			return err == nil && len(names) > 0
		}) {
			d := newDecoder(path, filepath.Join(abs, patterns[0]), nil, k, r)
			return d.config(d.folder(abs)...), r
		}
	}
	switch {
	case errors.Is(err, errTooLarge):
		r.file(path, sumTooLarge, fmt.Sprintf("A configuration file may have %d MiB. Is it the right file?", maxFile>>20))
		return nil, r
	case errors.Is(err, fs.ErrNotExist):
		r.file(path, sumUnreadable, "There is no such file. Write one: where there is none, `pixiecore serve` prints an example to start from.")
		return nil, r
	case err != nil:
		r.file(path, sumUnreadable, fmt.Sprintf("%v. The user that pixiecore runs as must be able to read it.", err))
		return nil, r
	}
	return newDecoder(path, abs, src, k, r).config(path), r
}

// Parse reads src as the file called name, without touching any file. Paths in
// it are relative to the folder of name; a relative name counts from the root.
//
// The Config is nil when Report.Err is not nil. The Report is never nil.
func Parse(name string, src []byte) (*Config, *Report) {
	r := newReport()
	if len(src) > maxFile {
		r.file(name, sumTooLarge, fmt.Sprintf("A configuration file may have %d MiB. Is it the right file?", maxFile>>20))
		return nil, r
	}
	return newDecoder(name, filepath.Join("/", name), src, &disk{}, r).config(name), r
}

// warnMissing looks at each named path once.
func warnMissing(named []namedFile, r *Report) {
	verdicts := make(map[string]string)
	said := make(map[namedFile]bool) // of all instances of a block, once
	for _, n := range named {
		if said[n] {
			continue
		}
		said[n] = true
		verdict, ok := verdicts[n.path]
		if !ok {
			verdict = inspect(n.path, n.dir)
			verdicts[n.path] = verdict
		}
		if verdict != "" {
			r.warn(n.at, sumNoFile, verdict+" "+n.without)
		}
	}
}

// inspect says in a sentence what is wrong with a path; nothing is wrong with a
// regular file or a directory, whichever it should be, nor with a link to one.
func inspect(path string, dir bool) string {
	if image, name, ok := booters.CutImage(path); ok {
		if problem := inspect(image, false); problem != "" {
			return problem
		}
		return inspectImage(image, name)
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		sentence := fmt.Sprintf("There is no %s %q.", map[bool]string{true: "directory", false: "file"}[dir], path)
		if to, err := os.Readlink(path); err == nil {
			sentence = fmt.Sprintf("%q is a link to %q, where nothing is.", path, to)
		} else if at := mangledURL.FindStringSubmatchIndex(path); at != nil {
			if _, err := os.Stat(path[:at[3]]); err != nil { // else it is a folder of that name
				sentence += fmt.Sprintf(" Is a URL meant, which begins with %s://?", path[at[2]:at[3]])
			}
		}
		return sentence
	case err != nil:
		return fmt.Sprintf("%q cannot be looked at: %v.", path, errors.Unwrap(err))
	case dir && !st.IsDir():
		return fmt.Sprintf("%q is no directory.", path)
	case !dir && st.IsDir():
		return fmt.Sprintf("%q is a directory, where a file should be.", path)
	case !dir && !st.Mode().IsRegular():
		return fmt.Sprintf("%q is no regular file.", path)
	}
	return ""
}

// mangledURL is a path that was meant to be a URL: "http//mirror", "https:/mirror".
var mangledURL = regexp.MustCompile(`(?:^|/)(https?):?/[^/]`)

//go:embed example.hcl
var example string

// Example is a complete configuration with comments, to start from.
func Example() string { return example }
