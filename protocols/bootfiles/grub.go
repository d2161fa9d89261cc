package bootfiles

import (
	"fmt"
	"net"
	"strings"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Names of what GRUB asks for. grubDir is where GRUB of distributions looks, on the
// server that its DHCP acknowledgement names: Debian's signed one is built with the
// prefix /grub.
const (
	grubDir     = "grub"
	grubConfig  = "grub.cfg"
	kernelName  = "kernel"
	initrdName  = "initrd" // with a number behind it
	bootingMark = "booting"
)

// grubPause is how long a sentence stays on the screen, in seconds, before the
// machine starts again. GRUB cannot be told to ask again for ever: each
// configuration that one leads to stays in memory.
const grubPause = 60

// grubPlatforms are the words of $grub_cpu-$grub_platform, for the architecture
// types of the machines that they run on.
var grubPlatforms = map[string]boot.ArchType{
	"i386-pc": 0x00, "i386-efi": 0x06, "x86_64-efi": 0x07, "arm-efi": 0x0a, "arm64-efi": 0x0b, "riscv64-efi": 0x1b, "loongarch64-efi": 0x27,
}

// quoteGRUB makes one word of text, in which nothing has a meaning to GRUB (GRUB
// 2.12 manual §6.1, "Quoting").
func quoteGRUB(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// grubWords are the words to put behind GRUB's command linux so that the kernel
// gets the command line. GRUB joins them by blanks, and puts a word with a blank in
// it into double quotes, as the kernel reads them (grub-core/lib/cmdline.c). What it
// would put a backslash before, no word can have.
func grubWords(cmdline string) ([]string, error) {
	if i := strings.IndexAny(cmdline, `'\`); i >= 0 {
		return nil, fmt.Errorf("the command line has a %q, which GRUB cannot hand to a kernel: leave it out, or boot by loader = \"ipxe\"", cmdline[i])
	}
	if strings.Count(cmdline, `"`)%2 != 0 {
		return nil, fmt.Errorf("the command line has a double quote that is not closed")
	}
	var words []string
	var word strings.Builder
	quoted := false
	for _, c := range []byte(strings.TrimSpace(cmdline)) { // bytes, which need be no UTF-8
		switch {
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteByte(c)
		}
	}
	return append(words, word.String()), nil
}

// grubEcho prints text, line by line.
func grubEcho(b *strings.Builder, text string) {
	for l := range strings.Lines(text) {
		l = strings.Map(printable, l)
		if strings.HasPrefix(l, "-") {
			l = " " + l // else it is an option of echo
		}
		fmt.Fprintf(b, "echo %s\n", quoteGRUB(l))
	}
}

// GRUB is the configuration that loads and starts what spec says. dir is the
// machine's own directory, below which its kernel and initrds are fetched from where
// GRUB itself came. base is as for Boot, for the addresses in the command line.
func GRUB(base, dir string, spec *boot.Spec, notice string) (string, error) {
	switch {
	case spec == nil:
		return "", fmt.Errorf("there is nothing to boot")
	case spec.IpxeScript != "":
		return "", fmt.Errorf("what it boots is an iPXE script, which GRUB cannot run")
	case spec.Kernel == "":
		return "", fmt.Errorf("spec has no kernel")
	}
	cmdline, err := expandCmdline(base, spec.Cmdline)
	if err != nil {
		return "", err
	}
	words, err := grubWords(cmdline)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if notice != "" {
		grubEcho(&b, "pixiecore: "+notice)
	}
	grubEcho(&b, spec.Message)
	root := "/" + dir + "/"
	fmt.Fprintf(&b, "if linux %s", root+kernelName)
	for _, w := range words {
		b.WriteString(" " + quoteGRUB(w))
	}
	b.WriteString("; then\n")
	if len(spec.Initrd) > 0 {
		b.WriteString("if initrd")
		for i := range spec.Initrd {
			fmt.Fprintf(&b, " %s%s%d", root, initrdName, i)
		}
	} else {
		b.WriteString("if true")
	}
	b.WriteString("; then\n")
	// To look for the file tells the server what imgfetch does in a script.
	fmt.Fprintf(&b, "if [ -e %s%s ]; then true; fi\n", root, bootingMark)
	b.WriteString("boot\nfi\nfi\n")
	b.WriteString(grubAgain("GRUB could not load what this machine boots: its own message stands above"))
	return b.String(), nil
}

// grubAgain shows a sentence, and then starts the machine again.
func grubAgain(sentence string) string {
	var b strings.Builder
	grubEcho(&b, "pixiecore: "+sentence)
	fmt.Fprintf(&b, "echo 'pixiecore: starting this machine again in %d seconds'\nsleep %d\nreboot\n", grubPause, grubPause)
	return b.String()
}

// GRUBScreen shows a sentence on the machine. When the operator has mended the cause,
// the machine boots by itself.
func GRUBScreen(sentence string) string { return grubAgain(sentence) }

// grubLeave returns to the firmware, saying why.
func grubLeave(reason string) string {
	var b strings.Builder
	grubEcho(&b, "pixiecore: "+reason)
	fmt.Fprintf(&b, "sleep %d\nexit 1\n", dhcpPause)
	return b.String()
}

// grubFixed is the configuration that any machine finds under a fixed name: it leads
// to the machine's own, by the address of the network card that GRUB was loaded by.
func grubFixed() string {
	var b strings.Builder
	fmt.Fprintf(&b, "configfile /%s/$net_default_mac/$grub_cpu-$grub_platform.cfg\n", grubDir)
	b.WriteString(grubAgain("the server gave GRUB no configuration for this machine"))
	return b.String()
}

// installerGRUB is a name where GRUB of Debian's installer looks, whose prefix is
// /debian-installer/ARCH/grub, as one below grubDir. Others are returned as they are.
func installerGRUB(name string) string {
	if rest, ok := strings.CutPrefix(name, "debian-installer/"); ok {
		if _, rest, ok = strings.Cut(rest, "/"); ok && strings.HasPrefix(rest, grubDir+"/") {
			return rest
		}
	}
	return name
}

// grubMachine reads the rest of a name below grubDir that names a machine:
// "52:54:00:00:00:01/x86_64-efi.cfg".
func grubMachine(rest string) (mac net.HardwareAddr, typ boot.ArchType, ok bool) {
	dir, file, ok := strings.Cut(rest, "/")
	if !ok || len(dir) != len("52:54:00:00:00:01") {
		return nil, 0, false
	}
	platform, ok := strings.CutSuffix(file, ".cfg")
	if typ, known := grubPlatforms[platform]; ok && known {
		mac, err := net.ParseMAC(dir)
		return mac, typ, err == nil
	}
	return nil, 0, false
}
