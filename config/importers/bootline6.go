package importers

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/spf13/pflag"
)

// server6 are the flags of bootipv6 and ipv6api.
type server6 struct {
	ipxe, http, api string
	preference      uint8
	start           string
	size            uint64
	lifetime        uint32
	dns             []net.IP
}

func (s *server6) add(f *pflag.FlagSet) {
	f.StringVar(&s.ipxe, "ipxe-url", "", "")
	f.StringVar(&s.http, "httpboot-url", "", "")
	f.StringVar(&s.api, "api-request-url", "", "")
	f.Uint8Var(&s.preference, "preference", 255, "")
	f.StringVar(&s.start, "address-pool-start", "2001:db8:f00f:cafe:ffff::100", "")
	f.Uint64Var(&s.size, "address-pool-size", 50, "")
	f.Uint32Var(&s.lifetime, "address-pool-lifetime", 1850, "")
	f.IPSliceVar(&s.dns, "dns-servers", nil, "")
}

// over6 makes the configuration of a server that told machines URLs of others: they
// get this server's iPXE, and go on with what they were told. preferred is whether
// --preference was given.
func (d *draft) over6(verb, listen string, s server6, preferred bool) error {
	var b bootDraft
	if verb == "ipv6api" {
		if !webURL(s.api) {
			return fmt.Errorf("the URL of the API is %q: it begins with http:// or https://", s.api)
		}
		b.api = s.api
		d.leave("The API was asked by GET …/v1/boot/ID/ARCH, and answered a URL as text. Here it is asked by GET …/v1/boot/MAC, and answers JSON: docs/configuration.md has it.")
	} else {
		if !webURL(s.ipxe) && !strings.HasPrefix(s.ipxe, "tftp://") || strings.ContainsAny(s.ipxe, " \t\n\r") {
			return fmt.Errorf("the --ipxe-url %q is nothing that iPXE loads: it begins with http://, https:// or tftp://", s.ipxe)
		}
		b.script = "#!ipxe\nchain " + s.ipxe + "\n"
		if s.http != "" {
			d.leave("--httpboot-url %s: UEFI HTTP Boot gets this server's own iPXE, and then what --ipxe-url says, as all others do.", s.http)
		}
	}
	if listen != "" {
		d.leave("--listen-addr %s: name its interface, by interfaces = \"…\" in the listener dhcp6; without that, all interfaces are served.", listen)
	}
	var more strings.Builder
	if preferred {
		fmt.Fprintf(&more, "preference = %d\n", s.preference)
	}
	if len(s.dns) > 0 {
		var all []string
		for _, ip := range s.dns {
			all = append(all, ip.String())
		}
		fmt.Fprintf(&more, "dns = %s\n", list(all))
	}
	fmt.Fprintf(&d.listeners, "listener \"dhcp6\" {\n%spool {\nstart = %s\nsize = %d\nlifetime = \"%ds\"\n}\n}\n", more.String(), quote(s.start), s.size, s.lifetime)
	d.listeners.WriteString("listener \"tftp\" {}\nlistener \"http\" {}\n")
	d.statusListener()
	d.rule("everybody", nil, "boot = boot."+d.boot("imported", b))
	return nil
}

// webURL says whether a text is a URL of HTTP.
func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
