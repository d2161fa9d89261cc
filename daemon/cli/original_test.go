package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Every command line of the original has its flags, under their names, with their
// defaults.
func TestFlagsOfTheOriginal(t *testing.T) {
	server := map[string]string{
		"debug d": "false", "log-timestamps t": "false", "listen-addr l": "0.0.0.0", "port p": "80", "status-port": "0", "dhcp-no-bind": "false",
		"ipxe-bios": "", "ipxe-ipxe": "", "ipxe-efi32": "", "ipxe-efi64": "", "ui-assets-dir": "",
	}
	static := map[string]string{"cmdline": "", "bootmsg": ""}
	v6 := map[string]string{
		"debug d": "false", "listen-addr": "", "preference": "255", "address-pool-start": "2001:db8:f00f:cafe:ffff::100",
		"address-pool-size": "50", "address-pool-lifetime": "1850", "dns-servers": "[]",
	}
	for command, all := range map[string][]map[string]string{
		"boot":     {server, static},
		"quick":    {server, static, {"arch": "", "mirror": ""}},
		"api":      {server, {"api-request-timeout": "5s"}},
		"bootipv6": {v6, {"ipxe-url": "", "httpboot-url": ""}},
		"ipv6api":  {v6, {"api-request-url": "", "api-request-timeout": "5s"}},
	} {
		cmd, _, err := Command().Find([]string{command})
		if err != nil || cmd.Name() != command {
			t.Errorf("%s: %v", command, err)
			continue
		}
		got := map[string]string{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { got[strings.TrimSpace(f.Name+" "+f.Shorthand)] = f.DefValue })
		for _, some := range all {
			for name, value := range some {
				if here, ok := got[name]; !ok || here != value {
					t.Errorf("%s: --%s is %q (%t), want %q", command, name, here, ok, value)
				}
			}
		}
	}
}

// The loader of an x64 UEFI is that of the byte code's, too.
func TestLoadersOfTheOriginal(t *testing.T) {
	cmd := bootCommand()
	e := everybodyFlags(&cobra.Command{})
	for firmware := range e.loaders {
		*e.loaders[firmware] = "original_test.go"
	}
	e.listen, e.port = "0.0.0.0", 80
	cfg, err := e.configuration(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[boot.Firmware]bool{}
	for f := range cfg.Loaders {
		got[f] = true
	}
	want := map[boot.Firmware]bool{boot.FirmwareX86PC: true, boot.FirmwareX86Ipxe: true, boot.FirmwareEFI32: true, boot.FirmwareEFI64: true, boot.FirmwareEFIBC: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
