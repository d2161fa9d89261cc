package pxeclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// Bounds of the scripts of one boot. A server whose scripts exceed them sends
// the machine in circles.
const (
	maxScript   = 1 << 20  // bytes of one script
	maxLine     = 64 << 10 // bytes of one line
	maxCommands = 10_000
	maxExpand   = 100_000 // settings that are expanded
	maxScripts  = 32
	maxFetches  = 256
	maxMessages = 1000 // lines that are remembered
	maxMenus    = 32
	maxItems    = 1000 // of one menu
)

// ErrLoop is wrapped by the error of a boot that does not end.
var ErrLoop = errors.New("the boot goes in circles")

// An Action is how a machine's boot ends.
type Action string

// The ends of a boot.
const (
	ActionNone     Action = ""         // the boot failed before it came to an end
	ActionBoot     Action = "boot"     // the kernel starts
	ActionImage    Action = "image"    // a program that is no kernel of ours was chained
	ActionSanboot  Action = "sanboot"  // a disk boots: Outcome.Target
	ActionExit     Action = "exit"     // back to the firmware, with Outcome.ExitCode
	ActionLocal    Action = "local"    // the firmware goes on to its next boot option, as an offer says
	ActionReboot   Action = "reboot"   //
	ActionPoweroff Action = "poweroff" //
	ActionShell    Action = "shell"    // iPXE's shell, or a prompt or menu without an end: somebody must type
)

// An Image is a file that was downloaded.
type Image struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	Size   int64  `json:"size"`           // bytes
	SHA256 string `json:"sha256"`         // in hexadecimal
	Is     string `json:"is,omitempty"`   // what the bytes are, by their beginning; empty: that is not known
	Args   string `json:"args,omitempty"` // an initrd's arguments

	head []byte // its first maxScript bytes
	is   *content
}

// script reports whether iPXE would take the image for a script.
func (i *Image) script() bool {
	return bytes.HasPrefix(i.head, []byte("#!ipxe")) || bytes.HasPrefix(i.head, []byte("#!gpxe"))
}

// An Outcome is what a boot came to.
type Outcome struct {
	Action   Action   `json:"action"`
	Kernel   *Image   `json:"kernel,omitempty"`
	Initrds  []Image  `json:"initrds,omitempty"`
	Cmdline  string   `json:"cmdline,omitempty"`
	Target   string   `json:"target,omitempty"`    // what sanboot boots: a drive or a URL
	ExitCode int      `json:"exit_code,omitempty"` // of ActionExit
	Messages []string `json:"messages,omitempty"`  // what the machine's screen showed, at most 1000 lines
}

// host is what a script can do outside of itself.
type host interface {
	// fetch downloads a file.
	fetch(ctx context.Context, u *url.URL) (*Image, error)
	// dhcp runs DHCP with the user class of the settings and stores what came
	// of it there.
	dhcp(ctx context.Context, s settings) error
	// cpuid reports a bit of the processor's features; ok is false where the
	// machine has no such instruction.
	cpuid(ext, ecx bool, bit int) (set, ok bool)
}

// interpreter runs iPXE scripts.
type interpreter struct {
	host     host
	settings settings
	outcome  Outcome

	images   []*Image
	selected *Image
	menus    map[string][]item // by name: the nameless one has the name ""

	commands, expansions, fetches, scripts int // so far; see the bounds
}

// frame is one script that runs.
type frame struct {
	name  string
	base  *url.URL // what its URLs are relative to
	lines []string
	label map[string]int // the first line of each ":label"
	next  int            // index of the next line
	moved bool           // by goto, which leaves the rest of its line
	ended bool           // by exit, or by a script that replaced it
}

// exitError is a script's exit status that is not 0.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

var (
	errStatus  = errors.New("no") // isset, iseq, cpuid
	errUnknown = errors.New("command not found")
	errUsage   = errors.New("wrong arguments")
)

// fatal reports whether an error ends the boot whatever the script says.
func fatal(ctx context.Context, err error) bool { return errors.Is(err, ErrLoop) || ctx.Err() != nil }

