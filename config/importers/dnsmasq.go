package importers

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/pixiecore/pixiecore/booters"
)

// archs are the words of the language for the numbers of DHCP option 93 that
// dnsmasq's configurations ask for.
var archs = map[string]string{
	"0": `firmware = "bios"`, "6": `firmware = "efi32"`, "7": `firmware = "efi64"`, "9": `firmware = "efibc"`,
	"10": `firmware = "efi-arm32"`, "11": `firmware = "efi-arm64"`,
}

// A tagged is what dnsmasq boots for machines with all of some tags.
type tagged struct {
	line int
	tags []string
	file string
}

// A tagSet is all that sets one tag: any of the conditions.
type tagSet struct {
	conditions []string
	ipxe       bool   // set by iPXE itself
	unknown    string // a setting that is not understood
}

// dnsmasq reads dnsmasq.conf.
func (d *draft) dnsmasq(text string) error {
	var (
		tags       = map[string]*tagSet{}
		boots      []tagged
		interfaces []string
		machines   = map[string]string{}
		ignored    []string
		others     int
		found      bool
	)
	tag := func(name string) *tagSet {
		if tags[name] == nil {
			tags[name] = &tagSet{}
		}
		return tags[name]
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		key, value = strings.TrimPrefix(strings.TrimSpace(key), "--"), strings.Trim(strings.TrimSpace(value), `"`)
		fields := strings.Split(value, ",")
		for i := range fields {
			fields[i] = strings.Trim(strings.TrimSpace(fields[i]), `"`)
		}
		set, isSet := strings.CutPrefix(fields[0], "set:")
		switch key {
		case "":
		case "interface":
			for _, f := range fields {
				if iface.MatchString(f) && !slices.Contains(interfaces, f) {
					interfaces = append(interfaces, f)
				}
			}
		case "dhcp-boot":
			found = true
			b := tagged{line: n}
			for len(fields) > 0 && (strings.HasPrefix(fields[0], "tag:") || strings.HasPrefix(fields[0], "net:")) {
				b.tags, fields = append(b.tags, fields[0][len("tag:"):]), fields[1:]
			}
			if len(fields) > 0 {
				b.file = fields[0]
			}
			boots = append(boots, b)
		case "dhcp-host":
			found = true
			d.host(n, fields, machines, &ignored, tag)
		case "dhcp-mac":
			if pattern, ok := macOf(last(fields)); isSet && ok && len(fields) == 2 {
				tag(set).conditions = append(tag(set).conditions, "mac = "+quote(pattern))
			} else {
				tag(set).unknown = fmt.Sprintf("line %d", n)
			}
		case "dhcp-match":
			what := strings.TrimPrefix(fields[min(1, len(fields)-1)], "option:")
			arch, ok := archs[last(fields)]
			switch {
			case isSet && len(fields) == 3 && (what == "client-arch" || what == "93") && ok:
				tag(set).conditions = append(tag(set).conditions, arch)
			case isSet && (what == "175" || strings.HasSuffix(what, "ipxe")): // iPXE's own option
				tag(set).ipxe = true
			default:
				tag(set).unknown = fmt.Sprintf("line %d", n)
			}
		case "dhcp-userclass":
			if isSet && len(fields) == 2 && strings.EqualFold(fields[1], "ipxe") {
				tag(set).ipxe = true
			} else {
				tag(set).unknown = fmt.Sprintf("line %d", n)
			}
		case "dhcp-vendorclass":
			if isSet && len(fields) == 2 && plainText(fields[1]) {
				tag(set).conditions = append(tag(set).conditions, "vendor_class = "+quote("*"+fields[1]+"*"))
			} else {
				tag(set).unknown = fmt.Sprintf("line %d", n)
			}
		case "dhcp-range":
			found = true
			if !strings.Contains(value, "proxy") {
				d.leave("line %d: dhcp-range: dnsmasq goes on giving out addresses. On the same host, write share = true in listener dhcp.", n)
			}
		case "enable-tftp", "tftp-root":
			found = true
			d.leave("line %d: %s: listener tftp serves iPXE and nothing else; take it out of dnsmasq, which holds its port.", n, key)
		case "pxe-service", "pxe-prompt":
			found = true
			d.leave("line %d: %s: a menu of the ROM. A script can have a menu of iPXE.", n, key)
		default:
			if strings.HasPrefix(key, "dhcp-") || strings.HasPrefix(key, "tftp-") || strings.HasPrefix(key, "pxe-") {
				d.leave("line %d: %s stays with dnsmasq.", n, printable(key))
			} else {
				others++
			}
		}
	}
	if !found {
		return errNothing
	}
	if others > 0 {
		d.leave("%d settings that have nothing to do with booting.", others)
	}
	d.standard("", 80, false, interfaces)
	for _, mac := range slices.Sorted(maps.Keys(machines)) {
		d.blocks.WriteString(machines[mac])
	}
	for _, mac := range ignored {
		d.rule("ignore "+mac, []string{"mac = " + quote(mac)}, "ignore = true")
	}
	// The one with the most tags is the most particular; of several, the last.
	slices.Reverse(boots)
	slices.SortStableFunc(boots, func(a, b tagged) int { return cmp.Compare(len(b.tags), len(a.tags)) })
	hidden := map[string]bool{}
	for _, b := range boots {
		d.bootOf(b, tags, hidden)
	}
	return nil
}

