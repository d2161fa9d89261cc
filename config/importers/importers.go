package importers

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/config"
)

// A Kind is what a configuration is made of.
type Kind string

// The kinds.
const (
	BootLine Kind = "boot-line" // a command line of the original, alone, in a script or in a unit
	NixOS    Kind = "nixos"     // services.pixiecore of a NixOS configuration
	Dnsmasq  Kind = "dnsmasq"   // dnsmasq.conf
	Matchbox Kind = "matchbox"  // the data directory of matchbox, with groups and profiles
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{BootLine, NixOS, Dnsmasq, Matchbox} }

// Bounds on what is read.
const (
	maxFile  = 1 << 20 // bytes of one file
	maxFiles = 10_000  // of groups or profiles
)

// A Result is a configuration.
type Result struct {
	Kind Kind
	HCL  []byte
	Left []string // what could not be carried over, a sentence each; it stands in HCL, too
}

// Import reads the file, or for matchbox the directory, at name in fsys. Without a
// kind it looks what it is. The error says why nothing can be made of it.
func Import(fsys fs.FS, name string, kind Kind) (*Result, error) {
	st, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		src, err := read(fsys, name)
		if err != nil {
			return nil, err
		}
		return Text(name, src, kind)
	}
	if profiles, err := fs.Stat(fsys, path.Join(name, "profiles")); kind != Matchbox && (kind != "" || err != nil || !profiles.IsDir()) {
		return nil, fmt.Errorf("%s is a directory: only that of %s is read, with groups and profiles", name, Matchbox)
	}
	d := newDraft(name)
	return d.result(Matchbox, d.matchbox(fsys, name))
}

// Text is Import of a file that has been read.
func Text(name string, src []byte, kind Kind) (*Result, error) {
	if len(src) > maxFile {
		return nil, fmt.Errorf("%s has more than %d MiB: is it the right file?", name, maxFile>>20)
	}
	if kind == "" {
		kind = detect(string(src))
	}
	d := newDraft(name)
	switch kind {
	case BootLine:
		return d.result(kind, d.bootLine(string(src)))
	case NixOS:
		return d.result(kind, d.nixos(string(src)))
	case Dnsmasq:
		return d.result(kind, d.dnsmasq(string(src)))
	case Matchbox:
		return nil, fmt.Errorf("%s is a file: name matchbox's data directory, which has groups and profiles", name)
	case "":
		return nil, fmt.Errorf("%s: it does not show what it is: say it, one of %s", name, words())
	}
	return nil, fmt.Errorf("%q is no kind of configuration: there is %s", kind, words())
}

func newDraft(name string) *draft { return &draft{source: path.Base(name), taken: map[string]bool{}} }

// result is what has been read, unless that went wrong.
func (d *draft) result(kind Kind, err error) (*Result, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.source, err)
	}
	r := &Result{kind, d.bytes(kind), d.left}
	// The readers refuse what they know to be wrong; the language knows all of it.
	_, report := config.Parse("pixiecore.hcl", r.HCL)
	for _, p := range report.Problems() {
		if p.Severity == config.SeverityError {
			return nil, fmt.Errorf("%s: what it says cannot be served: %s: %s", d.source, p.Summary, p.Detail)
		}
	}
	return r, nil
}

func words() string {
	var all []string
	for _, k := range Kinds() {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

func read(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(src) > maxFile {
		err = fmt.Errorf("%s has more than %d MiB: is it the right file?", name, maxFile>>20)
	}
	return src, err
}

// detect guesses the kind of a text, "" where nothing shows it.
func detect(text string) Kind {
	switch {
	case strings.Contains(text, "services.pixiecore"):
		return NixOS
	case commandLine(text) != nil:
		return BootLine
	}
	for line := range strings.Lines(text) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch strings.TrimSpace(key) {
		case "dhcp-boot", "dhcp-range", "dhcp-host", "dhcp-match", "pxe-service", "enable-tftp":
			return Dnsmasq
		}
	}
	return ""
}

// A draft is a configuration that is being written.
type draft struct {
	source    string
	listeners strings.Builder
	blocks    strings.Builder // machines and boots
	rules     strings.Builder
	left      []string
	status    int             // the port of the status; 0: the usual one
	taken     map[string]bool // identifiers, by type and name
}

// leave notes what is not carried over.
func (d *draft) leave(format string, args ...any) {
	d.left = append(d.left, printable(fmt.Sprintf(format, args...)))
}

// printable keeps a note on its line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// standard are the listeners of a server at an IPv4 address, all of them for "".
func (d *draft) standard(address string, port int, share bool, interfaces []string) {
	block := func(kind string, port int, standard bool, more string) {
		if address != "" || !standard {
			host := address
			if host == "" {
				host = "[::]"
			}
			more = fmt.Sprintf("address = \"%s:%d\"\n", host, port) + more
		}
		if more == "" {
			fmt.Fprintf(&d.listeners, "listener %q {}\n", kind)
			return
		}
		fmt.Fprintf(&d.listeners, "listener %q {\n%s}\n", kind, more)
	}
	var of, dhcp string
	if len(interfaces) > 0 {
		of = "interfaces = " + list(interfaces) + "\n"
	}
	if dhcp = of; share {
		dhcp += "share = true\n"
	}
	block("dhcp", 67, true, dhcp)
	block("pxe", 4011, true, of)
	block("tftp", 69, true, "")
	block("http", port, port == 80, "")
	d.statusListener()
}

// statusListener writes that of the status.
func (d *draft) statusListener() {
	if d.status == 0 {
		d.listeners.WriteString("listener \"status\" {} # this host only\n")
		return
	}
	fmt.Fprintf(&d.listeners, "listener \"status\" { address = \"127.0.0.1:%d\" } # this host only\n", d.status)
}

// unique makes an identifier of name that is not taken for typ.
func (d *draft) unique(typ, name string) string {
	id := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, name)
	if id == "" || !unicode.IsLetter(rune(id[0])) {
		id = typ + "-" + id
	}
	for base, n := id, 2; d.taken[typ+" "+id]; n++ {
		id = fmt.Sprintf("%s-%d", base, n)
	}
	d.taken[typ+" "+id] = true
	return id
}

