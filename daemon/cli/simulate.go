package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

const (
	// simulatedMAC is of no vendor: its second bit says that whoever uses it has
	// made it up (IEEE 802 §8.2).
	simulatedMAC = "02:00:00:00:00:01"
	// apartWait is how long a client waits for a daemon in its own process, which
	// loses no packet: an API may take most of two seconds.
	apartWait = 3 * time.Second
	// atOnce is how many machines boot by a file at the same time, each by a daemon
	// of its own: a kind that is not answered waits for nothing.
	atOnce = 6
	// otherOffers is for how long the offers of other servers on a network are
	// collected behind the first that is accepted. Some look first whether an
	// address is free.
	otherOffers = 2 * time.Second
)

func simulateCommand() *cobra.Command {
	var (
		path, iface, mac, kind, firmware, transport, arch, uuid string
		all, armed, asJSON                                      bool
		facts                                                   = map[string]*string{}
	)
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Boot a machine that is none, and show how far it comes",
		Long: `Boot a machine that is none: go through DHCP, port 4011, TFTP, HTTP and the iPXE
scripts as a kind of firmware does, with its time limits, load every file, look
whether such a machine could start it, and print each step with its time and
size, the command line, and how it ends. The files that the command line names on
the server are loaded, too.

Without --interface, the configuration file is served by this process alone, apart
from this host's ports, cache and state, and from a daemon that runs: every machine
asks by the loopback interface, certificates and leases are left out, and a machine
is armed for what it boots once if --armed says so.

With --interface, whoever answers on that network is asked, under this host's own
address: no lease is taken. That needs root or CAP_NET_RAW, and Linux. To a daemon
the machine is the one of --mac: what it does is seen under that name, a boot that a
real machine of that address is in, ends, and if it is armed, that is used up.

The kind of machine is named by --firmware and --transport, or by --client, which
knows more of them. --all goes through every one. Addresses that machines are
given for themselves are shown as "…", since they lead to what may be secret.

The exit status is 0 when the machine boots what it should, and 1 when it does not
or could not start what it loads.`,
		Example: "  pixiecore simulate\n  pixiecore simulate --config new.hcl --mac 52:54:00:aa:00:01 --firmware bios\n  pixiecore simulate --all\n  pixiecore simulate --interface eth0",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := cmd.Flags()
			if f.Changed("config") && iface != "" {
				return exitError{exitUsage, errors.New("--config is about a file and --interface about a network: name one of them")}
			}
			if armed && iface != "" {
				return exitError{exitUsage, errors.New("--armed is about a file; machines of a daemon are armed by `pixiecore arm`")}
			}
			c := pxeclient.Client{LongMode: arch != boot.ArchIA32.Name(), Facts: map[string]string{}, Links: true}
			hw, err := parseMAC(mac)
			if err != nil {
				return exitError{exitUsage, err}
			}
			c.MAC = hw
			if uuid != "" {
				if c.UUID, err = parseUUID(uuid); err != nil {
					return exitError{exitUsage, err}
				}
			}
			for name, value := range facts {
				c.Facts[name] = *value
			}
			kinds := powersOn()
			if !all {
				one, err := kindOf(kind, firmware, transport, arch)
				if err != nil {
					return exitError{exitUsage, err}
				}
				kinds = []pxeclient.Profile{one}
			}
			s := simulator{printer: newPrinter(cmd.OutOrStdout()), client: c, armed: armed, quiet: asJSON || all}
			var results []simulated
			if iface != "" {
				results, err = s.network(cmd.Context(), iface, kinds)
			} else {
				results, err = s.file(cmd, path, kinds)
			}
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				err = writeJSON(cmd.OutOrStdout(), results)
			case all:
				s.summary(results)
				err = s.err
			default:
				err = s.err
			}
			if err == nil && slices.ContainsFunc(results, func(r simulated) bool { return !r.OK }) {
				return exitError{status: exitNo}
			}
			return failed(err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&path, "config", defaultConfig, "the configuration `file` that is served to the machine")
	f.StringVar(&iface, "interface", "", "ask on the network of this `interface` instead")
	f.StringVar(&mac, "mac", simulatedMAC, "the machine's `MAC` address")
	f.StringVar(&kind, "client", "", "the `kind` of machine, in place of --firmware, --transport and --arch")
	f.StringVar(&firmware, "firmware", boot.FirmwareEFI64.String(), "its `firmware`")
	f.StringVar(&transport, "transport", boot.TransportPXE, "what its firmware loads by: pxe or http")
	f.StringVar(&arch, "arch", "", "its `architecture`; without it the first that its firmware can have, and x64 for a BIOS")
	f.StringVar(&uuid, "uuid", "", "its `UUID`")
	for name := range strings.SplitSeq((boot.IPXEFacts &^ boot.FactIP).String(), ", ") {
		facts[name] = f.String(flagOf(name), "", "the "+name+" that its iPXE reports")
	}
	f.BoolVar(&all, "all", false, "every kind of machine, one after the other")
	f.BoolVar(&armed, "armed", false, "the machine is armed for what it boots once")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	completePlatform(cmd)
	completeInterface(cmd)
	var names []string
	for _, p := range powersOn() {
		names = append(names, p.Name)
	}
	// Their only error is a flag that there is not.
	cmd.RegisterFlagCompletionFunc("client", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("transport", cobra.FixedCompletions([]string{boot.TransportPXE, boot.TransportHTTP}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("config", completeFile)
	return cmd
}

// powersOn are the kinds of machines that boot.
func powersOn() []pxeclient.Profile {
	return slices.DeleteFunc(pxeclient.Profiles(), func(p pxeclient.Profile) bool { return !p.PowersOn() })
}

// kindOf is the machine that the flags name.
func kindOf(name, firmware, transport, arch string) (pxeclient.Profile, error) {
	var names []string
	for _, p := range powersOn() {
		names = append(names, p.Name)
		if p.Name == name || name == "" && p.Firmware().String() == firmware && p.HTTPBoot() == (transport == boot.TransportHTTP) {
			if arch != "" && name == "" {
				a, err := boot.ParseArchitecture(arch)
				if err == nil && !boot.Possible(a, p.Firmware()) {
					err = fmt.Errorf("architecture %q: no machine with firmware %s has it", arch, firmware)
				}
				if err != nil {
					return p, err
				}
			}
			return p, nil
		}
	}
	if name != "" {
		return pxeclient.Profile{}, fmt.Errorf("client %q: not one of %s", name, strings.Join(names, ", "))
	}
	return pxeclient.Profile{}, fmt.Errorf("no client has firmware %q and loads by %q; --client names one of %s", firmware, transport, strings.Join(names, ", "))
}

// parseUUID reads a UUID in the order in which people write it.
func parseUUID(s string) (u [16]byte, err error) {
	canonical, err := boot.ParseUUID(s)
	if err != nil {
		return u, err
	}
	_, err = hex.Decode(u[:], []byte(strings.ReplaceAll(canonical, "-", "")))
	return u, err
}

// A simulated is how a boot went.
type simulated struct {
	Client string `json:"client"`
	MAC    string `json:"mac"`
	OK     bool   `json:"ok"`
	Result string `json:"result"` // one sentence
	pxeclient.Transcript
	Error string   `json:"error,omitempty"`
	Said  []string `json:"said,omitempty"` // why the daemon did not serve something, where it is in this process
}

// A simulator boots clients and shows how that goes.
type simulator struct {
	*printer
	client pxeclient.Client
	armed  bool
	quiet  bool // only the results are shown, by somebody else
}

// file boots machines by a configuration file.
func (s *simulator) file(cmd *cobra.Command, path string, kinds []pxeclient.Profile) ([]simulated, error) {
	cfg, report := load(cmd, path)
	if err := report.Err(); err != nil {
		writeReport(cmd, report)
		return nil, exitError{exitFailed, fmt.Errorf("configuration refused: %w", err)}
	}
	const way = boot.FactInterface | boot.FactListener | boot.FactSubnets | boot.FactRelay | boot.FactCircuitID | boot.FactRemoteID
	for _, r := range cfg.Rules {
		if needs := r.Match.Needs() & way; needs != 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: rule %q asks for %s, and a simulated machine comes by the loopback interface.\n", r.Pos, r.Name, needs)
		}
	}
	if len(kinds) > 1 && !slices.ContainsFunc(cfg.Listeners, func(l config.Listener) bool { return l.Kind == config.DHCP6 }) {
		fmt.Fprintln(cmd.ErrOrStderr(), "The file has no listener \"dhcp6\", so that machines which boot over IPv6 are left out.")
		kinds = slices.DeleteFunc(kinds, func(p pxeclient.Profile) bool { return p.IPv6 })
	}
	results := make([]simulated, len(kinds))
	g, ctx := errgroup.WithContext(cmd.Context())
	g.SetLimit(atOnce)
	for i, kind := range kinds {
		g.Go(func() (err error) {
			results[i], err = s.apart(ctx, cfg, kind)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, failed(err)
	}
	return results, nil
}

// apart boots one machine by a daemon of its own.
func (s *simulator) apart(ctx context.Context, cfg *config.Config, kind pxeclient.Profile) (simulated, error) {
	sim, err := daemon.Simulate(cfg, kind.IPv6)
	if err != nil {
		return simulated{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	c := s.client
	sim.Place(&c)
	c.Wait = apartWait
	if s.armed {
		if err := sim.Arm(macOf(c, kind)); err != nil {
			cancel()
			<-ended
			return simulated{}, err
		}
	}
	r := s.boot(ctx, c, kind, sim.Said)
	cancel()
	return r, <-ended
}

// network boots machines by whoever answers on an interface.
func (s *simulator) network(ctx context.Context, name string, kinds []pxeclient.Profile) ([]simulated, error) {
	var results []simulated
	for _, kind := range kinds {
		c := s.client
		c.Profile = kind
		switch err := c.Join(name); {
		case err != nil && kind.IPv6 && len(results) > 0:
			continue // of all kinds, those for which there is a network
		case err != nil:
			return nil, failed(err)
		}
		c.Collect = otherOffers
		r := s.boot(ctx, c, kind, func() []string { return nil })
		if len(r.Steps) == 0 {
			return nil, failed(errors.New(r.Error))
		}
		results = append(results, r)
	}
	return results, nil
}

// boot boots one machine. said is why the daemon did not serve something.
func (s *simulator) boot(ctx context.Context, c pxeclient.Client, kind pxeclient.Profile, said func() []string) simulated {
	c.Profile, c.MAC = kind, macOf(c, kind)
	r := simulated{Client: kind.Name, MAC: c.MAC.String()}
	if !s.quiet {
		s.printf("%s\n", s.paint(bold, fmt.Sprintf("%s, %s", r.Client, r.MAC)))
		c.Seen = func(step pxeclient.Step) { s.step(hideStep(step)) }
	}
	var err error
	r.Transcript, err = c.Boot(ctx)
	for i := range r.Steps {
		r.Steps[i] = hideStep(r.Steps[i])
	}
	hideOutcome(&r.Outcome)
	for i := range r.Doubts {
		r.Doubts[i] = hide(r.Doubts[i])
	}
	if err != nil {
		r.Error = hide(err.Error())
	}
	for _, line := range said() {
		r.Said = append(r.Said, hide(line))
	}
	r.OK, r.Result = r.judge()
	if !s.quiet {
		s.result(r)
	}
	return r
}

// macOf is the address of a machine of the kind: of its vendor, unless one was named.
func macOf(c pxeclient.Client, kind pxeclient.Profile) net.HardwareAddr {
	if c.MAC.String() != simulatedMAC || kind.Vendor == [3]byte{} {
		return c.MAC
	}
	return append(slices.Clone(kind.Vendor[:]), c.MAC[3:]...)
}

// judge says whether the machine boots, and what, in one sentence.
func (r simulated) judge() (ok bool, result string) {
	o := r.Outcome
	switch {
	case r.Error != "":
		return false, "does not boot: " + r.Error
	case o.Action == pxeclient.ActionBoot, o.Action == pxeclient.ActionImage:
		result = fmt.Sprintf("starts %s", o.Kernel.Name)
		for i, initrd := range o.Initrds {
			result += map[bool]string{true: " with ", false: ", "}[i == 0] + initrd.Name
		}
		if len(r.Doubts) > 0 {
			return false, "would not start: " + strings.Join(r.Doubts, "; ")
		}
		return true, result
	case o.Action == pxeclient.ActionSanboot:
		return true, "boots the disk " + o.Target
	case o.Action == pxeclient.ActionLocal, o.Action == pxeclient.ActionExit && toldLocal(r.Steps):
		return true, "goes on to its own disk"
	case o.Action == pxeclient.ActionExit:
		return false, "returns to its firmware: " + lastLine(o.Messages)
	case o.Action == pxeclient.ActionReboot:
		return false, "starts again, and so for ever: " + lastLine(o.Messages)
	case o.Action == pxeclient.ActionShell:
		return true, "waits at iPXE's shell, or at a prompt, for somebody to type"
	}
	return true, fmt.Sprintf("ends by %q", o.Action)
}

// toldLocal reports whether the last script was the one by which a machine boots
// its own disk.
func toldLocal(steps []pxeclient.Step) bool {
	sum := sha256.Sum256([]byte(bootfiles.LocalDisk(boot.FirmwareEFI64)))
	for _, s := range slices.Backward(steps) {
		if s.Kind == pxeclient.StepFetch && s.Err == "" {
			return s.SHA256 == hex.EncodeToString(sum[:])
		}
	}
	return false
}

// lastLine is the last that a screen says.
func lastLine(lines []string) string {
	for _, l := range slices.Backward(lines) {
		if l = strings.TrimSpace(l); l != "" {
			return l
		}
	}
	return "its screen says nothing"
}

var (
	address = regexp.MustCompile(`(?:https?|tftp)://[^\s"']+`)
	sealed  = regexp.MustCompile(`[A-Za-z0-9_-]{32,}`)
)

// hide leaves out of addresses what was made for the machine alone: whoever has
// that can load its files, secret ones too.
func hide(text string) string {
	return address.ReplaceAllStringFunc(text, func(a string) string { return sealed.ReplaceAllString(a, "…") })
}

func hideStep(s pxeclient.Step) pxeclient.Step {
	s.URL, s.Err = sealed.ReplaceAllString(s.URL, "…"), hide(s.Err)
	return s
}

func hideOutcome(o *pxeclient.Outcome) {
	if o.Kernel != nil {
		k := *o.Kernel
		k.URL, k.Args = hide(k.URL), hide(k.Args)
		o.Kernel = &k
	}
	for i := range o.Initrds {
		o.Initrds[i].URL, o.Initrds[i].Args = hide(o.Initrds[i].URL), hide(o.Initrds[i].Args)
	}
	o.Cmdline = hide(o.Cmdline)
	for i := range o.Messages {
		o.Messages[i] = hide(o.Messages[i])
	}
}

// step shows one step.
func (s *simulator) step(x pxeclient.Step) {
	what := map[pxeclient.StepKind]string{
		pxeclient.StepDiscover: "asks", pxeclient.StepOffer: "offer", pxeclient.StepBootServer: "port 4011",
		pxeclient.StepProbe: "size", pxeclient.StepFetch: "loaded", pxeclient.StepStage: "starts", pxeclient.StepLink: "file",
	}[x.Kind]
	var about []string
	if x.Peer.IsValid() {
		about = append(about, "of "+x.Peer.Addr().String())
	}
	if x.URL != "" {
		about = append(about, x.URL)
	}
	if x.Kind == pxeclient.StepDiscover || x.Kind == pxeclient.StepStage {
		about = append(about, "("+x.Profile+")")
	}
	if x.Size > 0 {
		about = append(about, rate(x))
	}
	if x.Is != "" {
		about = append(about, s.paint(faint, x.Is))
	}
	if x.Err != "" {
		about = append(about, s.paint(red, x.Err))
	}
	s.printf("%8.3f s  %-9s %s\n", x.Start.Seconds(), what, strings.Join(about, "  "))
}

// rate is how much came, and how fast.
func rate(x pxeclient.Step) string {
	if x.Kind == pxeclient.StepProbe || x.Took <= 0 {
		return status.Bytes(x.Size)
	}
	return fmt.Sprintf("%s in %.3f s, %s/s", status.Bytes(x.Size), x.Took.Seconds(), status.Bytes(int64(float64(x.Size)/x.Took.Seconds())))
}

// result shows how a boot ended.
func (s *simulator) result(r simulated) {
	if r.Outcome.Cmdline != "" {
		s.printf("            cmdline   %s\n", r.Outcome.Cmdline)
	}
	last := ""
	for _, m := range r.Outcome.Messages {
		if strings.TrimSpace(m) != "" && m != last { // a screen that asks again and again says the same
			s.printf("            screen    %s\n", m)
		}
		last = m
	}
	for _, d := range r.Doubts {
		s.printf("            %s    %s\n", s.paint(red, "doubt"), d)
	}
	for _, line := range r.Said {
		if !r.OK { // programs look for files that need not be there
			s.printf("            daemon    %s\n", line)
		}
	}
	s.printf("%s %s.\n", s.mark(r.OK), r.Result)
}

func (s *simulator) mark(ok bool) string {
	if ok {
		return s.paint(green, "✓")
	}
	return s.paint(red, "✗")
}

// summary shows how many boots ended.
func (s *simulator) summary(all []simulated) {
	var rows [][]string
	for _, r := range all {
		var bytes int64
		var took time.Duration
		for _, x := range r.Steps {
			if x.Kind != pxeclient.StepProbe {
				bytes += x.Size
			}
			took = max(took, x.Start+x.Took)
		}
		result := r.Result
		if len(r.Said) > 0 && !r.OK {
			result += " (" + strings.Join(r.Said, "; ") + ")"
		}
		rows = append(rows, []string{map[bool]string{true: "✓", false: "✗"}[r.OK], r.Client, fmt.Sprintf("%.2f s", took.Seconds()), status.Bytes(bytes), result})
	}
	s.table([]string{"", "CLIENT", "TIME", "LOADED", "RESULT"}, rows)
}
