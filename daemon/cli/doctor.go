package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/ports"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

func doctorCommand() *cobra.Command {
	var (
		socket string
		asking []string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "doctor [FILE]",
		Short: "Look at this host for what would keep machines from booting",
		Long: `Look at this host for what would keep machines from booting as the file says: the
file itself, ports and who holds them, privileges, loaders, network interfaces,
the directory of the cache, and files: local ones are opened, and read where they
must have a digest, servers of URLs are asked with HEAD. It speaks of the user who
runs it, so run it as the user that the daemon runs as, or with sudo.

With --interface it also looks for the other DHCP and boot servers of that
network: it broadcasts a PXE DISCOVER there, under the interface's own address,
and listens for five seconds to who answers. That takes up no address and needs
root. Without it, nothing is sent.

The exit status is 1 when something is wrong; what mends it stands beside it.`,
		Example: "  pixiecore doctor\n  pixiecore doctor --interface eth0",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := defaultConfig
			if len(args) == 1 {
				path = args[0]
			}
			cfg, report := load(cmd, path)
			if err := report.Err(); err != nil {
				writeReport(cmd, report)
				return exitError{exitNo, fmt.Errorf("configuration refused: %w", err)}
			}
			var running []finding
			var served *status.Cache
			if r, err := control.NewClient(socket).Status(cmd.Context()); err == nil {
				is := fmt.Sprintf("one is running (%s, generation %d) and has its ports", r.Version, r.Generation)
				running, served = []finding{{What: "daemon", Is: is}}, r.Cache
			} else if !errors.Is(err, control.ErrNoDaemon) {
				running = []finding{{"daemon", err.Error(), "Run this as root, or as the user that the daemon runs as."}}
			}
			findings, err := diagnose(cmd.Context(), cfg, running, served, asking)
			if err != nil {
				return exitError{exitNo, fmt.Errorf("configuration refused: %w", err)}
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), findings)
			} else {
				p := newPrinter(cmd.OutOrStdout())
				p.findings(findings)
				err = p.err
				if len(asking) == 0 {
					fmt.Fprintln(cmd.ErrOrStderr(), "Other DHCP and boot servers were not looked for: --interface NAME asks who answers there.")
				}
			}
			for _, f := range findings {
				if err == nil && f.Remedy != "" {
					return exitError{status: exitNo}
				}
			}
			return failed(err)
		},
	}
	cmd.ValidArgsFunction = completeFile
	clientFlag(cmd, &socket)
	cmd.Flags().StringSliceVar(&asking, "interface", nil, "look for other DHCP and boot servers by this network `interface`; may be repeated")
	completeInterface(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A finding is one thing that doctor looked at.
type finding struct {
	What   string `json:"what"`             // "port", "loader", …
	Is     string `json:"is"`               // how it is
	Remedy string `json:"remedy,omitempty"` // what mends it; empty: it is well
}

func (p *printer) findings(all []finding) {
	wrong := 0
	for _, f := range all {
		if f.Remedy == "" {
			p.printf("%s  %-10s %s\n", p.paint(green, "ok"), f.What, f.Is)
			continue
		}
		wrong++
		p.printf("%s  %-10s %s\n    → %s\n", p.paint(red, "no"), f.What, f.Is, f.Remedy)
	}
	if wrong == 0 {
		p.printf("Nothing stands in the way.\n")
	}
}

// diagnose looks at everything. running is what there is to say of a daemon that
// runs already; nil: there is none, and the ports must be free. served is its
// cache, if it has one. asking are the interfaces by which other servers are
// looked for.
func diagnose(ctx context.Context, cfg *config.Config, running []finding, served *status.Cache, asking []string) ([]finding, error) {
	compiled, err := compile(cfg)
	if err != nil {
		return nil, err
	}
	all := running
	if running == nil {
		all = capabilityFindings(cfg.Listeners, capable)
		for _, l := range cfg.Listeners {
			all = append(all, port(l))
		}
	}
	all = append(all, loaderFindings(compiled)...)
	all = append(all, interfaceFindings(cfg.Listeners)...)
	for _, name := range asking {
		all = append(all, serverFindings(ctx, name)...)
	}
	all = append(all, cacheFindings(cfg.Cache, served)...)
	defer compiled.Sources.Close()
	return append(all, fileFindings(ctx, cfg, compiled.Sources)...), nil
}

// port opens the listener's port for a moment.
func port(l config.Listener) finding {
	network := l.Kind.Transport()
	f := finding{What: "port", Is: fmt.Sprintf("%s %s/%s is free", l.Kind, l.Address, network)}
	if l.Share {
		f.Is = fmt.Sprintf("%s %s/%s is shared, as the file says", l.Kind, l.Address, network)
		if who, ok := ports.Find(network, l.Address.Port()); ok {
			f.Is += ", with " + who.String()
		}
		return f
	}
	err := tryBind(network, l.Address)
	switch {
	case err == nil:
	case errors.Is(err, syscall.EADDRINUSE):
		f.Is = fmt.Sprintf("%s %s/%s is taken", l.Kind, l.Address, network)
		if who, ok := ports.Find(network, l.Address.Port()); ok {
			f.Is += " by " + who.String()
		}
		f.Remedy = "Stop that program, or name another address in the listener."
		if l.Kind == config.DHCP {
			f.Remedy = "Write `share = true` into the listener to listen beside it, or stop it."
		}
	case errors.Is(err, os.ErrPermission):
		f.Is = fmt.Sprintf("%s %s/%s may not be opened by this user", l.Kind, l.Address, network)
		f.Remedy = "Ports below 1024 need root or CAP_NET_BIND_SERVICE: run as root, or add it to AmbientCapabilities= of the service."
	default:
		f.Is = fmt.Sprintf("%s %s/%s cannot be opened: %v", l.Kind, l.Address, network, err)
		f.Remedy = "Name an address of this host in the listener."
	}
	return f
}

func tryBind(network string, a netip.AddrPort) error {
	if a.Addr().Is4() {
		network += "4" // [::] takes both families
	}
	if strings.HasPrefix(network, "tcp") {
		l, err := net.Listen(network, a.String())
		if err == nil {
			l.Close()
		}
		return err
	}
	c, err := net.ListenPacket(network, a.String())
	if err == nil {
		c.Close()
	}
	return err
}

// A capability is one of capabilities(7).
type capability struct {
	bit  int
	name string
}

var (
	capNetBindService = capability{10, "CAP_NET_BIND_SERVICE"}
	capNetRaw         = capability{13, "CAP_NET_RAW"}
)

// capabilityFindings looks at what the listeners need. Whether a port may be
// opened is tried by port, since a system can allow it to all.
func capabilityFindings(listeners []config.Listener, has func(capability) bool) []finding {
	var all []finding
	for _, need := range []struct {
		capability
		by   func(config.Listener) bool
		what string
	}{
		{capNetRaw, func(l config.Listener) bool { return l.Share }, "`share = true`"},
		{capNetBindService, func(l config.Listener) bool {
			return !l.Share && l.Address.Port() > 0 && l.Address.Port() < 1024 && tryBind(l.Kind.Transport(), l.Address) != nil
		}, "a port below 1024"},
	} {
		if !slices.ContainsFunc(listeners, need.by) {
			continue
		}
		f := finding{What: "privilege", Is: fmt.Sprintf("this user has %s, for %s", need.name, need.what)}
		if !has(need.capability) {
			f.Is = fmt.Sprintf("this user has no %s, which %s needs", need.name, need.what)
			f.Remedy = fmt.Sprintf("Run as root, or add %s to AmbientCapabilities= of the service.", need.name)
		}
		all = append(all, f)
	}
	return all
}

// capable reports whether this process has the capability, as far as the system
// says so: elsewhere than on Linux, root has all.
func capable(c capability) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return os.Geteuid() == 0
	}
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			var set uint64
			fmt.Sscanf(strings.TrimSpace(hex), "%x", &set)
			return set>>c.bit&1 != 0
		}
	}
	return false
}

