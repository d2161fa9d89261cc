package pxeclient

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// What firmware starts in place of iPXE is told by its name, as shim tells what to
// load by its own: nothing that is loaded is run.

// started goes on as the program at u, which is in img: nil where that is an iPXE, or
// not known. It ends the boot otherwise.
func (m *machine) started(ctx context.Context, u *url.URL, img *Image) (ended bool, err error) {
	name := path.Base(u.Path)
	switch {
	case !m.profile.Firmware().UEFI() || m.profile.IPXE() || !strings.HasSuffix(name, ".efi"):
		return false, nil
	case strings.HasPrefix(name, "shim"):
		return true, m.shim(ctx, u)
	case strings.HasPrefix(name, "grub"):
		return true, m.grub(ctx, u)
	case strings.HasPrefix(name, "boot"): // as on a disk (UEFI 2.10 §3.5.1.1)
		img.Name = name
		m.transcript.Outcome = Outcome{Action: ActionImage, Kernel: img}
		return true, nil
	}
	return false, nil
}

// signed refuses what Secure Boot does not start. Whose the signature is, is not
// looked at.
func (m *machine) signed(img *Image) error {
	if m.profile.Secure && (img.is == nil || !img.is.signed) {
		return fmt.Errorf("%s: access denied: it is not signed, and Secure Boot is on", img.URL)
	}
	return nil
}

// goOn makes another program the one that acts.
func (m *machine) goOn(name string, f family, from *url.URL) {
	m.profile.Name, m.profile.family = name, f
	m.step(Step{Kind: StepStage, URL: from.String()}, nil)
}

// shim looks for what may stand beside it, and loads GRUB from there.
func (m *machine) shim(ctx context.Context, u *url.URL) error {
	m.goOn("shim", shim, u)
	beside := func(name string) *url.URL {
		next := *u
		next.RawPath = ""
		next.Path = path.Dir(u.Path) + "/" + name
		if u.Scheme == "http" {
			next.Path = path.Dir(u.Path) + "//" + name
		}
		return &next
	}
	for _, name := range []string{"revocations_sku.efi", "revocations_sbat.efi", "shim_certificate_0.efi"} {
		// As a rule there is none, which the server has to say.
		if _, err := m.fetch(ctx, beside(name)); ctx.Err() != nil {
			return err
		}
	}
	next := beside(strings.Replace(path.Base(u.Path), "shim", "grub", 1))
	img, err := m.fetch(ctx, next)
	if err != nil {
		return err
	}
	m.doubt("GRUB", img, m.content.program(m.profile.Type))
	if err := m.signed(img); err != nil {
		return err
	}
	return m.grub(ctx, next)
}

// grubPlatform is $grub_cpu and $grub_platform for the types of UEFI.
var grubPlatform = map[string]string{"ia32": "i386", "x64": "x86_64", "arm32": "arm", "arm64": "arm64", "riscv64": "riscv64", "loongarch64": "loongarch64"}

// grub reads its configuration where distributions build it to look, on the server
// that it came from: as if the ordinary DHCP server had named that in siaddr.
func (m *machine) grub(ctx context.Context, from *url.URL) error {
	m.goOn("grub", grub, from)
	if m.profile.Secure && from.Scheme == "http" {
		m.transcript.Doubts = append(m.transcript.Doubts, "GRUB came by HTTP, and the signed ones of distributions have no module for HTTP: they make no request then")
	}
	platform, _ := m.profile.Type.Platform()
	g := &grubScript{m: m, root: from, vars: map[string]string{
		"net_default_mac": m.MAC.String(), "grub_cpu": grubPlatform[platform.Arch.Name()], "grub_platform": "efi", "net_default_server": from.Hostname(),
	}}
	err := g.config(ctx, "/grub/grub.cfg")
	switch {
	case err != nil:
		return err
	case m.transcript.Outcome.Action == ActionNone:
		return errors.New("GRUB's configuration boots nothing: it waits at its prompt")
	}
	return m.finish(ctx)
}

