package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a request.
const (
	// maxRequest is the longest request in bytes that is read. RFC 2347 allows
	// 512; more is read so that a path too long gets an answer.
	maxRequest = 1024
	maxPath    = 512 // bytes
	maxOptions = 16  // more are ignored
	// maxText is the longest text in bytes of an ERROR that is sent. ROMs print
	// it on one line.
	maxText = 100
)

// Opcodes (RFC 1350 §5, RFC 2347).
const (
	opRRQ   = 1
	opWRQ   = 2
	opDATA  = 3
	opACK   = 4
	opERROR = 5
	opOACK  = 6
)

// Error codes (RFC 1350, appendix).
const (
	codeUndefined = 0
	codeNotFound  = 1
	codeDenied    = 2
	codeIllegal   = 4
)

// An RRQ is a read request as a client sent it.
type RRQ struct {
	Path     string // cleaned, see Request; never empty
	NetASCII bool   // mode netascii; else octet
	Options  []Option
}

// An Option is a name and its value, as they stand in a request (RFC 2347).
type Option struct{ Name, Value string }

// errNotRequest is of datagrams that must not be answered: to answer an ERROR or
// some server's DATA is how two servers begin to talk for ever.
var errNotRequest = errors.New("not a request")

// A refusal is what the client is told in an ERROR packet.
type refusal struct {
	code uint16
	text string
}

func (r *refusal) Error() string { return r.text }

// packet is the ERROR packet.
func (r *refusal) packet() []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, opERROR}, r.code)
	return append(append(b, printable(r.text)...), 0)
}

// ParseRequest reads a datagram that came to the server's port. An error is either
// a refusal, whose text the client should get in an ERROR packet, or says that the
// datagram is no request and must not be answered.
func ParseRequest(b []byte) (RRQ, error) {
	if len(b) < 2 {
		return RRQ{}, errNotRequest
	}
	switch op := binary.BigEndian.Uint16(b); op {
	case opRRQ:
	case opWRQ:
		return RRQ{}, &refusal{codeDenied, "this server only reads"}
	default:
		return RRQ{}, errNotRequest
	}
	name, rest, ok := bytes.Cut(b[2:], []byte{0})
	mode, rest, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 {
		return RRQ{}, &refusal{codeIllegal, "malformed request"}
	}
	if len(name) > maxPath {
		return RRQ{}, &refusal{codeUndefined, fmt.Sprintf("file name longer than %d bytes", maxPath)}
	}
	r := RRQ{Path: cleanPath(string(name))}
	if r.Path == "" {
		return RRQ{}, &refusal{codeNotFound, "no file name"}
	}
	// RFC 1350 §5: in any combination of upper and lower case.
	switch strings.ToLower(string(mode)) {
	case "octet":
	case "netascii":
		r.NetASCII = true
	default:
		return RRQ{}, &refusal{codeIllegal, "mode is neither octet nor netascii"}
	}
	for len(r.Options) < maxOptions {
		// A ROM that pads its request leaves an odd or unfinished string at the
		// end, which is no reason to refuse it.
		var name, value []byte
		name, rest, ok = bytes.Cut(rest, []byte{0})
		value, rest, ok2 = bytes.Cut(rest, []byte{0})
		if !ok || !ok2 {
			break
		}
		r.Options = append(r.Options, Option{string(name), string(value)})
	}
	return r, nil
}

// cleanPath removes what firmware adds to the name it was given: slashes in front,
// and 0xFF and control bytes behind, from reading an unterminated DHCP option 67 to
// its end. U+FFFD is 0xFF after a detour by UTF-8.
func cleanPath(path string) string {
	path = strings.TrimRightFunc(path, func(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) })
	return strings.TrimLeft(path, "/")
}

// printable is text as firmware can show it: one line of ASCII, maxText bytes.
func printable(text string) string {
	text = ascii(text)
	return text[:min(len(text), maxText)]
}

// ascii is text as any terminal can show it, which may be that of whoever reads the log.
func ascii(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
