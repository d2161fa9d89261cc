package cli

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
)

func snippetCommand() *cobra.Command {
	var server string
	var port uint16
	names := slices.Sorted(maps.Keys(snippets))
	cmd := &cobra.Command{
		Use:   "snippet " + strings.Join(names, "|"),
		Short: "Print what to put into a DHCP server that sends machines here",
		Long: `Print what to put into a DHCP server that sends machines here by itself (next
server and file name, or options 66 and 67). It is for networks where pixiecore
cannot answer beside the DHCP server; its configuration then needs no listener
"dhcp" and no listener "pxe".`,
		Example:   "  pixiecore snippet kea --server 192.0.2.1",
		Args:      oneOf(names),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := netip.ParseAddr(server)
			if err != nil || !addr.Is4() {
				return exitError{exitUsage, errors.New("--server is the IPv4 address at which machines reach pixiecore: name it")}
			}
			base := bootfiles.Web{Addr: addr, Port: port}.Base(addr)
			_, err = fmt.Fprint(cmd.OutOrStdout(), snippets[args[0]](addr.String(), base+"/"+bootfiles.BootScript, fixedLoaders()))
			return failed(err)
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "the IPv4 `address` at which machines reach pixiecore")
	cmd.Flags().Uint16Var(&port, "http-port", 80, "the `port` of its http listener")
	return cmd
}

// A fixedLoader is the loader for one value of option 93 (RFC 4578 §2.1).
type fixedLoader struct {
	arch boot.ArchType
	file string
}

// fixedLoaders are those of all machines that load by TFTP, in the order of the
// types.
func fixedLoaders() []fixedLoader {
	files := map[boot.Firmware]string{}
	for file, f := range bootfiles.FixedNames() {
		files[f] = file
	}
	files[boot.FirmwareEFIBC] = files[boot.FirmwareEFI64] // how some x64 firmware announces itself
	var all []fixedLoader
	for t := range boot.ArchType(0x100) {
		if p, ok := t.Platform(); ok && !p.HTTP && files[p.Firmware] != "" {
			all = append(all, fixedLoader{t, files[p.Firmware]})
		}
	}
	return all
}

// snippets are the texts by DHCP server. iPXE, whoever started it, is told the
// script; the others are told the loader for their architecture.
var snippets = map[string]func(server, script string, loaders []fixedLoader) string{
	"dnsmasq": func(server, script string, loaders []fixedLoader) string {
		var b strings.Builder
		b.WriteString("# dnsmasq.conf\ndhcp-match=set:ipxe,175\n")
		for _, l := range loaders {
			fmt.Fprintf(&b, "dhcp-match=set:pixiecore-%d,option:client-arch,%d\n", l.arch, l.arch)
		}
		fmt.Fprintf(&b, "dhcp-boot=tag:ipxe,%s\n", script)
		for _, l := range loaders {
			fmt.Fprintf(&b, "dhcp-boot=tag:!ipxe,tag:pixiecore-%d,%s,,%s\n", l.arch, l.file, server)
		}
		return b.String()
	},
	"isc": func(server, script string, loaders []fixedLoader) string {
		var b strings.Builder
		fmt.Fprintf(&b, "# dhcpd.conf\noption architecture-type code 93 = unsigned integer 16;\nnext-server %s;\n", server)
		fmt.Fprintf(&b, "if exists user-class and option user-class = \"iPXE\" {\n  filename %q;\n}", script)
		for _, l := range loaders {
			fmt.Fprintf(&b, " elsif option architecture-type = %02x:%02x {\n  filename %q;\n}", l.arch>>8, l.arch&0xff, l.file)
		}
		b.WriteString("\n")
		return b.String()
	},
	"kea": func(server, script string, loaders []fixedLoader) string {
		var b strings.Builder
		fmt.Fprintf(&b, `{
  "Dhcp4": {
    "client-classes": [
      { "name": "pixiecore-ipxe", "test": "option[175].exists", "next-server": %q, "boot-file-name": %q }`, server, script)
		for _, l := range loaders {
			fmt.Fprintf(&b, ",\n      { \"name\": \"pixiecore-%d\", \"test\": \"not member('pixiecore-ipxe') and option[93].hex == 0x%04x\", \"next-server\": %q, \"boot-file-name\": %q }",
				l.arch, uint16(l.arch), server, l.file)
		}
		b.WriteString("\n    ]\n  }\n}\n")
		return b.String()
	},
	"opnsense": func(server, script string, loaders []fixedLoader) string {
		fields := map[boot.ArchType]string{
			0: "default BIOS filename", 6: "x86 UEFI (32-bit) filename", 7: "x64 UEFI/EBC (64-bit) filename",
			10: "ARM UEFI (32-bit) filename", 11: "ARM UEFI (64-bit) filename",
		}
		var b strings.Builder
		fmt.Fprintf(&b, "Services, DHCPv4, your interface, Network booting:\n  %-32s %s\n", "next-server IP", server)
		for _, l := range loaders {
			if fields[l.arch] != "" {
				fmt.Fprintf(&b, "  %-32s %s\n", fields[l.arch], l.file)
			}
		}
		fmt.Fprintf(&b, "  %-32s %s\n", "iPXE boot filename", script)
		return b.String()
	},
}

// oneOf wants one argument, which is one of names.
func oneOf(names []string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && slices.Contains(names, args[0]) {
			return nil
		}
		return fmt.Errorf("name one of %s; any other server needs this host as next server, and one of the file names that `%s dnsmasq` shows for each architecture", strings.Join(names, ", "), cmd.CommandPath())
	}
}
