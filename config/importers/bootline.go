package importers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pixiecore/pixiecore/config/recipes"
)

// A command is a command line of pixiecore, without the program's name.
type command struct {
	args  []string
	more  int  // further ones that the text has
	holds bool // a variable that a shell or systemd replaces
}

// commandLine finds the first command line of pixiecore in a text: a line of a
// script, or ExecStart= of a unit; nil without one.
func commandLine(text string) *command {
	var found *command
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		rest, unit := strings.CutPrefix(line, "ExecStart=")
		if unit {
			rest = strings.TrimLeft(rest, "-@:+!") // systemd.service(5)
		}
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		words, ok := split(rest)
		if !ok {
			continue
		}
		for i, w := range words {
			base := path.Base(w)
			if base != "pixiecore" && base != "pixiecore-apache2" || i+1 == len(words) {
				continue
			}
			if !known(words[i+1]) {
				break
			}
			if found != nil {
				found.more++
				break
			}
			found = &command{args: words[i+1:]}
			for j, a := range found.args {
				plain := strings.ReplaceAll(a, "$$", "")
				found.holds = found.holds || strings.Contains(plain, "$") && !strings.Contains(plain, "${net")
				if unit {
					found.args[j] = strings.NewReplacer("%%", "%", "$$", "$").Replace(a)
				}
			}
			break
		}
	}
	return found
}

// known says whether a command line of the original could begin with the word.
func known(word string) bool {
	switch word {
	case "boot", "api", "quick", "bootipv6", "ipv6api":
		return true
	}
	return strings.HasPrefix(word, "-") && word != "--help" && word != "--version"
}

// split makes words of a line as sh and systemd do, without replacing variables.
// It is false for a quote that is not closed.
func split(line string) (words []string, ok bool) {
	var word strings.Builder
	var quote byte
	inside := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			if quote == '"' && !strings.ContainsRune("\"\\$`", rune(line[i])) {
				word.WriteByte('\\')
			}
			word.WriteByte(line[i])
			inside = true
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, inside = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inside {
				words = append(words, word.String())
				word.Reset()
				inside = false
			}
		default:
			word.WriteByte(c)
			inside = true
		}
	}
	if inside {
		words = append(words, word.String())
	}
	return words, quote == 0
}

// server are the flags of all commands of the original.
type server struct {
	listen                  string
	port, status            int
	debug, share, facts     bool
	format                  string
	bios, rom, efi32, efi64 string
}

func (d *draft) bootLine(text string) error {
	c := commandLine(text)
	if c == nil {
		return errors.New("there is no command line of pixiecore in it: boot, api or quick, or -kernel or -api of its first version")
	}
	if c.more > 0 {
		d.leave("%d further command lines: one configuration is made of the first.", c.more)
	}
	if c.holds {
		d.leave("Variables ($NAME) of a shell or of systemd stand as they are: replace them.")
	}
	return d.command(c.args)
}

// usualLimit is the time limit of an API where the command line has none.
const usualLimit = 5 * time.Second

