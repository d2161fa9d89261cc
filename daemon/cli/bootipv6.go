package cli

import (
	"errors"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/protocols/dhcp6"
)

// everybody6 are the flags that bootipv6 and ipv6api have in common, with the
// original's names and defaults.
type everybody6 struct {
	logging
	listen     string
	preference uint8
	start      net.IP
	size       uint64
	lifetime   uint32
	dns        []net.IP
}

func everybody6Flags(cmd *cobra.Command) *everybody6 {
	e := &everybody6{}
	f := cmd.Flags()
	e.logging.add(f)
	f.StringVar(&e.listen, "listen-addr", "", "an IPv6 `address` of the interface to listen on")
	f.Uint8Var(&e.preference, "preference", 255, "the server's preference, which is told only if the flag is given")
	f.IPVar(&e.start, "address-pool-start", net.ParseIP("2001:db8:f00f:cafe:ffff::100"), "the first `address` that is leased")
	f.Uint64Var(&e.size, "address-pool-size", 50, "how many addresses are leased")
	f.Uint32Var(&e.lifetime, "address-pool-lifetime", 1850, "for how many `seconds` an address is valid")
	f.IPSliceVar(&e.dns, "dns-servers", nil, "`addresses` of DNS servers, with commas between them")
	return e
}

// serve tells machines what boots says until the command is interrupted.
func (e *everybody6) serve(cmd *cobra.Command, boots dhcp6.BootConfiguration, what string) error {
	if e.listen == "" {
		return exitError{exitUsage, errors.New("name the address to listen on by --listen-addr")}
	}
	cfg, err := daemon.Teller{
		Address: e.listen, Boots: boots, Pool: dhcp6.NewRandomAddressPool(e.start, e.size, e.lifetime),
		Packets: dhcp6.MakePacketBuilder(e.lifetime-uint32(uint64(e.lifetime)*3/100), e.lifetime),
	}.Configuration()
	if err == nil {
		cfg.Log, err = e.logging.log()
	}
	if err != nil {
		return exitError{exitUsage, err}
	}
	return e.logging.run(cmd, cfg, what)
}

func bootIPv6Command() *cobra.Command {
	var ipxe, http string
	cmd := &cobra.Command{
		Use:   "bootipv6",
		Short: "Tell every machine one URL by DHCPv6, without a configuration file",
		Long: `Lease addresses by DHCPv6, and tell every machine that asks for a boot file the
same URL: --httpboot-url to an x64 UEFI that boots by HTTP, and --ipxe-url to all
others. The files are another server's.

In a configuration file, listener "dhcp6" boots machines by the rules.`,
		Example: "  pixiecore bootipv6 --listen-addr 2001:db8::1 --httpboot-url http://[2001:db8::1]/boot.efi --ipxe-url http://[2001:db8::1]/boot.ipxe",
		Args:    noArgs,
	}
	e := everybody6Flags(cmd)
	cmd.Flags().StringVar(&ipxe, "ipxe-url", "", "the `URL` for iPXE, and for all others")
	cmd.Flags().StringVar(&http, "httpboot-url", "", "the `URL` for UEFI HTTP Boot")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if ipxe == "" || http == "" {
			return exitError{exitUsage, errors.New("name both boot files, by --ipxe-url and --httpboot-url")}
		}
		return e.serve(cmd, booters.MakeStaticBootConfiguration(http, ipxe, e.preference, cmd.Flags().Changed("preference"), e.dns), ipxe+", or "+http+" by HTTP Boot")
	}
	return cmd
}

func ipv6APICommand() *cobra.Command {
	var (
		api   string
		limit time.Duration
	)
	cmd := &cobra.Command{
		Use:   "ipv6api",
		Short: "Tell machines what an HTTP API says by DHCPv6, without a configuration file",
		Long: `Lease addresses by DHCPv6, and tell every machine that asks for a boot file the
URL that an HTTP API answers: GET URL/v1/boot/ID/ARCH, of which the answer is the
URL as text. ID is the machine's MAC address, or what else its identifier has, in
hexadecimal; ARCH is its architecture type (RFC 5970), in decimal.`,
		Example: "  pixiecore ipv6api --listen-addr 2001:db8::1 --api-request-url http://[2001:db8::1]:8888",
		Args:    noArgs,
	}
	e := everybody6Flags(cmd)
	cmd.Flags().StringVar(&api, "api-request-url", "", "the `URL` of the API")
	cmd.Flags().DurationVar(&limit, "api-request-timeout", booters.DefaultAPILimit, "how long the API may take for an answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o := booters.APIOptions{URL: api}
		if api == "" {
			return exitError{exitUsage, errors.New("name the API by --api-request-url")}
		}
		if err := o.Check(); err != nil {
			return exitError{exitUsage, err}
		}
		if limit <= 0 {
			return exitError{exitUsage, errors.New("--api-request-timeout: no API answers in no time")}
		}
		return e.serve(cmd, booters.MakeAPIBootConfiguration(api, limit, e.preference, cmd.Flags().Changed("preference"), e.dns), "the URL that "+redacted(api)+" answers")
	}
	return cmd
}
