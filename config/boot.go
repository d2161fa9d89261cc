package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A bootBlock is a boot that rules can refer to.
type bootBlock struct {
	name string
	at   hcl.Range
	spec boot.Spec // of sources: absolute paths and URLs
	used bool
}

// bootType is the type of the expression boot.NAME.
var bootType = cty.Capsule("boot", reflect.TypeFor[bootBlock]())

// Bounds on what a machine is sent, in bytes.
const (
	maxSource  = 2048    // of a path or URL, as in booters
	maxCmdline = 4096    // no kernel takes more: COMMAND_LINE_SIZE of Linux is 2048 on x86 and arm64
	maxScript  = 1 << 20 // a script is sent whole, and kept for as long as its generation lives
)

func (d *decoder) boot(b *hclsyntax.Block) {
	body := d.names(&bootSchema, b.Body)
	attrs := body.Attributes
	name, at, ok := d.label(b, "its name")
	if ok && !hclsyntax.ValidIdentifier(name) {
		d.unsure["boot"] = true
		d.errorf(at, sumBadName, "A boot's name is an identifier, since rules refer to it: letters, digits, \"-\" and \"_\", beginning with a letter. %q is none; %q would be one.", name, "boot-"+identifier(name))
		ok = false
	} else if ok {
		ok = d.unique("boot", name, at, sumTwice, fmt.Sprintf("There are two boots %q. Rename one of them.", name))
	}
	block := &bootBlock{name: name, at: b.DefRange()}
	if ok {
		d.boots[name] = block
	}

	if script := attrs["script"]; script != nil {
		block.spec.IpxeScript = d.script(script)
		for _, other := range slices.Sorted(maps.Keys(attrs)) {
			if a := attrs[other]; other != "script" {
				d.errorf(a.NameRange, sumScriptAlone, "A script does everything itself, so %s beside it has no effect. Leave one of the two out.", other).other = script.NameRange
			}
		}
		return
	}
	if kernel := attrs["kernel"]; kernel != nil {
		if t, ok := d.text(kernel, "a path or a URL in quotes"); ok {
			block.spec.Kernel = boot.ID(d.source("kernel", t))
		}
	} else if len(body.Attributes) == len(b.Body.Attributes) && len(b.Body.Blocks) == 0 {
		// Otherwise what stands there under an unknown name may be the kernel.
		d.errorf(b.DefRange(), sumNothingToBoot, "The boot has neither a kernel nor a script. Write kernel = \"…\", the path or URL of one.")
	}
	if initrd := attrs["initrd"]; initrd != nil {
		all, _ := d.texts(initrd, "paths or URLs in quotes")
		for _, t := range all {
			block.spec.Initrd = append(block.spec.Initrd, boot.ID(d.source("initrd", t)))
		}
	}
	if t, ok := d.text(attrs["cmdline"], "a text in quotes"); ok {
		block.spec.Cmdline = d.cmdline(t)
	}
	if t, ok := d.text(attrs["message"], "a text in quotes"); ok {
		block.spec.Message = t.s
	}
}

// identifier makes one that resembles name.
func identifier(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, name)
}

func (d *decoder) script(a *hclsyntax.Attribute) string {
	t, ok := d.text(a, "a text, best as <<-EOT … EOT")
	if !ok {
		return ""
	}
	// iPXE's script_probe: the magic, and white space behind it.
	const magic = "#!ipxe"
	rest, found := strings.CutPrefix(t.s, magic)
	if !found || strings.TrimLeftFunc(rest, unicode.IsSpace) == rest && rest != "" {
		d.errorf(t.at, sumScript, "iPXE takes a text for a script only if %s stands alone on its first line, without anything before it. Begin the script with that line.", magic)
	} else if len(t.s) > maxScript {
		d.errorf(t.at, sumTooLarge, "A script can have %d bytes, and this one has %d. Move a part of it into a file that it chains to.", maxScript, len(t.s))
	}
	return t.s
}

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://|^(?i:https?):`)

