package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
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

// A bootFamily is all that one boot block makes: itself, or its instances.
type bootFamily struct {
	at     hcl.Range
	each   bool
	boots  map[string]*bootBlock // by each.key; "" without for_each
	used   bool                  // by a rule
	leaned bool                  // extended by another
}

// A bootBlock is a boot that rules can refer to.
type bootBlock struct {
	instance
	family *bootFamily
	block  *hclsyntax.Block
	attrs  hclsyntax.Attributes // but for those that a boot does not have
	whole  bool                 // whether that is all that the block says
	state  evaluation
	// settings are those that are its own and those that it takes over.
	settings map[string]*setting
	cmdline  []*setting // the pieces of the command line
	spec     boot.Spec  // of sources: absolute paths and URLs
}

// A setting is an attribute and where its names are looked up.
type setting struct {
	*hclsyntax.Attribute
	*scope
}

// bootType is the type of the expression boot.NAME.
var bootType = cty.Capsule("boot", reflect.TypeFor[bootBlock]())

// Bounds on what a machine is sent, in bytes.
const (
	maxSource  = 2048    // of a path or URL, as in booters
	maxCmdline = 4096    // no kernel takes more: COMMAND_LINE_SIZE of Linux is 2048 on x86 and arm64
	maxScript  = 1 << 20 // a script is sent whole, and kept for as long as its generation lives
)

func (d *decoder) declareBoots(b *hclsyntax.Block) {
	body := d.names(&bootSchema, b.Body)
	name, at, ok := d.label(b, "its name")
	if ok && !hclsyntax.ValidIdentifier(name) {
		d.unsure["boot"] = true
		d.errorf(at, sumBadName, "A boot's name is an identifier, since rules refer to it: letters, digits, \"-\" and \"_\", beginning with a letter. %q is none; %q would be one.", name, "boot-"+identifier(name))
		ok = false
	} else if ok {
		ok = d.unique("boot", name, at, sumTwice, fmt.Sprintf("There are two boots %q. Rename one of them.", name))
	}
	family := &bootFamily{at: b.DefRange(), each: body.Attributes["for_each"] != nil, boots: make(map[string]*bootBlock)}
	if ok {
		d.boots[name] = family
	}
	d.families = append(d.families, family) // what stands in it is looked at in any case
	for _, in := range d.instances(b, name) {
		family.boots[in.key] = &bootBlock{
			instance: in, family: family, block: b, attrs: body.Attributes,
			whole: len(body.Attributes) == len(b.Body.Attributes) && len(b.Body.Blocks) == 0,
		}
	}
}

// decodeBoots makes the specs of all boots, and then boot.NAME mean them.
func (d *decoder) decodeBoots() {
	named := make(map[string]cty.Value, len(d.boots))
	for name, family := range d.boots {
		named[name] = family.value()
	}
	d.bootVar = cty.ObjectVal(named)
	for _, family := range d.families {
		for _, key := range slices.Sorted(maps.Keys(family.boots)) {
			d.inherit(family.boots[key], nil)
		}
	}
	for _, family := range d.families {
		for _, key := range slices.Sorted(maps.Keys(family.boots)) {
			d.spec(family.boots[key])
		}
	}
}

// value is what boot.NAME means: the boot, or its instances by key.
func (f *bootFamily) value() cty.Value {
	if !f.each {
		return cty.CapsuleVal(bootType, f.boots[""])
	}
	all := make(map[string]cty.Value, len(f.boots))
	for key, b := range f.boots {
		all[key] = cty.CapsuleVal(bootType, b)
	}
	return cty.ObjectVal(all)
}

// inherit collects the settings of a boot, after those of the boots that it
// extends. path is the chain of boots that led to it.
func (d *decoder) inherit(b *bootBlock, path []string) {
	if b.state == done {
		return
	}
	b.state = begun
	b.settings = make(map[string]*setting)
	if a := b.attrs["extends"]; a != nil {
		switch base, ok := b.reference(a.Expr); {
		case !ok:
			b.whole = false // the kernel may be the other one's
		case base.state == begun || len(path) > maxChain:
			from := max(slices.Index(path, base.name), 0)
			b.whole = false
			b.errorf(a.Expr.Range(), sumCycle, "boot.%s extends itself: %s. Take one of the extends out.", base.name, arrows("", append(path[from:], b.name, base.name)))
		default:
			d.inherit(base, append(path, b.name))
			base.family.leaned = true
			maps.Copy(b.settings, base.settings)
			b.cmdline = slices.Clone(base.cmdline)
			b.whole = b.whole && base.whole
		}
	}
	for name, a := range b.attrs {
		own := &setting{a, b.scope}
		switch name {
		case "for_each", "extends":
		case "cmdline":
			b.cmdline = []*setting{own}
		case "cmdline_append":
		default:
			b.settings[name] = own
		}
	}
	if a := b.attrs["cmdline_append"]; a != nil {
		b.cmdline = append(b.cmdline, &setting{a, b.scope})
	}
	b.state = done
}

