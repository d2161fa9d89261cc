package importers

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// nixSetting begins an assignment, nixBlock one of all settings at once.
var (
	nixSetting = regexp.MustCompile(`services\.pixiecore\.([A-Za-z]+)\s*=\s*`)
	nixBlock   = regexp.MustCompile(`services\.pixiecore\s*=\s*\{`)
	nixInside  = regexp.MustCompile(`^\s*([A-Za-z]+)\s*=\s*`)
	nixComment = regexp.MustCompile(`(?m)(^|\s)#.*$|(?s:/\*.*?\*/)`)
)

// nixos reads the settings of NixOS's module, and makes of them what the module
// makes: a command line.
func (d *draft) nixos(text string) error {
	settings, unread := map[string]string{}, map[string]bool{}
	text = nixComment.ReplaceAllString(text, "")
	take := func(name, rest string) (behind string) {
		value, behind, ok := nixValue(rest)
		if ok {
			settings[name] = value
		} else {
			unread[name] = true
			d.leave("services.pixiecore.%s: only texts, numbers, true, false and lists of texts are understood, not %q.", name, strings.TrimSpace(value))
		}
		return behind
	}
	for _, at := range nixSetting.FindAllStringSubmatchIndex(text, -1) {
		take(text[at[2]:at[3]], text[at[1]:])
	}
	for _, at := range nixBlock.FindAllStringIndex(text, -1) {
		for rest := text[at[1]:]; ; {
			m := nixInside.FindStringSubmatch(rest)
			if m == nil {
				break
			}
			rest = take(m[1], rest[len(m[0]):])
		}
	}
	for _, name := range []string{"mode", "kernel", "initrd", "cmdLine", "apiServer", "quick"} {
		if unread[name] {
			return fmt.Errorf("services.pixiecore.%s is an expression, which only Nix can read: import the unit that it makes, systemctl cat pixiecore | pixiecore import -", name)
		}
	}
	if len(settings) == 0 {
		return errors.New("there is no services.pixiecore with settings in it")
	}
	if settings["enable"] == "false" {
		d.leave("services.pixiecore.enable is false: this is what it would serve.")
	}
	if settings["openFirewall"] == "true" {
		d.leave("openFirewall: open 67, 69 and 4011 for UDP, and the port of listener http for TCP.")
	}
	var args []string
	switch settings["mode"] {
	case "", "boot":
		if settings["kernel"] == "" {
			return errors.New("services.pixiecore.kernel is missing, or no text: write its path there, and import it again")
		}
		args = []string{"boot", settings["kernel"]}
		if s := settings["initrd"]; s != "" {
			args = append(args, s)
		}
		if s := settings["cmdLine"]; s != "" {
			args = append(args, "--cmdline="+s)
		}
	case "api":
		args = []string{"api", settings["apiServer"]}
	case "quick":
		args = []string{"quick", settings["quick"]}
	default:
		return fmt.Errorf("services.pixiecore.mode %q is neither boot, api nor quick", settings["mode"])
	}
	for name, flag := range map[string]string{"debug": "--debug", "dhcpNoBind": "--dhcp-no-bind"} {
		if settings[name] == "true" {
			args = append(args, flag)
		}
	}
	for _, s := range []struct{ name, flag string }{{"listen", "--listen-addr"}, {"port", "--port"}, {"statusPort", "--status-port"}} {
		if v := settings[s.name]; v != "" {
			args = append(args, s.flag+"="+v)
		}
	}
	if extra := settings["extraArguments"]; extra != "" {
		args = append(args, strings.Split(extra, "\x00")...)
	}
	return d.command(args)
}

// nixValue reads a value up to its semicolon; the elements of a list are joined by
// NUL. It is false, with the text, for an expression.
func nixValue(s string) (value, behind string, ok bool) {
	if list, cut := strings.CutPrefix(s, "["); cut {
		var all []string
		for rest := strings.TrimSpace(list); ; rest = strings.TrimSpace(rest) {
			if after, end := strings.CutPrefix(rest, "]"); end {
				value, behind, ok = strings.Join(all, "\x00"), after, true
				break
			}
			var text string
			if text, rest, ok = nixText(rest); !ok {
				break
			}
			all = append(all, text)
		}
	} else {
		value, behind, ok = nixText(s)
	}
	if ok {
		if after, end := strings.CutPrefix(strings.TrimSpace(behind), ";"); end {
			return value, after, true
		}
	}
	expression, behind, _ := strings.Cut(s, ";")
	return expression, behind, false
}

var (
	nixWord   = regexp.MustCompile(`^(true|false|[0-9]+|[./][A-Za-z0-9._+/-]+)`)
	nixDouble = regexp.MustCompile(`^"((?:[^"\\]|\\.)*)"`)
	nixIndent = regexp.MustCompile(`(?s)^''(.*?)''`)
)

func nixText(s string) (text, behind string, ok bool) {
	if m := nixWord.FindString(s); m != "" {
		return m, s[len(m):], true
	}
	m := nixDouble.FindStringSubmatch(s)
	if m == nil {
		if m = nixIndent.FindStringSubmatch(s); m == nil || strings.Contains(m[1], "${") {
			return "", s, false
		}
		return strings.TrimSpace(m[1]), s[len(m[0]):], true
	}
	if strings.Contains(strings.ReplaceAll(m[1], `\${`, ""), "${") {
		return "", s, false
	}
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(m[1], `\$`, "$") + `"`)
	return text, s[len(m[0]):], err == nil
}
