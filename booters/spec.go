package booters

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A fileKind is what a file of a Spec is for.
type fileKind string

const (
	kernelFile fileKind = "kernel"
	initrdFile fileKind = "initrd"
	rpiFiles   fileKind = "rpi"   // a directory
	otherFile  fileKind = "other" // named in the command line
)

// An issuer gives out the ID under which machines get a source.
type issuer func(kind fileKind, source string) (boot.ID, error)

// prepareSpec copies a Spec of sources into one of IDs. funcs are the names
// under which its command line may ask for the URL of a file. The error says
// all that is wrong with the Spec.
func prepareSpec(spec *boot.Spec, funcs []string, issue issuer) (*boot.Spec, error) {
	if spec == nil {
		return nil, errors.New("there is nothing to boot")
	}
	out := &boot.Spec{Message: spec.Message, IpxeScript: spec.IpxeScript}
	var errs []error
	if spec.Kernel != "" || spec.IpxeScript == "" {
		id, err := issue(kernelFile, string(spec.Kernel))
		if err != nil {
			errs = append(errs, fmt.Errorf("kernel: %w", err))
		}
		out.Kernel = id
	}
	for i, source := range spec.Initrd {
		id, err := issue(initrdFile, string(source))
		if err != nil {
			errs = append(errs, fmt.Errorf("initrd %d: %w", i+1, err))
		}
		out.Initrd = append(out.Initrd, id)
	}
	if spec.RPi != "" {
		id, err := issue(rpiFiles, string(spec.RPi))
		if err != nil {
			errs = append(errs, fmt.Errorf("rpi: %w", err))
		}
		out.RPi = id
	}
	var err error
	if out.Cmdline, err = prepareCmdline(spec.Cmdline, funcs, issue); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

var errLines = errors.New("cmdline: it has more than one line")

// mark stands on both sides of a reference's number, while the command line
// is executed.
const mark = "\x00"

// prepareCmdline executes the template of a command line, and returns another
// one, in which nothing but {{ ID "…" }} is left to be done for each machine.
// So what can go wrong with it goes wrong when it is loaded.
func prepareCmdline(text string, funcs []string, issue issuer) (string, error) {
	if !strings.Contains(text, "{{") && !strings.Contains(text, mark) { // as most are
		line := strings.TrimSpace(text)
		if strings.ContainsAny(line, "\r\n") {
			return "", errLines
		}
		return quoteText(line), nil
	}
	var (
		ids     []boot.ID
		refused error
	)
	refer := func(source string) (string, error) {
		id, err := issue(otherFile, source)
		if err != nil {
			refused = fmt.Errorf("cmdline: %w", err)
			return "", err
		}
		ids = append(ids, id)
		return mark + strconv.Itoa(len(ids)-1) + mark, nil
	}
	funcMap := make(template.FuncMap)
	for _, name := range funcs {
		funcMap[name] = refer
	}
	line, err := execute(text, funcMap)
	switch {
	case refused != nil:
		return "", refused // without the template's words around it
	case err != nil: // "template: cmdline:1: …"
		return "", errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	line = strings.TrimSpace(line)
	if strings.ContainsAny(line, "\r\n") {
		return "", errLines
	}

	var out strings.Builder
	used := make([]bool, len(ids))
	for i, part := range strings.Split(line, mark) {
		if i%2 == 0 { // text between references
			out.WriteString(quoteText(part))
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n >= len(ids) {
			return "", errors.New("cmdline: it holds a NUL character")
		}
		used[n] = true
		fmt.Fprintf(&out, "{{ ID %q }}", string(ids[n]))
	}
	for _, u := range used {
		if !u {
			return "", fmt.Errorf("cmdline: the result of %s must stand in it as it is, not go through another function", strings.Join(funcs, " or "))
		}
	}
	return out.String(), nil
}

func execute(text string, funcs template.FuncMap) (string, error) {
	t, err := template.New("cmdline").Option("missingkey=error").Funcs(funcs).Parse(text)
	if err != nil {
		return "", err
	}
	b := bounded{left: maxCmdline}
	err = t.Execute(&b, nil)
	return b.text.String(), err
}

// maxCmdline bounds what the template of a command line makes, in bytes. No
// kernel takes a tenth of it.
const maxCmdline = 64 << 10

// bounded is an io.Writer of a text that has a bound.
type bounded struct {
	text strings.Builder
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("it makes more than %d bytes", maxCmdline)
	}
	return b.text.Write(p)
}

// quoteText makes a template of text which yields just that text.
func quoteText(text string) string {
	if strings.Contains(text, "{{") || strings.HasSuffix(text, "{") {
		return "{{ " + strconv.Quote(text) + " }}"
	}
	return text
}