// A bootDraft is a boot block. Its texts stand for themselves.
type bootDraft struct {
	kernel, cmdline, message string
	initrd                   []string
	api, script              string
}

func (d *draft) boot(name string, b bootDraft) (id string) {
	id = d.unique("boot", name)
	w := &d.blocks
	fmt.Fprintf(w, "\nboot %q {\n", id)
	for _, s := range []struct{ name, value string }{{"kernel", b.kernel}, {"api", b.api}} {
		if s.value != "" {
			fmt.Fprintf(w, "%s = %s\n", s.name, source(s.value))
		}
	}
	if len(b.initrd) > 0 {
		var all []string
		for _, s := range b.initrd {
			all = append(all, source(s))
		}
		fmt.Fprintf(w, "initrd = [%s]\n", strings.Join(all, ", "))
	}
	for _, s := range []struct{ name, value string }{{"cmdline", b.cmdline}, {"message", b.message}, {"script", b.script}} {
		if s.value != "" {
			fmt.Fprintf(w, "%s = %s\n", s.name, quote(s.value))
		}
	}
	w.WriteString("}\n")
	return id
}

// rule writes one; conditions are lines of its match block.
func (d *draft) rule(name string, conditions []string, outcome string) {
	fmt.Fprintf(&d.rules, "\nrule %s {\n", quote(d.ruleName(name)))
	if len(conditions) > 0 {
		fmt.Fprintf(&d.rules, "match {\n%s\n}\n", strings.Join(conditions, "\n"))
	}
	fmt.Fprintf(&d.rules, "%s\n}\n", outcome)
}

func (d *draft) ruleName(name string) string {
	name = cmp.Or(strings.TrimSpace(printable(name)), "rule")
	for base, n := name, 2; d.taken["rule "+name]; n++ {
		name = fmt.Sprintf("%s %d", base, n)
	}
	d.taken["rule "+name] = true
	return name
}

// quote writes a text that stands for itself.
func quote(s string) string {
	return string(bytes.TrimSpace(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()))
}

// matchboxRoot begins a path that is of matchbox's own server.
const matchboxRoot = "\x00"

// source writes a path or URL.
func source(s string) string {
	if rest, ok := strings.CutPrefix(s, matchboxRoot); ok {
		return `"${local.matchbox}` + strings.TrimPrefix(quote(rest), `"`)
	}
	return quote(s)
}

func list(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// bytes is the file.
func (d *draft) bytes(kind Kind) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Made of %s (%s). Look it over: `pixiecore check` and `pixiecore explain`\n# say what it means.\n", printable(d.source), kind)
	if len(d.left) > 0 {
		b.WriteString("#\n# Not carried over:\n")
		for _, l := range d.left {
			fmt.Fprintf(&b, "#   %s\n", l)
		}
	}
	fmt.Fprintf(&b, "\n%s%s%s", d.listeners.String(), d.blocks.String(), d.rules.String())
	return hclwrite.Format(b.Bytes())
}

var errNothing = errors.New("there is nothing of a network boot in it")

// unusable says why a text cannot be the path or URL of a boot, "" if it can.
func unusable(s string) string {
	switch scheme, _, ok := strings.Cut(s, "://"); {
	case s == "":
		return "it is empty"
	case len(s) > 2000:
		return "it is too long"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "it has control characters"
	case ok && scheme != "http" && scheme != "https":
		return "files come from this host or by HTTP"
	}
	return ""
}

// oneLine says whether a kernel can have the command line.
func oneLine(s string) bool {
	return len(s) <= 4096 && !slices.ContainsFunc([]rune(s), func(r rune) bool { return unicode.IsControl(r) && r != '\t' })
}