func loaderFindings(c *daemon.Compiled) []finding {
	var all []finding
	for _, l := range c.Loaders.All() {
		version := "of unknown version"
		if v := l.Version(); v != "" {
			version = "iPXE " + v
		}
		f := finding{What: "loader", Is: fmt.Sprintf("%s: %s, %s, sha256 %s", l.Firmware, l.Path, version, l.SHA256())}
		if l.Warning != "" {
			f.Is += ": " + l.Warning
			f.Remedy = "Machines may still start it; if they do not, name another in the ipxe block."
		}
		all = append(all, f)
	}
	for _, m := range c.MissingNeeded() {
		all = append(all, finding{What: "loader", Is: fmt.Sprintf("%s has none", m.Firmware), Remedy: m.Error()})
	}
	return all
}

// cacheFindings looks at the directory of the cache, which is made when the
// daemon starts, or takes the word of the daemon that has it.
func cacheFindings(c *config.Cache, served *status.Cache) []finding {
	if c == nil {
		return nil
	}
	dir := c.Dir
	if dir == "" {
		dir = serviceDir("CACHE_DIRECTORY", defaultCache)
	}
	if served != nil && served.Dir == dir {
		return []finding{{What: "cache", Is: served.String()}}
	}
	above := dir
	for above != "/" {
		if _, err := os.Stat(above); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		above = filepath.Dir(above)
	}
	f := finding{What: "cache", Is: fmt.Sprintf("%s can be written; at most %s are kept there", dir, status.Bytes(c.MaxSize))}
	if st, err := os.Stat(above); err == nil && !st.IsDir() {
		f.Is, f.Remedy = above+" is no directory", "Name another one by dir in the cache block."
	} else if err := unix.Access(above, unix.W_OK|unix.X_OK); err != nil {
		f.Is = fmt.Sprintf("%s: %v", above, err)
		f.Remedy = "The directory must belong to the user that the daemon runs as; another is named by dir in the cache block."
	}
	return []finding{f}
}