var iface = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,14}$`)

func last(all []string) string { return all[len(all)-1] }

// plainText says whether a text has no sign of a glob.
func plainText(s string) bool {
	return s != "" && len(s) < 200 && !strings.ContainsAny(s, `*?[]\{}`) && oneLine(s)
}

// host reads dhcp-host: a machine, or one to ignore.
func (d *draft) host(line int, fields []string, machines map[string]string, ignored *[]string, tag func(string) *tagSet) {
	var mac, name string
	var labels []string
	ignore := false
	for _, f := range fields {
		switch pattern, ok := macOf(f); {
		case ok && mac == "":
			mac = pattern
		case f == "ignore":
			ignore = true
		case strings.HasPrefix(f, "set:"):
			if l := f[len("set:"):]; label.MatchString(l) {
				labels = append(labels, l)
			} else {
				tag(l).unknown = fmt.Sprintf("line %d", line)
			}
		case net.ParseIP(f) != nil || strings.ContainsAny(f, ":[*") || leaseTime.MatchString(f):
		case name == "" && hostname.MatchString(f):
			name = f
		}
	}
	switch {
	case mac == "":
		d.leave("line %d: dhcp-host without a MAC address stays with dnsmasq.", line)
	case ignore:
		if !slices.Contains(*ignored, mac) {
			*ignored = append(*ignored, mac)
		}
	case strings.ContainsAny(mac, "*?"):
		for _, l := range labels {
			tag(l).conditions = append(tag(l).conditions, "mac = "+quote(mac))
		}
	case machines[mac] != "":
		d.leave("line %d: dhcp-host: %s has one already.", line, mac)
	default:
		var b strings.Builder
		id := d.unique("machine", cmp.Or(name, "machine-"+strings.ReplaceAll(mac, ":", "-")))
		fmt.Fprintf(&b, "\nmachine %q {\nmac = [%s]\n", id, quote(mac))
		if len(labels) > 0 {
			b.WriteString("labels = { ")
			slices.Sort(labels)
			for i, l := range slices.Compact(labels) {
				if i > 0 {
					b.WriteString(", ")
				}
				fmt.Fprintf(&b, "%q = \"set\"", l)
				tag(l).conditions = append(tag(l).conditions, fmt.Sprintf("labels = { %q = \"set\" }", l))
			}
			b.WriteString(" }\n")
		}
		b.WriteString("}\n")
		machines[mac] = b.String()
	}
}

var (
	label     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,60}$`)
	hostname  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,60}[A-Za-z0-9])?$`)
	leaseTime = regexp.MustCompile(`^([0-9]+[smhdw]?|infinite)$`)
)

// macOf is a MAC address or a glob over some, in the language's spelling.
func macOf(s string) (string, bool) {
	octets := strings.Split(s, ":")
	if len(octets) != 6 {
		return "", false
	}
	p, err := booters.ParseMACPattern(strings.ToLower(s))
	if err != nil {
		return "", false
	}
	return p.String(), true
}

// loaders are the files that only lead to iPXE.
var loaders = regexp.MustCompile(`(?i)(undionly|ipxe|snp|snponly|netboot\.xyz)[^/]*\.(k?k?pxe|efi|0|pxe)$`)

// bootOf writes the rule of one dhcp-boot.
func (d *draft) bootOf(b tagged, tags map[string]*tagSet, hidden map[string]bool) {
	url := strings.HasPrefix(b.file, "http://") || strings.HasPrefix(b.file, "https://")
	switch {
	case !url && loaders.MatchString(b.file):
		d.leave("line %d: dhcp-boot %s: every machine is given iPXE by itself.", b.line, b.file)
		return
	case !url:
		d.leave("line %d: dhcp-boot %q: a boot has a kernel, or a script of iPXE, and no loader that is another's.", b.line, b.file)
		return
	case strings.ContainsAny(b.file, " \t") || unusable(b.file) != "":
		d.leave("line %d: dhcp-boot: the URL cannot be used.", b.line)
		return
	}
	conditions, why := conditionsOf(b.tags, tags)
	key := strings.Join(conditions, "\n")
	switch {
	case why != "":
		d.leave("line %d: dhcp-boot %s: %s. Its machines are left to the rules.", b.line, b.file, why)
		return
	case hidden[key]:
		d.leave("line %d: dhcp-boot %s: another one is for the same machines.", b.line, b.file)
		return
	}
	hidden[key] = true
	id := d.boot("script", bootDraft{script: "#!ipxe\nchain " + b.file + "\n"})
	d.rule(cmp.Or(strings.Join(b.tags, ", "), "everybody"), conditions, "boot = boot."+id)
}

// conditionsOf are the lines of a match block for machines that have all tags.
func conditionsOf(names []string, tags map[string]*tagSet) (all []string, why string) {
	positive := false
	for _, name := range names {
		name, not := strings.CutPrefix(name, "!")
		t := tags[name]
		switch {
		case t == nil || t.unknown == "" && !t.ipxe && len(t.conditions) == 0:
			return nil, fmt.Sprintf("nothing sets the tag %q", name)
		case t.unknown != "":
			return nil, fmt.Sprintf("what sets the tag %q (%s) is not understood", name, t.unknown)
		case t.ipxe && !not && len(t.conditions) == 0:
			continue // it is iPXE that is given a script, always
		case t.ipxe:
			return nil, fmt.Sprintf("it is for machines without iPXE, by the tag %q", name)
		}
		each := slices.Compact(slices.Sorted(slices.Values(t.conditions)))
		if not {
			for _, c := range each {
				all = append(all, "not {\n"+c+"\n}")
			}
			continue
		}
		positive = true
		// A block of its own for each, since two conditions may have one name.
		if len(each) == 1 {
			all = append(all, "any {\n"+each[0]+"\n}")
			continue
		}
		var alternatives strings.Builder
		for _, c := range each {
			alternatives.WriteString("any {\n" + c + "\n}\n")
		}
		all = append(all, "any {\n"+alternatives.String()+"}")
	}
	if len(all) > 0 && !positive {
		return nil, "all of its tags are negative, and a rule needs a condition of which one is not"
	}
	return all, ""
}
