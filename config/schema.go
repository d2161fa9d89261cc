package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Block is what may stand in one kind of block. The table of all of them
// (language.go) is the only list of the language's names: the decoder refuses
// what is not in it, and the reference is made of it.
type Block struct {
	Name       string      `json:"name"`             // "listener"; empty: the file itself
	Label      string      `json:"label,omitempty"`  // what its one label is; empty: it has none
	Labels     []Word      `json:"labels,omitempty"` // all that the label can be, if these are few
	As         string      `json:"as,omitempty"`     // the block that has the same attributes and blocks
	Many       bool        `json:"many,omitzero"`    // whether there may be several in one place
	Doc        string      `json:"doc"`              // sentences, in Markdown of code and links to other blocks
	Example    string      `json:"example"`          // what can stand in a file, with all that it refers to
	Attributes []Attribute `json:"attributes,omitempty"`
	Blocks     []string    `json:"blocks,omitempty"` // the names of those that may stand in it
	// Later are the names that the language has and this version has not. A name
	// becomes an Attribute or a Block when it gets its effect.
	Later []string `json:"later,omitempty"`
}

// An Attribute is NAME = VALUE in a block.
type Attribute struct {
	Name    string        `json:"name"`
	Type    Type          `json:"type"`
	Needed  bool          `json:"needed,omitzero"`   // whether the block is refused without it
	Default string        `json:"default,omitempty"` // as it would be written, or in words
	Words   []string      `json:"words,omitempty"`   // all that the value, or each of the list, can be
	Members []string      `json:"members,omitempty"` // the names in an object
	Machine MachineValues `json:"machine,omitempty"`
	Stage   Stage         `json:"stage,omitempty"` // of a condition
	Doc     string        `json:"doc"`             // one or two sentences
	Example string        `json:"example"`         // a value
}

// A Word is one of the few that can stand in a place.
type Word struct {
	Word string `json:"word"`
	Doc  string `json:"doc"`
}

// A Type is what the value of an Attribute is.
type Type string

// The types.
const (
	TypeText      Type = "text"
	TypeTexts     Type = "texts" // one, or a list of them
	TypeBool      Type = "bool"
	TypeNumber    Type = "number"    // a whole one, from 0
	TypeSize      Type = "size"      // a text: a number of bytes with its unit
	TypeDuration  Type = "duration"  // a text with a unit: "1500ms"
	TypeMap       Type = "map"       // of texts, with any names
	TypeObject    Type = "object"    // with the names in Members
	TypeElements  Type = "elements"  // a map of anything, or a set of texts
	TypeFile      Type = "file"      // a text, or an object of texts: url, and sha256 or checksums
	TypeFiles     Type = "files"     // one, or a list of them
	TypeBoot      Type = "boot"      // a reference, boot.NAME
	TypeCondition Type = "condition" // over machine.*
)

// MachineValues are the values of the machine, machine.NAME, that may stand in
// an Attribute.
type MachineValues string

// The values of the machine that may stand somewhere; anywhere else, there are
// none.
const (
	MachinePaths MachineValues = "paths" // those that may choose a file: see pathMembers
	MachineAll   MachineValues = "all"
)

// A Stage is how early in a boot something about a machine is known.
type Stage string

// The stages.
const (
	StageDHCP Stage = "dhcp" // with the first request
	StageIPXE Stage = "ipxe" // from inside of iPXE only
)

// attribute is the one of that name, or nil.
func (b *Block) attribute(name string) *Attribute {
	i := slices.IndexFunc(b.Attributes, func(a Attribute) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &b.Attributes[i]
}

// names are those of all attributes.
func (b *Block) names() []string {
	names := make([]string, len(b.Attributes))
	for i, a := range b.Attributes {
		names[i] = a.Name
	}
	return names
}

// inside is for sentences: "in a boot block".
func (b *Block) inside() string {
	switch {
	case b.Name == "":
		return "at the top of a file"
	case strings.ContainsRune("aeio", rune(b.Name[0])) && b.Name != onceName:
		return "in an " + b.Name + " block"
	default:
		return "in a " + b.Name + " block"
	}
}

// laterSentence is said of all that comes in a later version.
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

// Suggest returns the name that is most similar to given, or "" when none is: for
// what has names of its own beside the language.
func Suggest(given string, names []string) string { return suggest(given, names) }

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