// grubScript runs configurations of GRUB, of which it knows what a server's consist
// of.
type grubScript struct {
	m       *machine
	root    *url.URL // on whose server the paths are
	vars    map[string]string
	kernel  *Image
	initrds []Image
	cmdline string

	configs, commands int // so far; see the bounds of iPXE's scripts
}

func (g *grubScript) config(ctx context.Context, name string) error {
	if g.configs++; g.configs > maxScripts {
		return fmt.Errorf("%w: %d configurations of GRUB, the last is %s", ErrLoop, maxScripts, name)
	}
	u, err := g.at(name)
	if err != nil {
		return err
	}
	text, err := g.m.text(ctx, u)
	if err != nil {
		return err
	}
	g.m.script = u
	var conditions []bool
	for _, words := range statements(text, g.vars) {
		if len(words) == 0 {
			continue
		}
		if g.commands++; g.commands > maxCommands {
			return fmt.Errorf("%w: %d commands of GRUB", ErrLoop, maxCommands)
		}
		runs := true
		for _, c := range conditions {
			runs = runs && c
		}
		switch words[0] {
		case "if":
			yes := false
			if runs {
				if yes, err = g.command(ctx, words[1:]); err != nil {
					return err
				}
			}
			conditions = append(conditions, yes)
			continue
		case "fi", "else":
			n := len(conditions) - 1
			if n < 0 {
				return fmt.Errorf("%s: %q without an if", name, words[0])
			}
			if words[0] == "fi" {
				conditions = conditions[:n]
			} else {
				conditions[n] = !conditions[n]
			}
			continue
		case "then":
			words = words[1:]
		}
		if !runs || len(words) == 0 {
			continue
		}
		if _, err := g.command(ctx, words); err != nil {
			return err
		}
		if g.m.transcript.Outcome.Action != ActionNone {
			return nil
		}
	}
	return nil
}

// command runs one. ok is its status; an error ends the boot.
func (g *grubScript) command(ctx context.Context, words []string) (ok bool, err error) {
	if len(words) == 0 {
		return true, nil
	}
	o, args := &g.m.transcript.Outcome, words[1:]
	switch words[0] {
	case "true", "sleep", "set", "insmod", "terminal_output":
		return true, nil
	case "false":
		return false, nil
	case "echo":
		if len(o.Messages) < maxMessages {
			o.Messages = append(o.Messages, strings.Join(args, " "))
		}
		return true, nil
	case "configfile", "source":
		if len(args) != 1 {
			return false, nil
		}
		if err := g.config(ctx, args[0]); err != nil && (ctx.Err() != nil || errors.Is(err, ErrLoop)) {
			return false, err
		}
		return true, nil // what goes wrong there is on the screen
	case "[":
		if len(args) == 3 && args[0] == "-e" && args[2] == "]" {
			img, err := g.file(ctx, args[1])
			return img != nil, err
		}
		return false, nil
	case "linux", "linuxefi":
		if len(args) == 0 {
			return false, nil
		}
		if g.kernel, err = g.file(ctx, args[0]); g.kernel == nil {
			return false, err
		}
		if err := g.m.signed(g.kernel); err != nil {
			o.Messages = append(o.Messages, err.Error())
			return false, nil
		}
		g.initrds = nil
		for i, a := range args[1:] {
			if args[1+i] = a; strings.Contains(a, " ") {
				args[1+i] = `"` + a + `"`
			}
		}
		g.cmdline = strings.Join(args[1:], " ")
		return true, nil
	case "initrd", "initrdefi":
		for _, name := range args {
			img, err := g.file(ctx, name)
			if img == nil {
				return false, err
			}
			g.initrds = append(g.initrds, *img)
		}
		return true, nil
	case "boot":
		if g.kernel == nil {
			return false, nil
		}
		o.Action, o.Kernel, o.Initrds, o.Cmdline = ActionBoot, g.kernel, g.initrds, g.cmdline
		return true, nil
	case "exit":
		o.Action = ActionExit
		if len(args) > 0 {
			o.ExitCode, _ = strconv.Atoi(args[0])
		}
		return true, nil
	case "reboot":
		o.Action = ActionReboot
		return true, nil
	}
	return false, nil // can't find command
}

