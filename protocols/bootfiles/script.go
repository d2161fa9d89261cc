package bootfiles

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A script collects the lines of one iPXE script. It is written as it goes, into one
// piece of memory: a rack that powers up asks for thousands.
type script struct {
	lines strings.Builder
	sets  []setting // that words need, in the order in which they came up
}

// A setting is one of iPXE's, with its bytes in hexadecimal.
type setting struct{ name, hex string }

const magic = "#!ipxe\n"

// put adds a part of a line, or whole ones.
func (s *script) put(parts ...string) {
	if s.lines.Len() == 0 {
		s.lines.WriteString(magic)
	}
	for _, p := range parts {
		s.lines.WriteString(p)
	}
}

func (s *script) line(format string, args ...any) {
	s.put(fmt.Sprintf(format, args...), "\n")
}

// putSet adds a setting where a word needs its bytes.
func (s *script) putSet(name, hex string) {
	if !slices.ContainsFunc(s.sets, func(known setting) bool { return known.name == name }) {
		s.sets = append(s.sets, setting{name, hex})
	}
	s.put("${", name, ":string}") // without the type it would expand as it was set, in hexadecimal
}

func (s *script) String() string {
	s.put()
	text := s.lines.String()
	if s.sets == nil {
		return text
	}
	var b strings.Builder
	b.WriteString(magic)
	for _, set := range s.sets {
		fmt.Fprintf(&b, "set %s:hex %s\n", set.name, set.hex)
	}
	b.WriteString(text[len(magic):])
	return b.String()
}

// whiteSpace is what iPXE takes for it, beside the space (ctype.h, isspace).
var whiteSpace = strings.NewReplacer("\t", " ", "\n", " ", "\v", " ", "\f", " ", "\r", " ")

// putWords adds text as arguments of an iPXE command such that iPXE puts the
// same text together again: words that iPXE would read as its syntax begin
// with a setting, and so do further spaces. iPXE's own ${…} stays, and is
// expanded by iPXE.
func (s *script) putWords(text string) {
	if plainWords(text) {
		s.put(text)
		return
	}
	// iPXE splits at every kind of white space and puts one space back.
	text = whiteSpace.Replace(text)
	for first, spaces := true, 0; text != ""; spaces = 1 {
		n := len(text)
		text = strings.TrimLeft(text, " ")
		spaces += n - len(text)
		if text == "" {
			return
		}
		var w string
		w, text, _ = strings.Cut(text, " ")
		if !first {
			s.put(" ")
			spaces--
		}
		for first = false; spaces > 0; spaces-- {
			s.putSet("space", "20")
		}
		switch {
		case w == "||":
			s.putSet("bar", "7c")
			w = "|"
		case w == "&&":
			s.putSet("and", "26")
			w = "&"
		case w == ";":
			s.putSet("semicolon", "3b")
			w = ""
		case w[0] == '#':
			s.putSet("hash", "23")
			w = w[1:]
		}
		s.put(w)
	}
}

// plainWords reports whether iPXE gets the text as it stands, as nearly every one.
func plainWords(text string) bool {
	return !strings.ContainsAny(text, "\t\n\v\f\r|&;#") && !strings.HasPrefix(text, " ") && !strings.HasSuffix(text, " ") && !strings.Contains(text, "  ")
}

// printable drops the control characters other than the tab, for strings.Map.
func printable(r rune) rune {
	if r != '\t' && (r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0) {
		return -1
	}
	return r
}

// echo prints text, line by line. Control characters, which a terminal would
// obey, are left out.
func (s *script) echo(text string) {
	for l := range strings.Lines(text) {
		l = strings.Map(printable, l)
		if strings.TrimSpace(l) == "" {
			s.line("echo")
			continue
		}
		s.put("echo ")
		if l[0] == '-' {
			s.putSet("space", "20") // else iPXE takes it for an option of echo
		}
		s.putWords(l)
		s.put("\n")
	}
}

// Machine identifies the machine in the queries of a script: by its token, or
// by what an unauthenticated caller says (mac and arch), as in the original.
type Machine struct {
	Token string
	MAC   net.HardwareAddr
	Arch  string // the original's arch parameter, "0" or "1"; empty where iPXE reports its platform
}

// query is the part of the URL that names the machine, ready for an iPXE script.
func (m Machine) query() string {
	switch {
	case m.Token != "":
		return "token=" + m.Token
	case m.Arch != "":
		return "mac=" + escapeMAC(m.MAC) + "&arch=" + m.Arch
	case len(m.MAC) > 0:
		return "mac=" + escapeMAC(m.MAC)
	default:
		return "mac=${netX/mac}" // the interface that was used last: the one that fetched this script
	}
}

// escapeMAC writes an address for a query, where a colon is %3A.
func escapeMAC(mac net.HardwareAddr) string {
	b := make([]byte, 0, 5*len(mac))
	for i := range mac {
		if i > 0 {
			b = append(b, "%3A"...)
		}
		b = hex.AppendEncode(b, mac[i:i+1])
	}
	return string(b)
}

// ScriptPath is where iPXE gets its scripts by HTTP.
const ScriptPath = "/_/ipxe"

