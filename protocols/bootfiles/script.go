package bootfiles

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"text/template"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A script collects the lines of one iPXE script.
type script struct {
	lines []string
	sets  map[string]string // settings that words need: name to hexadecimal bytes
	order []string
}

func (s *script) line(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *script) set(name, hex string) string {
	if s.sets == nil {
		s.sets = map[string]string{}
	}
	if _, ok := s.sets[name]; !ok {
		s.sets[name] = hex
		s.order = append(s.order, name)
	}
	return "${" + name + ":string}" // without the type it would expand as it was set, in hexadecimal
}

func (s *script) String() string {
	var b strings.Builder
	b.WriteString("#!ipxe\n")
	for _, name := range s.order {
		fmt.Fprintf(&b, "set %s:hex %s\n", name, s.sets[name])
	}
	for _, l := range s.lines {
		b.WriteString(l)
		b.WriteByte('\n')
	}
	return b.String()
}

// whiteSpace is what iPXE takes for it, beside the space (ctype.h, isspace).
var whiteSpace = strings.NewReplacer("\t", " ", "\n", " ", "\v", " ", "\f", " ", "\r", " ")

// words writes text as arguments of an iPXE command such that iPXE puts the
// same text together again: words that iPXE would read as its syntax begin
// with a setting, and so do further spaces. iPXE's own ${…} stays, and is
// expanded by iPXE.
func (s *script) words(text string) string {
	// iPXE splits at every kind of white space and puts one space back.
	text = whiteSpace.Replace(text)
	var b strings.Builder
	spaces := 0
	for i, w := range strings.Split(text, " ") {
		if w == "" {
			spaces++
			continue
		}
		if i > 0 && b.Len() > 0 {
			b.WriteByte(' ')
			spaces--
		}
		for ; spaces > 0; spaces-- {
			b.WriteString(s.set("space", "20"))
		}
		switch {
		case w == "||":
			w = s.set("bar", "7c") + "|"
		case w == "&&":
			w = s.set("and", "26") + "&"
		case w == ";":
			w = s.set("semicolon", "3b")
		case w[0] == '#':
			w = s.set("hash", "23") + w[1:]
		}
		b.WriteString(w)
		spaces = 1
	}
	return b.String()
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
		w := s.words(l)
		if strings.HasPrefix(w, "-") {
			w = s.set("space", "20") + w // else iPXE takes it for an option of echo
		}
		s.line("echo %s", w)
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
		return "mac=" + url.QueryEscape(m.MAC.String()) + "&arch=" + m.Arch
	case len(m.MAC) > 0:
		return "mac=" + url.QueryEscape(m.MAC.String())
	default:
		return "mac=${netX/mac}" // the interface that was used last: the one that fetched this script
	}
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

// reports are the settings that iPXE reports, beside the CPU. The keys are those
// of the query.
var reports = [...][2]string{
	{"platform", "${platform}"}, {"buildarch", "${buildarch}"}, {"ip", "${netX/ip}"}, {"uuid", "${uuid}"},
	{"serial", "${serial:uristring}"}, {"manufacturer", "${manufacturer:uristring}"},
	{"product", "${product:uristring}"}, {"asset", "${asset:uristring}"}, {"hostname", "${hostname:uristring}"},
}

// chain fetches url and goes on there. It tries again on failure and in the
// end returns to the firmware, having said why.
func (s *script) chain(url string) {
	s.line("set chains:int32 0")
	s.line(":chain")
	// --replace: what the next script does when it ends is then up to it alone.
	s.line("chain --replace --autofree %s ||", url)
	s.line("inc chains")
	s.line("iseq ${chains} %d && goto nochain ||", chainTries)
	s.line("echo pixiecore: no script from the server yet, attempt ${chains} of %d", chainTries)
	s.line("sleep %d", chainPause)
	s.line("goto chain")
	s.line(":nochain")
	s.line("echo pixiecore: the server gave no script. Is its HTTP port open to this machine?")
	s.line("sleep %d", screenPause)
	s.line("exit 1")
}

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
	// Only a BIOS leaves it open. Bit 29 of CPUID 0x80000001 EDX is long mode.
	// Bit 0 of leaf 1 is the FPU, which every CPU that runs iPXE has: where even
	// that fails, this iPXE was built without the command.
	s.line("iseq ${platform} pcbios || goto report")
	s.line("set cpu ia32")
	s.line("cpuid 0 || set cpu unknown")
	s.line("cpuid --ext 29 && set cpu x64 ||")
	s.line(":report")
	q := m.query() + "&facts=1&cpu=${cpu}"
	for _, f := range reports {
		q += "&" + f[0] + "=" + f[1]
	}
	s.chain(base + ScriptPath + "?" + q)
	return s.String()
}

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
	var s script
	if notice != "" {
		s.echo("pixiecore: " + notice)
	}
	s.echo(spec.Message)
	m := url.QueryEscape(who.MAC.String())
	if who.Token != "" {
		m += "&token=" + who.Token
	}
	s.line("kernel --name kernel %s&type=kernel&mac=%s", FileURL(base, spec.Kernel), m)
	names := ""
	for i, id := range spec.Initrd {
		s.line("initrd --name initrd%d %s&type=initrd&mac=%s", i, FileURL(base, id), m)
		names += fmt.Sprintf("initrd=initrd%d ", i)
	}
	s.line("imgfetch --name ready %s/_/booting?mac=%s ||", base, m)
	s.line("imgfree ready ||")
	s.line("boot kernel %s", names+s.words(cmdline))
	return s.String(), nil
}

// Startable says why what the verdict boots cannot be started on the machine, in a
// sentence for its screen.
func Startable(m boot.Machine, v boot.Verdict) error {
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
	return base + FilePath + "?name=" + url.QueryEscape(string(id))
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
