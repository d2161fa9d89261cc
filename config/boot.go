package config

import (
	"fmt"
	"maps"
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

	"github.com/pixiecore/pixiecore/booters"
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
	attrs  hclsyntax.Attributes  // but for those that a boot does not have
	files  map[string]*fileBlock // its own, and those that it takes over
	whole  bool                  // whether that is all that the block says
	state  evaluation
	// secure are the settings of its secure_boot block and of those that it takes over;
	// nil: there is none. secureAt is where its own stands.
	secure   secureSettings
	secureAt *hcl.Range
	// settings are those that are its own and those that it takes over.
	settings map[string]*setting
	cmdline  []*setting // the pieces of the command line
	fileVar  cty.Value  // what file means in it
	installs bool       // whether it writes disks
	phones   bool       // whether a machine is given the address of phone_home()
	recipe   recipe
	asks     []ask               // for Config.Remotes
	spec     *boot.Spec          // of sources, and no part of what is forgotten once the file is loaded; where it hangs on the machine, as it is written
	api      *booters.APIOptions // whom it asks instead; nil: nobody
	made     *booters.Action     // what action returns; nil: nobody has asked
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
	files, wholeFiles := d.fileBlocks(body)
	secured := d.secureBlock(body)
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
	_, instances := d.instances(b, name)
	for in := range instances {
		own := make(map[string]*fileBlock, len(files))
		for name, f := range files {
			f := *f
			f.scope = in.scope
			own[name] = &f
		}
		family.boots[in.key] = &bootBlock{
			instance: in, family: family, block: b, attrs: body.Attributes, files: own, secure: d.secureSettings(secured, in.scope),
			whole: wholeFiles && len(body.Attributes) == len(b.Body.Attributes) && len(body.Blocks) == len(b.Body.Blocks),
		}
		if secured != nil {
			at := secured.DefRange()
			family.boots[in.key].secureAt = &at
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
			b := family.boots[key]
			d.prepare(b)
			b.asked()
			spec := b.recipe.written()
			b.spec = &spec
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
			own := b.files
			b.files = maps.Clone(base.files)
			maps.Copy(b.files, own)
			b.cmdline = slices.Clone(base.cmdline)
			b.secure = mergeSecure(base.secure, b.secure)
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

// prepare makes the recipe of a boot of its settings.
func (d *decoder) prepare(b *bootBlock) {
	r := &b.recipe
	r.name = b.name
	b.prepareInstalls()
	b.declareFiles()
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		b.files[name].decode(b.name)
	}
	loader := b.loaderWord()
	if s := b.settings["script"]; s != nil {
		r.loader = loader
		b.besideAlone(loader, "a script", s.NameRange)
		r.script = s.checked(s.of(b).phrase("script", s.Expr, "a text, best as <<-EOT … EOT", nil), script)
		if r.script != nil && r.script.late {
			s.scriptStart(s.Expr)
		}
		beside := slices.Clone(b.cmdline)
		for _, name := range slices.Sorted(maps.Keys(b.settings)) {
			if name != "script" && name != "installs" && name != "loader" {
				beside = append(beside, b.settings[name])
			}
		}
		for _, other := range beside {
			b.errorf(other.NameRange, sumScriptAlone, "A script does everything itself, so %s beside it has no effect. Leave one of the two out.", other.Name).other = s.NameRange
		}
		return
	}
	if d.prepareAPI(b) {
		b.besideAlone(boot.LoaderAuto, "what an API says", b.settings["api"].NameRange)
		return
	}
	if s := b.settings["kernel"]; s != nil {
		r.kernel = s.checked(s.phrase("kernel", s.Expr, "a path or a URL in quotes", pathMembers), source)
	}
	if s := b.settings["initrd"]; s != nil {
		r.initrd = s.initrds(b)
	}
	if s := b.settings["rpi"]; s != nil {
		r.rpi = s.checked(s.directory(), directory)
	}
	for _, s := range b.cmdline {
		p := s.of(b).phrase(s.Name, s.Expr, "a text in quotes", nil)
		if p != nil && p.late && !p.pieces() {
			p = nil
		}
		r.cmdline = append(r.cmdline, s.checked(p, cmdline))
	}
	if s := b.settings["message"]; s != nil {
		r.message = s.of(b).phrase("message", s.Expr, "a text in quotes", nil)
	}
	d.prepareLoader(b, loader)
}

// scriptStart checks the beginning of a script that hangs on the machine.
func (s *scope) scriptStart(e hclsyntax.Expression) {
	t, ok := e.(*hclsyntax.TemplateExpr)
	if !ok {
		return
	}
	if first, ok := t.Parts[0].(*hclsyntax.LiteralValueExpr); ok && first.Val.Type() == cty.String {
		if _, _, refused := script("", first.Val.AsString()); refused != nil {
			s.errorf(e.Range(), refused.summary, "%s", refused.detail)
		}
	}
}

// initrds is the value of initrd for a boot, of which each element may hang on the
// machine.
func (s *setting) initrds(b *bootBlock) (all []*phrase) {
	const want = "paths or URLs in quotes"
	list, isList := s.Expr.(*hclsyntax.TupleConsExpr)
	switch {
	case isList:
		for i, e := range list.Exprs {
			if call := archiveCall(e); call != nil {
				all = append(all, s.of(b).archive(call, i))
				continue
			}
			all = append(all, s.checked(s.phrase("initrd", e, want, pathMembers), source))
		}
	case archiveCall(s.Expr) != nil:
		all = append(all, s.of(b).archive(archiveCall(s.Expr), 0))
	case len(membersOf(s.Expr)) > 0:
		all = append(all, s.checked(s.phrase("initrd", s.Expr, "a path or a URL in quotes, or a list of them that is written out", pathMembers), source))
	default:
		v, ok := s.value(s.Expr)
		if !ok {
			return nil
		}
		elements := []cty.Value{v}
		if t := v.Type(); !v.IsNull() && (t.IsTupleType() || t.IsListType() || t.IsSetType()) {
			elements = v.AsValueSlice()
		}
		for _, v := range elements {
			if v, ok = s.pin(v, s.Expr, "initrd"); !ok {
				continue
			}
			if t, ok := s.asText(v, s.Expr.Range(), "initrd", want); ok {
				all = append(all, s.checked(&phrase{scope: s.scope, name: "initrd", s: t.s, e: s.Expr, file: true}, source))
			}
		}
	}
	return all
}

// checked is a phrase that check does not refuse; what hangs on the machine is
// checked when it asks.
func (s *scope) checked(p *phrase, check checker) *phrase {
	if p == nil || p.late {
		return p
	}
	value, files, refused := check(p.dir, p.s)
	if refused != nil {
		detail := refused.detail
		if s.isSecret(p.e.Range()) {
			detail = secretDetail
		}
		s.tell(p.e.Range(), refused.summary, detail)
		return nil
	}
	for _, path := range files {
		s.named = append(s.named, namedFile{path: path, at: p.e.Range(), without: bootsWithout, dir: p.folder})
	}
	if value, refused = p.locked(value); refused != nil {
		s.tell(p.e.Range(), refused.summary, refused.detail)
		return nil
	}
	if p.file {
		s.noteSource(value, p.e.Range())
	}
	p.s = value
	return p
}

// checkBoots looks at what is missing, which only the rules show: a boot that
// others extend needs no kernel unless a rule boots it. All that have what they need
// can be chosen.
func (d *decoder) checkBoots() {
	for _, family := range d.families {
		for _, key := range slices.Sorted(maps.Keys(family.boots)) {
			b := family.boots[key]
			switch nothing := b.settings["kernel"] == nil && b.settings["efi"] == nil && b.settings["script"] == nil && b.settings["api"] == nil; {
			case !nothing:
				d.cfg.Boots = append(d.cfg.Boots, booters.Choice{Action: b.action(), Installs: b.installs})
			case b.whole && (family.used || !family.leaned):
				b.errorf(family.at, sumNothingToBoot, "The boot has neither a kernel, an EFI program, a script nor an api. Write kernel = \"…\", the path or URL of one.")
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

// A checker makes a text into what booters takes, with the local files that it
// names, or says why it cannot. dir is what relative paths are joined to.
type checker func(dir, s string) (value string, files []string, refused *refusal)

// A refusal is why a text cannot be used.
type refusal struct {
	summary summary
	detail  string
}

// Error is for where a refusal is one of several errors.
func (r *refusal) Error() string { return r.detail }

func refuse(s summary, format string, args ...any) (string, []string, *refusal) {
	return "", nil, &refusal{s, fmt.Sprintf(format, args...)}
}

// script is a checker.
func script(_, s string) (string, []string, *refusal) {
	// iPXE's script_probe: the magic, and white space behind it.
	const magic = "#!ipxe"
	rest, found := strings.CutPrefix(s, magic)
	switch {
	case !found || strings.TrimLeftFunc(rest, unicode.IsSpace) == rest && rest != "":
		return refuse(sumScript, "iPXE takes a text for a script only if %s stands alone on its first line, without anything before it. Begin the script with that line.", magic)
	case len(s) > maxScript:
		return refuse(sumTooLarge, "A script can have %d bytes, and this one has %d. Move a part of it into a file that it chains to.", maxScript, len(s))
	}
	return s, nil, nil
}

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://|^(?i:https?):`)

// source is a checker: it makes a path absolute and leaves a URL as it is, and so
// where it stands behind a digest.
func source(dir, s string) (string, []string, *refusal) {
	if src, ok := booters.CutDigest(s); ok {
		at, files, refused := source(dir, src.At)
		if refused != nil {
			return "", nil, refused
		}
		src.At = at
		sums, more, refused := checkSums(dir, src.Sums)
		if refused != nil {
			return "", nil, refused
		}
		src.Sums = sums
		return src.String(), append(files, more...), nil
	}
	if image, name, ok := booters.CutImage(s); ok {
		at, files, refused := source(dir, image)
		if refused != nil {
			return "", nil, refused
		}
		at = booters.InImage(at, name)
		if _, err := booters.ParseSource(at); err != nil {
			return refuse(sumLink, "No machine could fetch this: %v. Write iso(\"PATH or URL\", \"/images/pxeboot/vmlinuz\").", err)
		}
		if len(files) > 0 {
			files = []string{at}
		}
		return at, files, nil
	}
	switch {
	case s == "":
		return refuse(sumEmpty, "The name of a file is empty. Write its path or URL.")
	case len(s) > maxSource:
		return refuse(sumTooLarge, "A path or URL can have %d bytes, and this one has %d. Use a shorter one.", maxSource, len(s))
	case strings.Contains(s, noPath):
		return refuse(sumPathFact, "What a machine says of itself cannot choose a file. A path can have machine.%s.", strings.Join(pathMembers, ", machine."))
	case scheme.MatchString(s):
		if why := checkURL(s); why != "" {
			return refuse(sumURL, "The URL %s. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.", why)
		}
		return s, nil, nil
	}
	path := resolve(dir, s)
	return path, []string{path}, nil
}

// directory is the setting rpi, which may hang on the machine as a file may, but has
// no digest.
func (s *setting) directory() *phrase {
	p := s.phrase(s.Name, s.Expr, "the path of a directory in quotes", pathMembers)
	if p != nil {
		p.file, p.folder = false, true
	}
	return p
}

// directory is a checker: it makes the path of a directory absolute.
func directory(dir, s string) (string, []string, *refusal) {
	switch path := resolve(dir, s); {
	case s == "":
		return refuse(sumEmpty, "The name of a directory is empty. Write its path.")
	case len(s) > maxSource:
		return refuse(sumTooLarge, "A path can have %d bytes, and this one has %d. Use a shorter one.", maxSource, len(s))
	case scheme.MatchString(s):
		return refuse(sumURL, "A directory of another server cannot be served. Write the path of one on this host.")
	case path == "/":
		return refuse(sumAssets, "Every file of this host would be served. Write the path of a directory for machines, like \"/srv/rpi/boot\".")
	default:
		return path, []string{path}, nil
	}
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
	if err := booters.CheckHost(u.Hostname()); err != nil {
		return "cannot be used: " + err.Error()
	}
	return ""
}

// cmdline is a checker: it makes the paths in the markers of a command line
// absolute.
func cmdline(dir, s string) (string, []string, *refusal) {
	switch {
	case len(s) > maxCmdline:
		return refuse(sumTooLarge, "A command line can have %d bytes, and this one has %d. Kernels cut it even earlier: move settings into a file.", maxCmdline, len(s))
	case strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }):
		return refuse(sumOneLine, "A kernel's command line has one line and no control characters. Write it in quotes, on one line.")
	}
	if !strings.Contains(s, "{{") && !strings.Contains(s, brace) {
		return s, nil, nil // as most are
	}
	var line strings.Builder
	var files []string
	for rest := s; ; {
		before, marker, found := strings.Cut(rest, "{{")
		if strings.Contains(before, brace) {
			before = fmt.Sprintf("{{ %q }}", strings.ReplaceAll(before, brace, "{"))
		}
		line.WriteString(before)
		if !found {
			return line.String(), files, nil
		}
		inner, behind, closed := strings.Cut(marker, "}}")
		fn, quoted, _ := strings.Cut(strings.TrimSpace(inner), " ")
		arg, err := strconv.Unquote(strings.TrimSpace(quoted))
		if !closed || err != nil || fn != "ID" && fn != "URL" {
			return refuse(sumTemplate, "In a command line, {{ begins {{ ID \"…\" }} or {{ URL \"…\" }}, the address at which a machine fetches the file of that path or URL. Write one of these; inside of quotes, as {{ ID \\\"…\\\" }}.")
		}
		file, local, refused := source(dir, arg)
		if refused != nil {
			return "", nil, refused
		}
		files = append(files, local...)
		fmt.Fprintf(&line, "{{ %s %q }}", fn, file)
		rest = behind
	}
}

func (d *decoder) ipxe(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	firmwares := map[string]boot.Firmware{
		"bios":        boot.FirmwareX86PC,
		"bios_ipxe":   boot.FirmwareX86Ipxe,
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
		path, at, ok := s.localPath(a, "the path of a loader in quotes",
			"Write the path of a loader, or leave the line out for the built-in one.",
			"A loader is read when the file is loaded, from this host. Download it, and write its path.")
		if ok {
			d.cfg.Loaders[firmwares[name]] = path
			d.named = append(d.named, namedFile{path: path, at: at, without: bootsWithout})
		}
	}
}