// source makes a path absolute and leaves a URL as it is.
func (d *decoder) source(name string, t text) string {
	switch {
	case t.s == "":
		d.errorf(t.at, sumEmpty, "%s is empty. Write the path or URL of a file.", name)
	case len(t.s) > maxSource:
		d.errorf(t.at, sumTooLarge, "A path or URL can have %d bytes, and this one has %d. Use a shorter one.", maxSource, len(t.s))
	case scheme.MatchString(t.s):
		if why := checkURL(t.s); why != "" {
			d.errorf(t.at, sumURL, "The URL of %s %s. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.", name, why)
		}
		return t.s
	default:
		return d.path(t)
	}
	return ""
}

// path makes a path absolute and remembers it.
func (d *decoder) path(t text) string {
	p := t.s
	if !filepath.IsAbs(p) {
		p = filepath.Join(d.dir, p)
	}
	p = filepath.Clean(p)
	d.named = append(d.named, namedFile{p, t.at})
	return p
}

// checkURL says what is wrong with the URL of a boot file. A URL may hold a
// password, so that none of it is repeated.
func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "cannot be read"
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf("begins with %s://, which is not fetched", u.Scheme)
	case u.Hostname() == "":
		return "names no host"
	}
	// RFC 3927, RFC 4291 §2.5.6: booters does not fetch from there.
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.Unmap().IsLinkLocalUnicast() {
		return "has a link-local host, where clouds keep credentials"
	}
	return ""
}

// cmdline checks a command line and makes the paths in its markers absolute.
func (d *decoder) cmdline(t text) string {
	switch {
	case len(t.s) > maxCmdline:
		d.errorf(t.at, sumTooLarge, "A command line can have %d bytes, and this one has %d. Kernels cut it even earlier: move settings into a file.", maxCmdline, len(t.s))
		return ""
	case strings.ContainsFunc(t.s, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }):
		d.errorf(t.at, sumOneLine, "A kernel's command line has one line and no control characters. Write it in quotes, on one line.")
		return ""
	}
	var line strings.Builder
	for rest := t.s; ; {
		before, marker, found := strings.Cut(rest, "{{")
		line.WriteString(before)
		if !found {
			break
		}
		inner, behind, closed := strings.Cut(marker, "}}")
		fn, quoted, _ := strings.Cut(strings.TrimSpace(inner), " ")
		arg, err := strconv.Unquote(strings.TrimSpace(quoted))
		if !closed || err != nil || fn != "ID" && fn != "URL" {
			d.errorf(t.at, sumTemplate, "In a command line, {{ begins {{ ID \"…\" }} or {{ URL \"…\" }}, the address at which a machine fetches the file of that path or URL. Write one of these; inside of quotes, as {{ ID \\\"…\\\" }}.")
			return ""
		}
		fmt.Fprintf(&line, "{{ %s %q }}", fn, d.source("a file in cmdline", text{arg, t.at}))
		rest = behind
	}
	return line.String()
}

func (d *decoder) ipxe(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	firmwares := map[string]boot.Firmware{
		"bios":        boot.FirmwareX86PC,
		"efi32":       boot.FirmwareEFI32,
		"efi64":       boot.FirmwareEFI64,
		"arm32":       boot.FirmwareEFIARM32,
		"arm64":       boot.FirmwareEFIARM64,
		"riscv64":     boot.FirmwareEFIRISCV64,
		"loongarch64": boot.FirmwareEFILoongArch64,
	}
	d.cfg.Loaders = make(Loaders)
	for name, a := range d.names(&ipxeSchema, b.Body).Attributes {
		t, ok := d.text(a, "the path of a loader in quotes")
		switch {
		case !ok:
		case t.s == "":
			d.errorf(t.at, sumEmpty, "%s is empty. Write the path of a loader, or leave the line out for the built-in one.", name)
		case scheme.MatchString(t.s):
			d.errorf(t.at, sumURL, "A loader is read when the file is loaded, from this host. Download it, and write its path.")
		default:
			d.cfg.Loaders[firmwares[name]] = d.path(t)
		}
	}
}
