package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A schema is what may stand inside of one kind of block.
type schema struct {
	inside   string   // for sentences: "in a boot block"
	settings []string // NAME = VALUE
	blocks   []string // NAME { … }
	// later are the names that the language has and this version has not. This
	// is their only list; a name moves up from here when it gets its effect.
	later []string
}

var (
	fileSchema = schema{
		inside:   "at the top of a file",
		settings: []string{"include"},
		blocks:   []string{"listener", "boot", "rule", "ipxe", "locals", "log", "machine", "state", "test", "url_key"},
		later:    []string{"assets", "cache", "reload", "secure_boot"},
	}
	listenerSchema = schema{
		inside:   "in a listener block",
		settings: []string{"address", "interfaces", "advertise", "share", "relays", "broadcast"},
		later:    []string{"cert", "dhcp6", "key", "single_port"},
	}
	bootSchema = schema{
		inside:   "in a boot block",
		settings: []string{"kernel", "initrd", "cmdline", "message", "script", "cmdline_append", "extends", "for_each"},
		later: []string{"api", "efi", "file", "installs", "loader", "offer",
			"secure_boot", "timeout"},
	}
	ruleSchema = schema{
		inside:   "in a rule block",
		settings: []string{"boot", "ignore", "local", "for_each", "probe"},
		blocks:   []string{"match"},
		later:    []string{"any_machine", "offer", "once"},
	}
	machineSchema = schema{
		inside:   "in a machine block",
		settings: []string{"mac", "uuid", "name", "labels", "for_each"},
	}
	// matchSchema is that of not and any, too.
	matchSchema = schema{
		inside: "in a match block",
		settings: []string{"mac", "arch", "firmware", "transport", "ipxe", "uuid", "machine", "labels", "interface", "listener", "subnet",
			"relay", "vendor_class", "user_class", "circuit_id", "remote_id", "serial", "manufacturer", "product", "asset", "hostname", "when"},
		blocks: []string{"not", "any"},
	}
	testSchema = schema{
		inside:   "in a test block",
		settings: []string{"machine", "expect"},
	}
	ipxeSchema = schema{
		inside:   "in an ipxe block",
		settings: []string{"bios", "efi32", "efi64", "arm32", "arm64", "riscv64", "loongarch64"},
	}
	stateSchema = schema{
		inside:   "in a state block",
		settings: []string{"dir"},
	}
	urlKeySchema = schema{
		inside:   "in a url_key block",
		settings: []string{"file"},
	}
	logSchema = schema{
		inside:   "in a log block",
		settings: []string{"level", "format"},
	}
)

// laterRoots are the names that references of a later version begin with.
var laterRoots = []string{"assets", "file"}

// laterSentence is said of everything in the lists above.
func laterSentence(what string) string {
	return what + " is part of the language, but this version does not have it yet. Leave it out for now."
}

// maxSuggest bounds the words, in bytes, for which a similar one is looked for.
const maxSuggest = 64

// aliases are words of other tools for what has another name here.
var aliases = map[string]string{
	"aarch64": "arm64",
	"amd64":   "x64",
	"arm":     "arm32",
	"efi":     "uefi",
	"host":    "address",
	"i386":    "ia32",
	"i686":    "ia32",
	"ignored": "ignore",
	"legacy":  "bios",
	"listen":  "listener",
	"loong64": "loongarch64",
	"pcbios":  "bios",
	"warning": "warn",
	"x86":     "ia32",
	"x86-64":  "x64",
	"x86_64":  "x64",
}

// didYouMean is a sentence that names the most similar of names, with a space
// before it, or else all of them if they are few.
func didYouMean(given string, names []string) string {
	if s := suggest(given, names); s != "" {
		return fmt.Sprintf(" Did you mean %q?", s)
	}
	const few = 24
	if len(names) == 0 || len(names) > few {
		return ""
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return " There is " + strings.Join(quoted, ", ") + "."
}

// suggest returns the name that is nearest to given, or "" when none is near:
// one mistake in a short word, two in a longer one.
func suggest(given string, names []string) string {
	given = strings.ToLower(given)
	if len(given) > maxSuggest {
		return ""
	}
	if a, ok := aliases[given]; ok && slices.Contains(names, a) {
		return a
	}
	best, least := "", 3
	if utf8.RuneCountInString(given) < 4 {
		least = 2
	}
	for _, n := range names {
		if d := len(n) - len(given); d > 2*least || d < -2*least || len(n) > maxSuggest {
			continue // saves the distance for most names of a long list
		}
		if d := distance([]rune(given), []rune(strings.ToLower(n))); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that make b of a (optimal string alignment).
func distance(a, b []rune) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