const (
	// ethernetMTU is what every machine's firmware takes as given.
	ethernetMTU = 1500
	// tftpOverhead are the headers of IPv4, UDP and TFTP (RFC 2348).
	tftpOverhead = 20 + 8 + 4
)

// interfaceFindings looks at the interfaces that the listeners name, or at all
// that are up.
func interfaceFindings(listeners []config.Listener) []finding {
	named, six := map[string]bool{}, map[string]bool{}
	for _, l := range listeners {
		for _, name := range l.Interfaces {
			named[name] = true
			six[name] = six[name] || l.Kind == config.DHCP6
		}
	}
	ifaces, err := net.Interfaces()
	if err != nil {
		return []finding{{"interface", err.Error(), "Look with `ip link` whether this host has a network."}}
	}
	var all []finding
	for _, i := range ifaces {
		up := i.Flags&net.FlagUp != 0
		if len(named) > 0 && !named[i.Name] || len(named) == 0 && (!up || i.Flags&net.FlagLoopback != 0) {
			continue
		}
		delete(named, i.Name)
		f := finding{What: "interface", Is: fmt.Sprintf("%s has MTU %d", i.Name, i.MTU)}
		addrs, _ := i.Addrs()
		switch {
		case !up:
			f.Is, f.Remedy = i.Name+" is down", fmt.Sprintf("`ip link set %s up`, or leave it out of the listeners.", i.Name)
		case len(addrs) == 0:
			f.Is, f.Remedy = i.Name+" has no address", "Give it one, or set advertise in the listener."
		case six[i.Name] && !slices.ContainsFunc(addrs, func(a net.Addr) bool { return strings.Contains(a.String(), ":") }):
			f.Is, f.Remedy = i.Name+" has no IPv6 address", fmt.Sprintf("Switch IPv6 on, as by `sysctl net.ipv6.conf.%s.disable_ipv6=0`, or leave it out of listener dhcp6.", i.Name)
		case i.MTU < ethernetMTU:
			f.Remedy = fmt.Sprintf("Firmware believes in %d: what machines send in larger packets is lost. TFTP blocks are cut to %d bytes (blksize) so that they fit; "+
				"raise the MTU, or give the whole network of the machines the same.", ethernetMTU, i.MTU-tftpOverhead)
		}
		all = append(all, f)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		all = append(all, finding{"interface", name + " is not there", "Correct its name in the listeners; `ip link` lists them."})
	}
	return all
}

const (
	// surveyTime is how long other servers are waited for: those that try whether
	// an address is free before they offer it take some seconds.
	surveyTime = 5 * time.Second
	// surveyAs is the machine that asks, by the name of package pxeclient.
	surveyAs = "efi-x64"
)

// serverFindings asks who else answers machines on an interface.
func serverFindings(ctx context.Context, name string) []finding {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return []finding{{"servers", name + " is not there", "Correct the name; `ip link` lists them."}}
	}
	profile, err := pxeclient.ProfileByName(surveyAs)
	if err != nil {
		return []finding{{"servers", err.Error(), "This is a bug of pixiecore."}}
	}
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	answers, err := pxeclient.Survey(ctx, iface, profile)
	if err != nil {
		return []finding{{"servers", err.Error(), "Run this as root, on Linux, and on an Ethernet interface that is up."}}
	}
	return judgeServers(name, answers, ownAddress)
}

// ownAddress reports whether a server is on this host.
func ownAddress(a netip.Addr) bool {
	addrs, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(addrs, func(own net.Addr) bool {
		p, err := netip.ParsePrefix(own.String())
		return err == nil && p.Addr() == a
	})
}