// run interprets a script from its first line to where it ends: by itself, by
// a command that ends the boot (then the outcome has an action), or by an error
// that the script does not handle.
func (in *interpreter) run(ctx context.Context, img *Image) error {
	if in.scripts++; in.scripts > maxScripts {
		return fmt.Errorf("%w: %d scripts, the last is %s", ErrLoop, maxScripts, img.URL)
	}
	if img.Size > maxScript {
		return fmt.Errorf("script %s: more than %d bytes", img.URL, maxScript)
	}
	base, err := url.Parse(img.URL)
	if err != nil {
		return err
	}
	f := &frame{name: img.URL, base: base, lines: scriptLines(string(img.head)), label: map[string]int{}}
	for i, l := range f.lines {
		if len(l) > maxLine {
			return fmt.Errorf("%s:%d: a line of more than %d bytes", f.name, i+1, maxLine)
		}
		if l = strings.TrimSpace(l); strings.HasPrefix(l, ":") {
			name := strings.Fields(l)[0][1:]
			if _, ok := f.label[name]; !ok {
				f.label[name] = i
			}
		}
	}
	for f.next < len(f.lines) {
		number := f.next + 1
		f.next++
		err := in.line(ctx, f, f.lines[number-1])
		switch {
		case in.outcome.Action != ActionNone:
			return nil
		case f.ended:
			return err
		case err != nil:
			return fmt.Errorf("%s:%d: %w", f.name, number, err)
		}
	}
	return nil
}

