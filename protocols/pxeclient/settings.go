package pxeclient

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// A setting is a value that iPXE keeps as bytes, with the type by which it is
// shown unless ${name:type} asks for another.
type setting struct {
	kind string
	raw  []byte
}

// settings are iPXE's, by name without a scope: ${net0/mac}, ${netX/mac} and
// ${mac} are one, for a simulated machine has one interface.
type settings map[string]setting

// maxExpansion is how many bytes a word may grow to.
const maxExpansion = 16 << 10

var errExpansion = fmt.Errorf("%w: a word grows beyond %d bytes, or settings expand to themselves", ErrLoop, maxExpansion)

// predefined are the types of the settings that iPXE knows by name; all others
// that are set without a type are strings.
func predefined(name string) string {
	switch name {
	case "ip", "netmask", "gateway", "dns", "next-server", "dhcp-server":
		return "ipv4"
	case "mac":
		return "hex"
	case "uuid":
		return "uuid"
	default:
		return "string"
	}
}

// unscoped takes the scope off a setting's name where it means this machine's
// interface or its DHCP.
func unscoped(name string) string {
	scope, rest, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	switch scope, _, _ := strings.Cut(scope, "."); scope {
	case "net0", "netX", "dhcp", "proxydhcp", "builtin":
		return rest
	}
	return name
}

// get formats the setting that ref, "name" or "name:type", names. What is not
// set, or has no such form, is empty.
func (s settings) get(ref string) string {
	name, kind, typed := strings.Cut(ref, ":")
	v, ok := s[unscoped(name)]
	if !ok {
		return ""
	}
	if !typed {
		// As iPXE: a setting remembers the type that it was set with, so
		// "set space:hex 20" makes ${space} "20", and ${space:string} a space.
		kind = v.kind
	}
	return format(kind, v.raw)
}

// expand replaces every ${…}, the innermost first, and what comes of it again.
// It counts them in spent, of which there may be maxExpand.
func (s settings) expand(word string, spent *int) (string, error) {
	for ; *spent < maxExpand; *spent++ {
		end := -1
		start := strings.Index(word, "${")
		if start >= 0 {
			end = strings.IndexByte(word[start:], '}')
		}
		if end < 0 {
			return word, nil
		}
		end += start
		start = strings.LastIndex(word[:end], "${")
		word = word[:start] + s.get(word[start+2:end]) + word[end+1:]
		if len(word) > maxExpansion {
			return "", errExpansion
		}
	}
	return "", errExpansion
}

// set stores value under ref, "name" or "name:type".
func (s settings) set(ref, value string) error {
	name, kind, typed := strings.Cut(ref, ":")
	name = unscoped(name)
	if !typed {
		kind = predefined(name)
	}
	if value == "" {
		delete(s, name)
		return nil
	}
	raw, err := parse(kind, value)
	if err != nil {
		return fmt.Errorf("set %s: %w", ref, err)
	}
	s[name] = setting{kind, raw}
	return nil
}

// setString stores a text without looking at it.
func (s settings) setString(name, value string) { s[name] = setting{"string", []byte(value)} }

// inc adds to a number. What is not set is 0.
func (s settings) inc(ref string, by int64) error {
	name, _, _ := strings.Cut(ref, ":")
	name = unscoped(name)
	v, ok := s[name]
	if !ok {
		v.kind = "int32"
	}
	n, err := strconv.ParseInt(format(v.kind, v.raw), 0, 64)
	if err != nil && ok {
		return fmt.Errorf("inc %s: %q is no number", ref, format(v.kind, v.raw))
	}
	return s.set(name+":"+v.kind, strconv.FormatInt(n+by, 10))
}

// format shows raw as iPXE's settings of that type are shown.
func format(kind string, raw []byte) string {
	switch kind {
	case "string":
		return string(raw)
	case "uristring":
		return uriEncode(raw)
	case "hex":
		return hexWith(raw, ":")
	case "hexhyp":
		return hexWith(raw, "-")
	case "hexraw":
		return hex.EncodeToString(raw)
	case "base64":
		return base64.StdEncoding.EncodeToString(raw)
	case "ipv4":
		if len(raw) == 4 {
			return netip.AddrFrom4([4]byte(raw)).String()
		}
	case "uuid":
		if len(raw) == 16 {
			return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
		}
	case "int8", "int16", "int32":
		if n, ok := number(raw); ok {
			return strconv.FormatInt(n, 10)
		}
	case "uint8", "uint16", "uint32":
		if n, ok := number(raw); ok {
			return fmt.Sprintf("%#x", uint32(n))
		}
	}
	return ""
}

// parse reads what a script sets, in the form that format writes.
func parse(kind, text string) ([]byte, error) {
	switch kind {
	case "string":
		return []byte(text), nil
	case "uristring":
		s, err := url.PathUnescape(text)
		return []byte(s), err
	case "hex", "hexhyp", "hexraw":
		return hex.DecodeString(strings.NewReplacer(":", "", "-", "").Replace(text))
	case "base64":
		return base64.StdEncoding.DecodeString(text)
	case "ipv4":
		a, err := netip.ParseAddr(text)
		if err == nil && !a.Is4() {
			err = fmt.Errorf("%v is no IPv4 address", a)
		}
		return a.AsSlice(), err
	case "uuid":
		b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if err == nil && len(b) != 16 {
			err = fmt.Errorf("%q is no UUID", text)
		}
		return b, err
	case "int8", "uint8", "int16", "uint16", "int32", "uint32":
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil || n < math.MinInt32 || n > math.MaxUint32 {
			return nil, fmt.Errorf("%q is no number of 32 bits", text)
		}
		b := binary.BigEndian.AppendUint32(nil, uint32(n))
		switch kind {
		case "int8", "uint8":
			return b[3:], nil
		case "int16", "uint16":
			return b[2:], nil
		}
		return b, nil
	}
	return nil, fmt.Errorf("no such type: %q", kind)
}

// number reads a big-endian integer with its sign.
func number(raw []byte) (int64, bool) {
	switch len(raw) {
	case 1:
		return int64(int8(raw[0])), true
	case 2:
		return int64(int16(binary.BigEndian.Uint16(raw))), true
	case 4:
		return int64(int32(binary.BigEndian.Uint32(raw))), true
	}
	return 0, false
}

func hexWith(raw []byte, sep string) string {
	var b strings.Builder
	for i, c := range raw {
		if i > 0 {
			b.WriteString(sep)
		}
		fmt.Fprintf(&b, "%02x", c)
	}
	return b.String()
}

// uriEncode escapes all but RFC 3986's unreserved characters.
func uriEncode(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