// judgeServers says of each server on an interface what it is, and whether it
// is in the way: machines need one for addresses, and one for what to boot.
func judgeServers(iface string, answers []pxeclient.Answer, own func(netip.Addr) bool) []finding {
	var all []finding
	addresses := 0
	for _, a := range answers {
		who := a.Server.String()
		if own(a.Server) {
			who += " (this host)"
		}
		f := finding{What: "servers", Is: fmt.Sprintf("a DISCOVER on %s is answered by %s", iface, who)}
		if a.Address {
			addresses++
			f.Is += ", which gives addresses"
		}
		if a.Proxy {
			f.Is += ", a boot server beside DHCP"
		}
		if a.BootFile != "" {
			f.Is += fmt.Sprintf(" and says to boot %q", a.BootFile)
			if a.BootServer.IsValid() && a.BootServer != a.Server {
				f.Is += " from " + a.BootServer.String()
			}
		}
		// A DHCP server may send machines here by itself: see `pixiecore snippet`.
		elsewhere := !own(a.Server) && !own(a.BootServer)
		switch {
		case elsewhere && (a.Proxy || a.BootFile != ""):
			f.Remedy = "Machines take whichever boot server they like: stop this one, or leave the machines to it by rules with ignore = true."
		case a.Address && addresses > 1:
			f.Remedy = "Several servers give addresses here. If that is not meant, stop all but one."
		}
		all = append(all, f)
	}
	if addresses == 0 {
		all = append(all, finding{"servers", fmt.Sprintf("nobody offered an address on %s within %s", iface, surveyTime),
			"Machines need a DHCP server beside pixiecore; see that one serves this network, and unknown machines too."})
	}
	return all
}

const (
	// maxURLs is how many URLs are asked for, and askedAtOnce how many of them at
	// a time, each for lookTimeout at most.
	maxURLs     = 64
	askedAtOnce = 8
	lookTimeout = 5 * time.Second
)

// fileFindings looks at each file that a rule's boot names: local ones are
// opened, those with a digest read, servers of URLs are asked with HEAD. Files
// whose names depend on the machine are left to the machine's own boot.
func fileFindings(ctx context.Context, cfg *config.Config, sources *booters.Sources) []finding {
	var local, remote []string
	seen := map[string]bool{}
	for _, r := range cfg.Rules {
		if r.Action.Spec == nil || r.Action.Render != nil {
			continue
		}
		for _, id := range slices.Concat(r.Action.Spec.Initrd, []boot.ID{r.Action.Spec.Kernel}) {
			source := string(id)
			at, err := booters.ParseSource(source)
			if seen[source] || err != nil {
				continue // no kernel: it boots a script
			}
			seen[source] = true
			if at.Local() {
				local = append(local, source)
			} else {
				remote = append(remote, source)
			}
		}
	}
	look := func(all []string) []finding {
		found := make([]finding, len(all))
		var g errgroup.Group
		g.SetLimit(askedAtOnce)
		for i, source := range all {
			g.Go(func() error {
				own, cancel := context.WithTimeout(ctx, lookTimeout)
				defer cancel()
				if err := sources.Look(own, source); err != nil {
					found[i] = finding{"file", err.Error(), remedy(err, source)}
				}
				return nil
			})
		}
		g.Wait() // there is no error
		return slices.DeleteFunc(found, func(f finding) bool { return f.Remedy == "" })
	}
	all := look(local)
	if len(all) == 0 && len(local) > 0 {
		all = append(all, finding{What: "file", Is: fmt.Sprintf("all %d local kernels and initrds can be read", len(local))})
	}
	asked := remote[:min(len(remote), maxURLs)]
	wrong := look(asked)
	all = append(all, wrong...)
	if answered := len(asked) - len(wrong); answered > 0 {
		all = append(all, finding{What: "file", Is: fmt.Sprintf("%d of %d URLs answer; %d were asked", answered, len(remote), len(asked))})
	}
	return all
}

// remedy is what mends a source that cannot be served.
func remedy(err error, source string) string {
	var (
		digest  *boot.DigestError
		invalid x509.CertificateInvalidError
		dns     *net.DNSError
	)
	at, _ := booters.ParseSource(source)
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "If the authority is one of your own, name its certificate: fetch { ca = \"/etc/pixiecore/ca.pem\" }. If it is a public one, install ca-certificates."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "Look at this host's clock (`timedatectl`); if that is right, the server needs a new certificate."
	case errors.As(err, new(x509.HostnameError)):
		return "Write the URL by a name that the certificate has, or let the server have one for this name."
	case errors.As(err, &dns):
		return "Correct the name, or see to this host's name servers (`getent hosts " + dns.Name + "`)."
	case errors.As(err, &digest):
		return "Replace the file, or correct the digest in the configuration."
	case errors.Is(err, os.ErrPermission):
		return "Let the user that the daemon runs as read it, and every directory on the way."
	case at.Local():
		return "Put it there, or correct the path in the file."
	}
	return "Correct the URL, or see that this host reaches the server and the server has the file."
}