// ScriptURL is the address of a machine's first script. base is
// "http://host:port" without a slash at its end.
func ScriptURL(base, token string) string {
	return base + ScriptPath + "?" + Machine{Token: token}.query()
}

// Tries of the scripts, and the seconds between them.
const (
	dhcpTries   = 10
	dhcpPause   = 2
	nicTries    = 3 // by one interface alone
	maxNICs     = 8 // among which it is looked for
	chainTries  = 10
	chainPause  = 3
	screenPause = 15
)

// reported is the rest of a query by which iPXE reports its settings.
const reported = "&facts=1&cpu=${cpu}&platform=${platform}&buildarch=${buildarch}&ip=${netX/ip}&uuid=${uuid}" +
	"&serial=${serial:uristring}&manufacturer=${manufacturer:uristring}" +
	"&product=${product:uristring}&asset=${asset:uristring}&hostname=${hostname:uristring}"

// chain fetches the address that stands in parts and goes on there. It tries again on
// failure and in the end returns to the firmware, having said why.
func (s *script) chain(parts ...string) {
	// --replace: what the next script does when it ends is then up to it alone.
	s.put("set chains:int32 0\n:chain\nchain --replace --autofree ")
	s.put(parts...)
	s.put(tryAgain)
}

// tryAgain is what stands behind chain.
var tryAgain = fmt.Sprintf(` ||
inc chains
iseq ${chains} %[1]d && goto nochain ||
echo pixiecore: no script from the server yet, attempt ${chains} of %[1]d
sleep %[2]d
goto chain
:nochain
echo pixiecore: the server gave no script. Is its HTTP port open to this machine?
sleep %[3]d
exit 1
`, chainTries, chainPause, screenPause)

// Autoexec is autoexec.ipxe: it gets an address and goes on to Stub. It takes
// the place of iPXE's own boot sequence, so it must run DHCP itself. An empty
// token makes the script for machines that nothing is known of.
//
// Left to itself, iPXE takes the first interface on which any DHCP server answers,
// which need not be on this network. mac is that of the interface that the firmware
// boots by, which is asked alone at first; nil: it is not known.
func Autoexec(base, token string, mac net.HardwareAddr) string {
	var s script
	s.line("set user-class pixiecore")
	s.line("set tries:int32 0")
	asks := "dhcp"
	if len(mac) > 0 {
		asks = "dhcp ${nic}"
		for i := range maxNICs {
			// The x stands for the interface that is not there, of which no word would be left.
			s.line("iseq x${net%d/mac} x%s && set nic net%d ||", i, mac, i)
		}
	}
	s.line(":dhcp")
	s.line("%s && goto found ||", asks)
	s.line("inc tries")
	if len(mac) > 0 {
		s.line("iseq ${tries} %d && clear nic ||", nicTries)
	}
	s.line("iseq ${tries} %d && goto nodhcp ||", dhcpTries)
	s.line("echo pixiecore: no DHCP answer yet, attempt ${tries} of %d", dhcpTries)
	s.line("sleep %d", dhcpPause)
	s.line("goto dhcp")
	s.line(":nodhcp")
	s.line("echo pixiecore: this machine got no address by DHCP, so it cannot boot from the network")
	s.line("sleep %d", screenPause)
	s.line("exit 1")
	s.line(":found")
	if token == "" {
		s.chain(base + "/" + BootScript)
	} else {
		s.chain(ScriptURL(base, token))
	}
	return s.String()
}

// Stub is the first script of every boot: it asks the CPU whether it has 64
// bits, which no BIOS announces, and reports what else only iPXE knows.
func Stub(base string, m Machine) string {
	var s script
	s.lines.Grow(len(magic) + len(asksCPU) + len(base) + len(reported) + len(tryAgain) + 200)
	s.put(asksCPU)
	s.chain(base, ScriptPath, "?", m.query(), reported)
	return s.String()
}

// asksCPU sets cpu. Only a BIOS leaves it open. Bit 29 of CPUID 0x80000001 EDX is
// long mode. Bit 0 of leaf 1 is the FPU, which every CPU that runs iPXE has: where
// even that fails, this iPXE was built without the command.
const asksCPU = `iseq ${platform} pcbios || goto report
set cpu ia32
cpuid 0 || set cpu unknown
cpuid --ext 29 && set cpu x64 ||
:report
`

// LocalDisk boots the machine's own disk.
func LocalDisk(f boot.Firmware) string {
	var s script
	if f == boot.FirmwareX86PC {
		s.line("echo pixiecore: booting the local disk")
		s.line("sanboot --no-describe --drive 0x80 ||")
		s.line("echo pixiecore: the first disk did not boot; the BIOS goes on with its own boot order")
		s.line("sleep %d", dhcpPause)
		s.line("exit 1")
		return s.String()
	}
	s.line("echo pixiecore: returning to the firmware, which boots the local disk")
	// With status 0 EDK2 believes that an operating system ran and has ended,
	// and opens its menu instead of trying the next boot option.
	s.line("exit 1")
	return s.String()
}