// at is the address of a path of GRUB's: "/grub/grub.cfg", "(tftp,192.0.2.1)/grub/grub.cfg".
func (g *grubScript) at(name string) (*url.URL, error) {
	u := url.URL{Scheme: g.root.Scheme, Host: g.root.Host, Path: name}
	if device, rest, ok := strings.Cut(strings.TrimPrefix(name, "("), ")"); ok && strings.HasPrefix(name, "(") {
		protocol, host, _ := strings.Cut(device, ",")
		u.Scheme, u.Path = protocol, rest
		if host != "" {
			u.Host = host
		}
	}
	if !strings.HasPrefix(u.Path, "/") {
		return nil, fmt.Errorf("%q: not a path from the root", name)
	}
	return &u, nil
}

// file fetches a file; nil without an error: there is none.
func (g *grubScript) file(ctx context.Context, name string) (*Image, error) {
	u, err := g.at(name)
	if err != nil {
		return nil, nil
	}
	img, err := g.m.fetch(ctx, u)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		g.m.transcript.Outcome.Messages = append(g.m.transcript.Outcome.Messages, "error: "+err.Error())
		return nil, nil
	}
	img.Name = path.Base(u.Path)
	return img, nil
}

// statements splits a configuration into the words of its statements, as GRUB's
// manual has it (§6.1): blanks part words, new lines and semicolons statements, and
// quotes and backslashes keep that from being so. Variables stand outside of single
// quotes.
func statements(text string, vars map[string]string) (all [][]string) {
	var words []string
	var word strings.Builder
	began := false
	endWord := func() {
		if began {
			words = append(words, word.String())
			word.Reset()
			began = false
		}
	}
	end := func() {
		endWord()
		if all = append(all, words); len(all) > maxCommands {
			return
		}
		words = nil
	}
	variable := func(rest string) int {
		name, n := rest[1:], 0
		if strings.HasPrefix(name, "{") {
			if n = strings.IndexByte(name, '}'); n < 0 {
				return 1
			}
			word.WriteString(vars[name[1:n]])
			return n + 2
		}
		for n < len(name) && (name[n] == '_' || name[n] >= '0' && name[n] <= '9' || name[n]|0x20 >= 'a' && name[n]|0x20 <= 'z') {
			n++
		}
		word.WriteString(vars[name[:n]])
		return n + 1
	}
	for i := 0; i < len(text) && len(all) <= maxCommands; {
		switch c := text[i]; c {
		case '\'':
			began = true
			n := strings.IndexByte(text[i+1:], '\'')
			if n < 0 {
				n = len(text) - i - 1
			}
			word.WriteString(text[i+1 : i+1+n])
			i += n + 2
			continue
		case '"':
			began = true
			for i++; i < len(text) && text[i] != '"'; {
				switch {
				case text[i] == '\\' && i+1 < len(text):
					word.WriteByte(text[i+1])
					i += 2
				case text[i] == '$':
					i += variable(text[i:])
				default:
					word.WriteByte(text[i])
					i++
				}
			}
		case '\\':
			if began = true; i+1 < len(text) {
				word.WriteByte(text[i+1])
			}
			i++
		case '$':
			began = true
			i += variable(text[i:])
			continue
		case ' ', '\t', '\r':
			endWord()
		case '\n', ';':
			end()
		case '#':
			if began {
				word.WriteByte(c)
				break
			}
			if n := strings.IndexByte(text[i:], '\n'); n > 0 {
				i += n
				continue
			}
			i = len(text)
		default:
			began = true
			word.WriteByte(c)
		}
		i++
	}
	end()
	return all
}
