package boot

import (
	"fmt"
	"slices"
)

// A Style is how a PXE client is told of its boot file: the ways of the PXE
// specification 2.1, of which each firmware should know all, and some know one.
type Style uint8

const (
	// StyleAuto is the one that most firmware of a kind takes, and then the others.
	StyleAuto Style = iota
	// StyleBINL has no option 43: the client asks the server of the offer on port 4011.
	StyleBINL
	// StyleBypass says that the boot file is that of the offer.
	StyleBypass
	// StyleBypassPrompt says so beside a prompt that waits for nobody.
	StyleBypassPrompt
	// StyleBootServers has a list of boot servers, and a menu with the one item.
	StyleBootServers
)

var styleNames = [...]string{"auto", "binl", "bypass", "bypass+prompt", "boot-servers"}

// String is the word of the configuration language.
func (s Style) String() string {
	if int(s) < len(styleNames) {
		return styleNames[s]
	}
	return fmt.Sprintf("style %d", int(s))
}

// StyleNames lists the configuration's words.
func StyleNames() []string { return slices.Clone(styleNames[:]) }

// ParseStyle reads one of StyleNames.
func ParseStyle(name string) (Style, error) {
	if i := slices.Index(styleNames[:], name); i >= 0 {
		return Style(i), nil
	}
	return 0, fmt.Errorf("offer %q: not one of %v", name, styleNames)
}
