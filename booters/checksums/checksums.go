package checksums

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	// MaxSums bounds a file of checksums, in bytes: that of a whole Debian installer
	// has fifty thousand.
	MaxSums = 4 << 20
	// maxShown is how many names an error lists.
	maxShown = 5
)

// Sums are the digests in a file of checksums, by name. They must not be modified.
type Sums map[string]boot.Digest

// Parse reads the lines of a SHA256SUMS:
//
//	DIGEST  name            GNU coreutils; "DIGEST *name" for a binary file
//	\DIGEST  na\\me         a name with \\, \n or \r in it
//	SHA256 (name) = DIGEST  BSD, and coreutils with --tag
//
// A "./" before a name is left out. The error says that there is no such line, or
// which name has two digests.
func Parse(text []byte) (Sums, error) {
	if len(text) > MaxSums {
		return nil, fmt.Errorf("it has more than %d bytes: is it a file of checksums?", MaxSums)
	}
	sums := make(Sums)
	for line := range strings.Lines(string(text)) {
		name, digest, ok := parseLine(strings.TrimRight(line, "\r\n"))
		if !ok {
			continue
		}
		if before, twice := sums[name]; twice && before != digest {
			return nil, fmt.Errorf("%q has two digests in it, %s and %s", name, before, digest)
		}
		sums[name] = digest
	}
	if len(sums) == 0 {
		return nil, errors.New("it has no SHA-256 in it: the lines of a SHA256SUMS are `DIGEST  NAME`, or `SHA256 (NAME) = DIGEST`")
	}
	return sums, nil
}

func parseLine(line string) (name string, digest boot.Digest, ok bool) {
	line, escaped := strings.CutPrefix(line, `\`)
	var hex string
	if rest, bsd := strings.CutPrefix(line, "SHA256 ("); bsd {
		at := strings.LastIndex(rest, ") = ")
		if at < 0 {
			return "", digest, false
		}
		name, hex = rest[:at], rest[at+len(") = "):]
	} else {
		var found bool
		if hex, name, found = strings.Cut(line, " "); !found {
			return "", digest, false
		}
		// A blank for text, "*" for a binary file; coreutils takes neither, too.
		if name != "" && (name[0] == ' ' || name[0] == '*') {
			name = name[1:]
		}
	}
	digest, err := boot.ParseDigest(hex)
	if err != nil {
		return "", digest, false
	}
	if escaped {
		if name, ok = unescape(name); !ok {
			return "", digest, false
		}
	}
	name = clean(name)
	return name, digest, name != ""
}

// unescape takes back what coreutils does to a name.
func unescape(name string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '\\' {
			i++
			if i == len(name) {
				return "", false
			}
			switch name[i] {
			case '\\':
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			default:
				return "", false
			}
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func clean(name string) string {
	for {
		rest, ok := strings.CutPrefix(name, "./")
		if !ok {
			return name
		}
		name = strings.TrimLeft(rest, "/")
	}
}

// Find is the digest of a file. below is its place relative to the directory of the
// file of checksums, "netboot/linux"; empty: it does not lie below that. base is its
// own name.
func (s Sums) Find(below, base string) (boot.Digest, error) {
	if digest, ok := s[clean(below)]; ok && below != "" {
		return digest, nil
	}
	var names []string
	var digests []boot.Digest
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if path.Base(name) != base {
			continue
		}
		names = append(names, name)
		if !slices.Contains(digests, s[name]) {
			digests = append(digests, s[name])
		}
	}
	wanted := base
	if below != "" {
		wanted = clean(below)
	}
	switch len(digests) {
	case 1:
		return digests[0], nil
	case 0:
		return boot.Digest{}, fmt.Errorf("it has no line for %q, but for %s: is it the file of another directory or release?", wanted, shown(slices.Sorted(maps.Keys(s))))
	default:
		return boot.Digest{}, fmt.Errorf("it has no line for %q, and several for a file of that name: %s; name the file, or its checksums, by the URLs at which they lie in one tree", wanted, shown(names))
	}
}

func shown(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == maxShown {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name[:min(len(name), 200)])
	}
	return b.String()
}