// spec makes what a boot boots of its settings.
func (d *decoder) spec(b *bootBlock) {
	if script := b.settings["script"]; script != nil {
		b.spec.IpxeScript = script.script(script.Attribute)
		beside := slices.Clone(b.cmdline)
		for _, name := range slices.Sorted(maps.Keys(b.settings)) {
			if name != "script" {
				beside = append(beside, b.settings[name])
			}
		}
		for _, s := range beside {
			b.errorf(s.NameRange, sumScriptAlone, "A script does everything itself, so %s beside it has no effect. Leave one of the two out.", s.Name).other = script.NameRange
		}
		return
	}
	if s := b.settings["kernel"]; s != nil && s.unpinned(s.Expr) {
		if t, ok := s.text(s.Attribute, "a path or a URL in quotes"); ok {
			b.spec.Kernel = boot.ID(s.source("kernel", t))
		}
	}
	if s := b.settings["initrd"]; s != nil && s.unpinned(s.Expr) {
		all, _ := s.texts(s.Attribute, "paths or URLs in quotes")
		for _, t := range all {
			b.spec.Initrd = append(b.spec.Initrd, boot.ID(s.source("initrd", t)))
		}
	}
	var line []string
	for _, s := range b.cmdline {
		if t, ok := s.text(s.Attribute, "a text in quotes"); ok {
			line = append(line, s.cmdline(t))
		}
	}
	b.spec.Cmdline = strings.Join(line, " ")
	if s := b.settings["message"]; s != nil {
		if t, ok := s.text(s.Attribute, "a text in quotes"); ok {
			b.spec.Message = t.s
		}
	}
}

// unpinned refuses sources with a digest: { url = …, sha256 = … }.
func (s *scope) unpinned(e hclsyntax.Expression) bool {
	all := []hclsyntax.Expression{e}
	if list, ok := e.(*hclsyntax.TupleConsExpr); ok {
		all = list.Exprs
	}
	for _, e := range all {
		if _, ok := e.(*hclsyntax.ObjectConsExpr); ok {
			s.errorf(e.Range(), sumLater, "%s", laterSentence("A file with the digest that it must have"))
			return false
		}
	}
	return true
}

// checkBoots looks at what is missing, which only the rules show: a boot that
// others extend needs no kernel unless a rule boots it.
func (d *decoder) checkBoots() {
	for _, family := range d.families {
		for _, key := range slices.Sorted(maps.Keys(family.boots)) {
			b := family.boots[key]
			if b.settings["kernel"] == nil && b.settings["script"] == nil && b.whole && (family.used || !family.leaned) {
				b.errorf(family.at, sumNothingToBoot, "The boot has neither a kernel nor a script. Write kernel = \"…\", the path or URL of one.")
			}
		}
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

func (s *scope) script(a *hclsyntax.Attribute) string {
	t, ok := s.text(a, "a text, best as <<-EOT … EOT")
	if !ok {
		return ""
	}
	// iPXE's script_probe: the magic, and white space behind it.
	const magic = "#!ipxe"
	rest, found := strings.CutPrefix(t.s, magic)
	if !found || strings.TrimLeftFunc(rest, unicode.IsSpace) == rest && rest != "" {
		s.errorf(t.at, sumScript, "iPXE takes a text for a script only if %s stands alone on its first line, without anything before it. Begin the script with that line.", magic)
	} else if len(t.s) > maxScript {
		s.errorf(t.at, sumTooLarge, "A script can have %d bytes, and this one has %d. Move a part of it into a file that it chains to.", maxScript, len(t.s))
	}
	return t.s
}

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://|^(?i:https?):`)

// source makes a path absolute and leaves a URL as it is.
func (s *scope) source(name string, t text) string {
	switch {
	case t.s == "":
		s.errorf(t.at, sumEmpty, "%s is empty. Write the path or URL of a file.", name)
	case len(t.s) > maxSource:
		s.errorf(t.at, sumTooLarge, "A path or URL can have %d bytes, and this one has %d. Use a shorter one.", maxSource, len(t.s))
	case scheme.MatchString(t.s):
		if why := checkURL(t.s); why != "" {
			s.errorf(t.at, sumURL, "The URL of %s %s. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.", name, why)
		}
		return t.s
	default:
		return s.path(t)
	}
	return ""
}

// path makes a path absolute and remembers it.
func (s *scope) path(t text) string {
	p := resolve(s.dir, t.s)
	s.named = append(s.named, namedFile{p, t.at})
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
func (s *scope) cmdline(t text) string {
	switch {
	case len(t.s) > maxCmdline:
		s.errorf(t.at, sumTooLarge, "A command line can have %d bytes, and this one has %d. Kernels cut it even earlier: move settings into a file.", maxCmdline, len(t.s))
		return ""
	case strings.ContainsFunc(t.s, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }):
		s.errorf(t.at, sumOneLine, "A kernel's command line has one line and no control characters. Write it in quotes, on one line.")
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
			s.errorf(t.at, sumTemplate, "In a command line, {{ begins {{ ID \"…\" }} or {{ URL \"…\" }}, the address at which a machine fetches the file of that path or URL. Write one of these; inside of quotes, as {{ ID \\\"…\\\" }}.")
			return ""
		}
		fmt.Fprintf(&line, "{{ %s %q }}", fn, s.source("a file in cmdline", text{arg, t.at}))
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
	s := d.in(b.TypeRange)
	for name, a := range d.names(&ipxeSchema, b.Body).Attributes {
		t, ok := s.text(a, "the path of a loader in quotes")
		switch {
		case !ok:
		case t.s == "":
			s.errorf(t.at, sumEmpty, "%s is empty. Write the path of a loader, or leave the line out for the built-in one.", name)
		case scheme.MatchString(t.s):
			s.errorf(t.at, sumURL, "A loader is read when the file is loaded, from this host. Download it, and write its path.")
		default:
			d.cfg.Loaders[firmwares[name]] = s.path(t)
		}
	}
}
