package cli

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/daemon/control"
)

func doctorCommand() *cobra.Command {
	var (
		socket string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "doctor [FILE]",
		Short: "Look at this host for what would keep machines from booting",
		Long: `Look at this host for what would keep machines from booting as the file says: the
file itself, ports and who holds them, privileges, loaders, network interfaces,
and files that cannot be read. It speaks of the user who runs it, so run it as
the user that the daemon runs as, or with sudo.

The exit status is 1 when something is wrong; what mends it stands beside it.`,
		Args: cobra.MaximumNArgs(1),
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
			if r, err := control.NewClient(socket).Status(cmd.Context()); err == nil {
				is := fmt.Sprintf("one is running (%s, generation %d) and has its ports", r.Version, r.Generation)
				running = []finding{{What: "daemon", Is: is}}
			} else if !errors.Is(err, control.ErrNoDaemon) {
				running = []finding{{"daemon", err.Error(), "Run this as root, or as the user that the daemon runs as."}}
			}
			findings, err := diagnose(cfg, running)
			if err != nil {
				return exitError{exitNo, fmt.Errorf("configuration refused: %w", err)}
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), findings)
			} else {
				p := newPrinter(cmd.OutOrStdout())
				p.findings(findings)
				err = p.err
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
// runs already; nil: there is none, and the ports must be free.
func diagnose(cfg *config.Config, running []finding) ([]finding, error) {
	compiled, err := compile(cfg)
	if err != nil {
		return nil, err
	}
	all := running
	if running == nil {
		for _, l := range cfg.Listeners {
			all = append(all, port(l))
		}
	}
	all = append(all, loaderFindings(compiled)...)
	all = append(all, interfaceFindings(cfg.Listeners)...)
	return append(all, fileFindings(cfg)...), nil
}

// port opens the listener's port for a moment.
func port(l config.Listener) finding {
	network := "udp"
	if l.Kind == config.HTTP || l.Kind == config.Status {
		network = "tcp"
	}
	f := finding{What: "port", Is: fmt.Sprintf("%s %s/%s is free", l.Kind, l.Address, network)}
	if l.Share {
		f.Is = fmt.Sprintf("%s %s/%s is shared, as the file says", l.Kind, l.Address, network)
		if !capable(capNetRaw) {
			f.Remedy = "`share = true` needs root or CAP_NET_RAW: run as root, or add it to AmbientCapabilities= of the service."
		}
		return f
	}
	err := tryBind(network, l.Address)
	switch {
	case err == nil:
	case errors.Is(err, syscall.EADDRINUSE):
		f.Is = fmt.Sprintf("%s %s/%s is taken", l.Kind, l.Address, network)
		if who := holder("/proc", network, l.Address.Port()); who != "" {
			f.Is += " by " + who
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

// capNetRaw is CAP_NET_RAW of capabilities(7).
const capNetRaw = 13

// capable reports whether this process has the capability, as far as the system
// says so: elsewhere than on Linux, root has all.
func capable(bit int) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return os.Geteuid() == 0
	}
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			var set uint64
			fmt.Sscanf(strings.TrimSpace(hex), "%x", &set)
			return set>>bit&1 != 0
		}
	}
	return false
}

// holder names the process that has a local port, as far as this user may see:
// "dnsmasq (pid 812)". proc is where Linux tells of processes, see proc(5).
func holder(proc, network string, port uint16) string {
	inodes := map[string]bool{}
	for _, file := range []string{network, network + "6"} {
		table, err := os.ReadFile(filepath.Join(proc, "net", file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			// "sl local_address rem_address st … inode": the tenth field.
			fields := strings.Fields(line)
			if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) && (network == "udp" || fields[3] == tcpListen) {
				inodes["socket:["+fields[9]+"]"] = true
			}
		}
	}
	fds, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && inodes[to] {
			dir := filepath.Dir(filepath.Dir(fd))
			name, _ := os.ReadFile(filepath.Join(dir, "comm"))
			return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), filepath.Base(dir))
		}
	}
	return ""
}

// tcpListen is the state of a listening socket in /proc/net/tcp.
const tcpListen = "0A"

func loaderFindings(c *daemon.Compiled) []finding {
	var all []finding
	for _, l := range c.Loaders.All() {
		version := "of unknown version"
		if l.Version != "" {
			version = "iPXE " + l.Version
		}
		f := finding{What: "loader", Is: fmt.Sprintf("%s: %s, %s, sha256 %s", l.Firmware, l.Path, version, l.SHA256)}
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

// ethernetMTU is what every machine's firmware takes as given.
const ethernetMTU = 1500

// interfaceFindings looks at the interfaces that the listeners name, or at all
// that are up.
func interfaceFindings(listeners []config.Listener) []finding {
	named := map[string]bool{}
	for _, l := range listeners {
		for _, name := range l.Interfaces {
			named[name] = true
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
		case i.MTU < ethernetMTU:
			f.Remedy = fmt.Sprintf("Firmware believes in %d: large packets of machines are lost on the way. Raise it, or give the machines' network the same.", ethernetMTU)
		}
		all = append(all, f)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		all = append(all, finding{"interface", name + " is not there", "Correct its name in the listeners; `ip link` lists them."})
	}
	return all
}

// fileFindings looks at each local file that a rule's boot names. Files whose
// names depend on the machine are left to the machine's own boot.
func fileFindings(cfg *config.Config) []finding {
	var all []finding
	seen, wrong := map[string]bool{}, 0
	for _, r := range cfg.Rules {
		if r.Action.Spec == nil || r.Action.Render != nil {
			continue
		}
		for _, id := range slices.Concat(r.Action.Spec.Initrd, []boot.ID{r.Action.Spec.Kernel}) {
			path := string(id)
			if !filepath.IsAbs(path) || seen[path] {
				continue
			}
			seen[path] = true
			f, err := os.Open(path)
			if err == nil {
				f.Close()
				continue
			}
			wrong++
			remedy := "Put it there, or correct the path in the file."
			if errors.Is(err, os.ErrPermission) {
				remedy = "Let the user that the daemon runs as read it, and every directory on the way."
			}
			all = append(all, finding{"file", err.Error(), remedy})
		}
	}
	if wrong == 0 && len(seen) > 0 {
		all = append(all, finding{What: "file", Is: fmt.Sprintf("all %d kernels and initrds can be read", len(seen))})
	}
	return all
}