// Leave returns to the firmware, saying why.
func Leave(reason string) string {
	var s script
	s.echo("pixiecore: " + reason)
	s.line("exit 1")
	return s.String()
}

// Halt returns to the firmware when people have had the time to read why.
func Halt(reason string) string {
	var s script
	s.echo("\npixiecore: " + reason + "\n")
	s.line("sleep %d", screenPause)
	s.line("exit 1")
	return s.String()
}

// Screen shows sentence on the machine and asks again for the same script
// after a pause: when the operator has mended the cause, the machine goes on
// by itself.
func Screen(base string, m Machine, sentence string) string {
	var s script
	s.echo("\npixiecore: " + sentence + "\n")
	s.line("echo pixiecore: asking again in %d seconds", screenPause)
	s.line("sleep %d", screenPause)
	s.chain(base + ScriptPath + "?" + m.query())
	return s.String()
}

// Boot is the script that loads and starts what spec says. Its form is the one
// of the original, to the byte, for a spec that the original could express;
// notice, for the machine's screen, and spec.Message come before it. base is
// "http://host:port". who has a MAC; its token, if any, tells the server whose the
// files are.
func Boot(base string, spec *boot.Spec, who Machine, notice string) (string, error) {
	if spec.IpxeScript != "" {
		return spec.IpxeScript, nil
	}
	if spec.Kernel == "" {
		return "", fmt.Errorf("spec has neither a kernel nor a script")
	}
	cmdline, err := expandCmdline(base, spec.Cmdline)
	if err != nil {
		return "", err
	}
	m := escapeMAC(who.MAC)
	if who.Token != "" {
		m += "&token=" + who.Token
	}
	var s script
	const ofFile = len("initrd --name initrd00 &type=initrd&mac=\n" + fileQuery)
	size := len(notice) + len(spec.Message) + len(cmdline) + (1+len(spec.Initrd))*(ofFile+len(base)+len(m)) + len(base) + len(m) + 150
	for _, id := range spec.Initrd {
		size += len(id) + len("initrd=initrd00 ")
	}
	s.lines.Grow(size + len(spec.Kernel))
	if notice != "" {
		s.echo("pixiecore: " + notice)
	}
	s.echo(spec.Message)
	s.put("kernel --name kernel ")
	s.putFile(base, spec.Kernel)
	s.put("&type=kernel&mac=", m, "\n")
	for i, id := range spec.Initrd {
		s.put("initrd --name initrd", strconv.Itoa(i), " ")
		s.putFile(base, id)
		s.put("&type=initrd&mac=", m, "\n")
	}
	s.put("imgfetch --name ready ", base, "/_/booting?mac=", m, " ||\nimgfree ready ||\nboot kernel ")
	for i := range spec.Initrd {
		s.put("initrd=initrd", strconv.Itoa(i), " ")
	}
	s.putWords(cmdline)
	s.put("\n")
	return s.String(), nil
}

// Startable says why what the verdict boots cannot be started on the machine, in a
// sentence for its screen.
func Startable(m boot.Machine, v *boot.Verdict) error {
	if v.Action == boot.Boot && v.Loader == boot.LoaderNative && !m.Firmware.UEFI() {
		return fmt.Errorf("boot %s is an EFI program, which only a machine with UEFI can start, and this one has %s firmware: switch it to UEFI, or give it another rule", v.Boot, m.Firmware)
	}
	if v.Action == boot.Boot && v.Loader == boot.LoaderNative && v.Image != boot.NoDiskImage {
		return fmt.Errorf("boot %s is the image of a disk, of which only UEFI HTTP Boot makes a RAM disk: choose HTTP Boot in the firmware of this machine, or give it another rule", v.Boot)
	}
	return nil
}

// FilePath is where HTTP serves what a Spec's IDs name.
const FilePath = "/_/file"

// FileURL is the address of a boot file.
func FileURL(base string, id boot.ID) string {
	return base + fileQuery + url.QueryEscape(string(id))
}

const fileQuery = FilePath + "?name="

// putFile adds FileURL.
func (s *script) putFile(base string, id boot.ID) {
	s.put(base, fileQuery, url.QueryEscape(string(id)))
}

// expandCmdline evaluates the template of Spec.Cmdline, in which {{ ID "x" }}
// (and URL, its other name) is the address of file x.
func expandCmdline(base, cmdline string) (string, error) {
	if strings.Contains(cmdline, "{{") {
		file := func(id string) string { return FileURL(base, boot.ID(id)) }
		t, err := template.New("cmdline").Option("missingkey=error").
			Funcs(template.FuncMap{"ID": file, "URL": file}).Parse(cmdline)
		if err != nil {
			return "", fmt.Errorf("cmdline %q: %w", cmdline, err)
		}
		var b strings.Builder
		if err := t.Execute(&b, nil); err != nil {
			return "", fmt.Errorf("cmdline %q: %w", cmdline, err)
		}
		cmdline = b.String()
	}
	cmdline = strings.TrimSpace(cmdline)
	if strings.ContainsAny(cmdline, "\r\n") {
		return "", fmt.Errorf("cmdline %q: holds a newline", cmdline)
	}
	return cmdline, nil
}