// command makes the configuration of a command line.
func (d *draft) command(args []string) error {
	verb := args[0]
	f := pflag.NewFlagSet("pixiecore", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	var (
		s                           server
		six                         server6
		cmdline, message            string
		arch, mirror, version       string
		catalogues                  []string
		limit                       = f.Duration("api-request-timeout", 0, "")
		v1api, v1kernel, v1initrd   string
		dhcpPort, pxePort, tftpPort int
		_                           = f.BoolP("log-timestamps", "t", false, "")
		_                           = f.String("ui-assets-dir", "", "")
	)
	f.BoolVarP(&s.debug, "debug", "d", false, "")
	f.StringVarP(&s.listen, "listen-addr", "l", "0.0.0.0", "")
	f.IntVarP(&s.port, "port", "p", 80, "")
	f.IntVar(&s.status, "status-port", 0, "")
	f.BoolVar(&s.share, "dhcp-no-bind", false, "")
	f.StringVar(&s.bios, "ipxe-bios", "", "")
	f.StringVar(&s.rom, "ipxe-ipxe", "", "")
	f.StringVar(&s.efi32, "ipxe-efi32", "", "")
	f.StringVar(&s.efi64, "ipxe-efi64", "", "")
	f.StringVar(&cmdline, "cmdline", "", "")
	f.StringVar(&message, "bootmsg", "", "")
	f.StringVar(&arch, "arch", "", "")
	f.StringVar(&mirror, "mirror", "", "")
	f.StringVar(&version, "version", "", "")
	f.StringArrayVar(&catalogues, "catalogue", nil, "")
	f.StringVar(&s.format, "log-format", "auto", "")
	f.BoolVar(&s.facts, "send-facts", false, "")
	f.IntVar(&dhcpPort, "port-dhcp", 0, "")
	f.IntVar(&pxePort, "port-pxe", 0, "")
	f.IntVar(&tftpPort, "port-tftp", 0, "")
	six.add(f)
	if strings.HasPrefix(verb, "-") { // the first version: flags of Go's own kind, and no command
		f.StringVar(&v1api, "api", "", "")
		f.StringVar(&v1kernel, "kernel", "", "")
		f.StringVar(&v1initrd, "initrd", "", "")
		f.DurationVar(limit, "api-timeout", 0, "")
		f.IntVar(&s.port, "port-http", 70, "")
		doubled := make([]string, len(args))
		for i, a := range args {
			if strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && len(a) > 2 {
				a = "-" + a
			}
			doubled[i] = a
		}
		if err := f.Parse(doubled); err != nil {
			return err
		}
		args = []string{v1kernel}
		if verb = "boot"; v1api != "" {
			verb, args = "api", []string{v1api}
		}
		for initrd := range strings.SplitSeq(v1initrd, ",") {
			if initrd != "" {
				args = append(args, initrd)
			}
		}
	} else {
		if err := f.Parse(args[1:]); err != nil {
			return err
		}
		args = f.Args()
	}
	if dhcpPort != 0 && dhcpPort != 67 || pxePort != 0 && pxePort != 4011 || tftpPort != 0 && tftpPort != 69 {
		d.leave("Ports of DHCP, PXE and TFTP other than their own: machines ask on those.")
	}
	if f.Changed("ui-assets-dir") {
		d.leave("--ui-assets-dir is for those who work on the status page.")
	}
	if *limit != 0 && *limit != usualLimit {
		d.leave("The time limit of %v for the API: DHCP waits for it as long as the boot's timeout says, and its answer may take five seconds.", *limit)
	}

	var id, what string
	switch {
	case verb == "bootipv6" || verb == "ipv6api":
		listen := ""
		if f.Changed("listen-addr") {
			listen = s.listen
		}
		if err := d.over6(verb, listen, six, f.Changed("preference")); err != nil {
			return err
		}
		return d.logging(s)
	case verb == "boot" && len(args) > 0 && args[0] != "":
		for _, a := range args {
			if why := unusable(a); why != "" {
				return fmt.Errorf("file %q: %s", a, why)
			}
			if !path.IsAbs(a) && !strings.Contains(a, "://") {
				d.leave("%q counted from the working directory, and counts from the folder of this file now.", a)
			}
		}
		if !oneLine(cmdline) {
			return errors.New("the command line of the kernel has more than one line, or more than 4096 bytes")
		}
		id = d.boot("imported", bootDraft{kernel: args[0], initrd: args[1:], cmdline: cmdline, message: message})
	case verb == "api" && len(args) == 1:
		api := args[0]
		if !strings.HasPrefix(api, "http://") && !strings.HasPrefix(api, "https://") {
			api = "http://" + api
		}
		if u, err := url.Parse(api); err != nil || u.Host == "" {
			return errors.New("the URL of the API cannot be read")
		}
		id = d.boot("imported", bootDraft{api: api})
		if !s.facts {
			d.leave("The API is also told what is known of a machine, by a query that the original did not send.")
		}
	case verb == "quick" && len(args) > 0:
		if len(catalogues) > 0 {
			return fmt.Errorf("the recipes of %q are not read by an import: write what `pixiecore quick --print` prints", catalogues)
		}
		if len(args) == 1 && version != "" {
			args = append(args, version)
		}
		b, err := d.recipe(args, arch, mirror)
		if err != nil {
			return err
		}
		id, what = b.Label(), string(b.HCL(cmdline, message))
		d.taken["boot "+id] = true
		d.blocks.WriteString("\n" + what)
	default:
		return fmt.Errorf("the command line %q names nothing to boot", verb)
	}
	if err := d.serving(s); err != nil {
		return err
	}
	d.rule("everybody", nil, "boot = boot."+id)
	return nil
}

// nowhere is a recipes.Opener: what is imported is not fetched from anywhere.
type nowhere struct{}

func (nowhere) Open(context.Context, string) (io.ReadCloser, int64, error) {
	return nil, 0, errors.New("nothing is fetched by an import: write what `pixiecore quick --print` prints")
}

func (d *draft) recipe(args []string, arch, mirror string) (*recipes.Boot, error) {
	c, err := recipes.Load()
	if err != nil {
		return nil, err
	}
	r, err := c.Find(args[0])
	if err != nil {
		return nil, err
	}
	choice := recipes.Choice{Arch: arch, Mirror: mirror}
	if len(args) > 1 {
		choice.Version = args[1]
	}
	if mirror == "" {
		d.leave("The original's mirror of %s, mirrors.kernel.org: the files come from the distribution's own server.", r.Name)
	}
	return r.Resolve(context.Background(), nowhere{}, choice)
}

// serving writes listeners, loaders and the log.
func (d *draft) serving(s server) error {
	address, err := netip.ParseAddr(s.listen)
	switch {
	case s.listen == "":
		s.listen = ""
	case err != nil || !address.Is4():
		return fmt.Errorf("the address %q is no IPv4 address", s.listen)
	case address.IsUnspecified():
		s.listen = ""
	}
	if s.port <= 0 || s.port > 1<<16-1 {
		return fmt.Errorf("%d is no port of HTTP", s.port)
	}
	switch {
	case s.status < 0 || s.status > 1<<16-1:
		return fmt.Errorf("%d is no port of the status", s.status)
	case s.status == s.port: // as NixOS has it
		d.leave("--status-port %d is the port of HTTP: the status is on 127.0.0.1:8067.", s.status)
	default:
		d.status = s.status
	}
	d.standard(s.listen, s.port, s.share, nil)
	var loaders strings.Builder
	for _, l := range []struct{ name, path string }{{"bios", s.bios}, {"bios_ipxe", s.rom}, {"efi32", s.efi32}, {"efi64", s.efi64}} {
		if l.path != "" && unusable(l.path) == "" && !strings.Contains(l.path, "://") {
			fmt.Fprintf(&loaders, "%s = %s\n", l.name, quote(l.path))
		}
	}
	if loaders.Len() > 0 {
		fmt.Fprintf(&d.listeners, "\nipxe {\n%s}\n", loaders.String())
	}
	return d.logging(s)
}

// logging writes how the log looks.
func (d *draft) logging(s server) error {
	var lines []string
	if s.debug {
		lines = append(lines, "level = \"debug\"")
	}
	switch s.format {
	case "auto":
	case "classic":
		d.leave("--log-format classic: a configuration has no such lines; systemd's journal has MAC=, RULE= and the like.")
	case "console", "json":
		lines = append(lines, "format = "+quote(s.format))
	default:
		return fmt.Errorf("--log-format %q is not one of auto, console, json, classic", s.format)
	}
	if len(lines) == 1 {
		fmt.Fprintf(&d.listeners, "\nlog { %s }\n", lines[0])
	} else if len(lines) > 1 {
		fmt.Fprintf(&d.listeners, "\nlog {\n%s\n}\n", strings.Join(lines, "\n"))
	}
	return nil
}