// scriptLines splits a script, in which a backslash continues a line.
func scriptLines(text string) []string {
	lines := strings.Split(strings.ReplaceAll(text, "\r", ""), "\n")
	for i := len(lines) - 2; i >= 0; i-- {
		if l, ok := strings.CutSuffix(lines[i], `\`); ok {
			lines[i], lines[i+1] = l+lines[i+1], "" // the numbers of lines stay
		}
	}
	return lines
}

// line runs the commands of one line. Words are found before settings are
// expanded, so that a value with spaces, or one that is "||", is one argument.
func (in *interpreter) line(ctx context.Context, f *frame, line string) error {
	words := strings.Fields(line)
	if len(words) > 0 && strings.HasPrefix(words[0], ":") {
		return nil // a label
	}
	var err error
	process := true
	for {
		n, operator := terminator(words)
		if process {
			if in.commands++; in.commands > maxCommands {
				return fmt.Errorf("%w: %d commands", ErrLoop, maxCommands)
			}
			if err = in.expandAndExec(ctx, f, words[:n]); err != nil {
				err = fmt.Errorf("%s: %w", words[0], err)
			}
			if in.outcome.Action != ActionNone || f.ended || f.moved || fatal(ctx, err) {
				f.moved = false
				return err
			}
		}
		switch operator {
		case "":
			return err
		case "&&":
			process = err == nil
		case "||":
			process = err != nil
		case ";":
			process = true
		}
		words = words[n+1:]
	}
}

// terminator finds where the first command of words ends, and by which operator.
func terminator(words []string) (int, string) {
	for i, w := range words {
		switch {
		case w[0] == '#':
			return i, ""
		case w == "||", w == "&&", w == ";":
			return i, w
		}
	}
	return len(words), ""
}

func (in *interpreter) expandAndExec(ctx context.Context, f *frame, words []string) error {
	if len(words) == 0 {
		return nil // an empty command does nothing, successfully: "command ||"
	}
	args := make([]string, len(words))
	for i, w := range words {
		var err error
		if args[i], err = in.settings.expand(w, &in.expansions); err != nil {
			return err
		}
	}
	return in.exec(ctx, f, args[0], args[1:])
}

// exec runs one command.
func (in *interpreter) exec(ctx context.Context, f *frame, name string, args []string) error {
	var o options
	var err error
	switch name {
	case "kernel", "initrd", "imgfetch", "module", "chain", "imgselect", "imgload", "imgexec", "boot":
		o, args, err = parseOptions(args, "name", "n", "timeout", "t")
	case "sanboot":
		o, args, err = parseOptions(args, "drive", "d", "filename", "f", "extra", "e", "label", "l")
	case "prompt":
		o, args, err = parseOptions(args, "key", "k", "timeout", "t")
	case "menu":
		o, args, err = parseOptions(args, "name", "n")
	case "item":
		o, args, err = parseOptions(args, "menu", "m", "key", "k")
	case "choose":
		o, args, err = parseOptions(args, "menu", "m", "default", "d", "timeout", "t", "retimeout", "r")
	case "dhcp", "ifconf", "iflinkwait":
		o, args, err = parseOptions(args, "configurator", "c", "timeout", "t")
	case "inc", "exit", "goto": // their arguments may be negative numbers
	default:
		o, args, err = parseOptions(args)
	}
	if err != nil {
		return err
	}

	switch name {
	case "echo":
		in.say(strings.Join(args, " "))
	case "set":
		if len(args) == 0 {
			return errUsage
		}
		return in.settings.set(args[0], strings.Join(args[1:], " "))
	case "clear":
		if len(args) != 1 {
			return errUsage
		}
		return in.settings.set(args[0], "")
	case "inc":
		by := 1
		if len(args) == 2 {
			by, err = strconv.Atoi(args[1])
		}
		if err != nil || len(args) < 1 || len(args) > 2 {
			return errUsage
		}
		return in.settings.inc(args[0], int64(by))
	case "isset":
		return truth(len(args) == 1, len(args) == 1 && args[0] != "")
	case "iseq":
		return truth(len(args) == 2, len(args) == 2 && args[0] == args[1])
	case "cpuid":
		if len(args) != 1 {
			return errUsage
		}
		bit, err := strconv.Atoi(args[0])
		if err != nil || bit < 0 || bit > 31 {
			return errUsage
		}
		set, ok := in.host.cpuid(o.has("ext", "e", "amd", "a"), o.has("ecx", "c"), bit)
		if !ok {
			return errUnknown
		}
		return truth(true, set)
	case "goto":
		if len(args) != 1 {
			return errUsage
		}
		return f.jump(args[0])
	case "sleep":
		_, err := strconv.ParseUint(strings.Join(args, ""), 0, 32)
		return err // a simulated machine does not wait
	case "prompt":
		in.say(strings.Join(args, " "))
		if !o.has("timeout", "t") {
			in.outcome.Action = ActionShell // it waits for a key for ever
			return nil
		}
		return errStatus // nobody presses one
	case "menu":
		return in.menu(o, args)
	case "item":
		return in.item(o, args)
	case "choose":
		return in.choose(o, args)
	case "dhcp", "ifconf":
		return in.host.dhcp(ctx, in.settings)
	case "ifopen", "ifclose", "iflinkwait", "ifstat", "imgstat", "route", "console", "colour", "cpair", "imgtrust":
		// What they change is not simulated.
	case "kernel", "imgselect", "imgload":
		img, err := in.image(ctx, f, o, args)
		if err != nil {
			return err
		}
		in.selected = img
	case "initrd", "imgfetch", "module":
		_, err := in.image(ctx, f, o, args)
		return err
	case "imgargs":
		if len(args) == 0 {
			return errUsage
		}
		img := in.find(args[0])
		if img == nil {
			return fmt.Errorf("no image %q", args[0])
		}
		img.Args = strings.Join(args[1:], " ")
	case "imgfree":
		return in.free(args)
	case "chain":
		img, err := in.image(ctx, f, o, args)
		if err != nil {
			return err
		}
		return in.execute(ctx, f, img, o.has("replace", "r"), ActionImage)
	case "boot", "imgexec":
		img := in.selected
		if len(args) > 0 {
			if img, err = in.image(ctx, f, o, args); err != nil {
				return err
			}
		}
		if img == nil {
			return errors.New("no image is selected")
		}
		return in.execute(ctx, f, img, o.has("replace", "r"), ActionBoot)
	case "sanboot":
		in.outcome.Action = ActionSanboot
		in.outcome.Target = strings.Join(args, " ")
		if in.outcome.Target == "" {
			in.outcome.Target = o.value("drive", "d")
		}
		if in.outcome.Target == "" {
			in.outcome.Target = "0x80"
		}
	case "exit":
		code := uint64(0)
		if len(args) > 0 {
			code, err = strconv.ParseUint(args[0], 0, 31)
		}
		if err != nil || len(args) > 1 {
			return errUsage
		}
		f.ended = true
		if code != 0 {
			return exitError(code)
		}
	case "reboot":
		in.outcome.Action = ActionReboot
	case "poweroff":
		in.outcome.Action = ActionPoweroff
	case "shell":
		in.outcome.Action = ActionShell
	default:
		return errUnknown
	}
	return nil
}

func truth(usage, yes bool) error {
	switch {
	case !usage:
		return errUsage
	case !yes:
		return errStatus
	}
	return nil
}

func (in *interpreter) say(text string) {
	if len(in.outcome.Messages) < maxMessages {
		in.outcome.Messages = append(in.outcome.Messages, text)
	}
}

// jump goes to the line of ":label".
func (f *frame) jump(label string) error {
	line, ok := f.label[label]
	if !ok {
		return fmt.Errorf("no label %q", label)
	}
	f.next, f.moved = line, true
	return nil
}

// image finds an image by its name, or downloads it. The first argument is the
// name or the URL, the rest are the image's own arguments.
func (in *interpreter) image(ctx context.Context, f *frame, o options, args []string) (*Image, error) {
	if len(args) == 0 {
		if in.selected == nil {
			return nil, errUsage
		}
		return in.selected, nil
	}
	img := in.find(args[0])
	if img == nil {
		var err error
		if img, err = in.download(ctx, f, args[0]); err != nil {
			return nil, err
		}
		in.images = append(in.images, img)
	}
	if name := o.value("name", "n"); name != "" {
		img.Name = name
	}
	if len(args) > 1 {
		img.Args = strings.Join(args[1:], " ")
	}
	return img, nil
}

func (in *interpreter) download(ctx context.Context, f *frame, ref string) (*Image, error) {
	if in.fetches++; in.fetches > maxFetches {
		return nil, fmt.Errorf("%w: %d downloads", ErrLoop, maxFetches)
	}
	// iPXE escapes what may not stand in a request when it writes the URL.
	u, err := f.base.Parse(strings.ReplaceAll(ref, " ", "%20"))
	if err != nil {
		return nil, err
	}
	img, err := in.host.fetch(ctx, u)
	if err != nil {
		return nil, err
	}
	img.Name = path.Base(u.Path)
	return img, nil
}

func (in *interpreter) find(name string) *Image {
	for _, img := range in.images {
		if img.Name == name {
			return img
		}
	}
	return nil
}

// free forgets the named images, or all.
func (in *interpreter) free(names []string) error {
	if len(names) == 0 {
		in.images, in.selected = nil, nil
		return nil
	}
	for _, name := range names {
		img := in.find(name)
		if img == nil {
			return fmt.Errorf("no image %q", name)
		}
		in.drop(img)
	}
	return nil
}

func (in *interpreter) drop(img *Image) {
	kept := in.images[:0]
	for _, i := range in.images {
		if i != img {
			kept = append(kept, i)
		}
	}
	in.images = kept
	if in.selected == img {
		in.selected = nil
	}
}

// execute starts an image: a script runs here, anything else ends the boot by
// action. With replace the calling script ends, too, once the image is there.
func (in *interpreter) execute(ctx context.Context, f *frame, img *Image, replace bool, action Action) error {
	in.drop(img) // neither the script nor the kernel is handed to the kernel as an initrd
	if img.script() {
		f.ended = replace
		return in.run(ctx, img)
	}
	in.outcome.Action = action
	in.outcome.Cmdline, img.Args = img.Args, ""
	in.outcome.Kernel = img
	for _, i := range in.images {
		in.outcome.Initrds = append(in.outcome.Initrds, *i)
	}
	return nil
}

// options are the options of one command, long or short.
type options map[string]string

// parseOptions reads options up to the first argument that is none, as iPXE
// does. Those in valued take a value.
func parseOptions(args []string, valued ...string) (options, []string, error) {
	takes := map[string]bool{}
	for _, v := range valued {
		takes[v] = true
	}
	o := options{}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		a := args[0]
		args = args[1:]
		if a == "--" {
			break
		}
		name, value, given := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if takes[name] && !given {
			if len(args) == 0 {
				return nil, nil, errUsage
			}
			value, args = args[0], args[1:]
		}
		o[name] = value
	}
	return o, args, nil
}

func (o options) has(names ...string) bool {
	for _, n := range names {
		if _, ok := o[n]; ok {
			return true
		}
	}
	return false
}

func (o options) value(names ...string) string {
	for _, n := range names {
		if v, ok := o[n]; ok {
			return v
		}
	}
	return ""
}
