package boot

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net"
	"strings"
	"sync"
	"time"
)

// A Token names one machine in boot file names. It carries what the servers
// must know of the machine when it comes back by TFTP or HTTP, authenticated,
// so that nothing needs to be remembered between the two: it opens after a
// restart too.
type Token struct {
	MAC  [6]byte
	Type ArchType
	Time time.Time // when it was issued, to the second
}

// TokenLen is the length of a sealed token in characters.
const TokenLen = 32

const (
	tokenBody = 6 + 2 + 4 // MAC, type, Unix time
	tokenMAC  = 8
)

// tokenEncoding has no character that needs quoting in a URL or that a
// firmware's file name handling would change, and reads the same in upper case.
var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrToken is returned for text that is not a token of this key.
var ErrToken = errors.New("not a token of this server")

// Machine is what the token says of the machine. The platform of an unknown
// type is the zero Platform: an x86 BIOS.
func (t Token) Machine() Machine {
	p, _ := t.Type.Platform()
	return Machine{MAC: net.HardwareAddr(t.MAC[:]), Arch: p.Arch, Firmware: p.Firmware, Probed: p.Firmware.Board(), Issued: t.Time}
}

// A TokenKey seals and opens tokens. It is derived from the URL key, so all
// servers that share one open each other's tokens.
type TokenKey struct {
	// macs is of *tokenMACer: a keyed hash costs more to make than to use.
	macs *sync.Pool
}

type tokenMACer struct {
	hash.Hash
	body [tokenBody]byte // beside what takes it, or it is allocated for each token
	sum  [sha256.Size]byte
}

// NewTokenKey derives the key for tokens from the server's secret.
func NewTokenKey(secret []byte) (TokenKey, error) {
	if len(secret) < 16 {
		return TokenKey{}, fmt.Errorf("token key: secret of %d bytes is shorter than 16", len(secret))
	}
	b, err := hkdf.Key(sha256.New, secret, nil, "pixiecore boot token v1", 32)
	if err != nil {
		return TokenKey{}, fmt.Errorf("token key: %w", err)
	}
	return TokenKey{&sync.Pool{New: func() any { return &tokenMACer{Hash: hmac.New(sha256.New, b)} }}}, nil
}

// Seal writes the token as TokenLen characters of [a-z2-7]: 6 bytes of MAC, 2
// of type, 4 of time and 8 of HMAC-SHA-256.
func (k TokenKey) Seal(t Token) string {
	var b [TokenLen]byte
	return string(k.AppendSeal(b[:0], t))
}

// AppendSeal appends what Seal writes.
func (k TokenKey) AppendSeal(to []byte, t Token) []byte {
	var b [tokenBody + tokenMAC]byte
	copy(b[:6], t.MAC[:])
	binary.BigEndian.PutUint16(b[6:], uint16(t.Type))
	binary.BigEndian.PutUint32(b[8:], uint32(t.Time.Unix()))
	k.sum((*[tokenMAC]byte)(b[tokenBody:]), (*[tokenBody]byte)(b[:]))
	return tokenEncoding.AppendEncode(to, b[:])
}

// Open reads a token of any case. Its only error is ErrToken.
func (k TokenKey) Open(s string) (Token, error) {
	if len(s) != TokenLen {
		return Token{}, ErrToken
	}
	b, err := tokenEncoding.DecodeString(strings.ToLower(s))
	if err != nil || len(b) != tokenBody+tokenMAC { // line breaks, which count for s, are left out of b
		return Token{}, ErrToken
	}
	var sum [tokenMAC]byte
	if k.sum(&sum, (*[tokenBody]byte)(b)); !hmac.Equal(b[tokenBody:], sum[:]) {
		return Token{}, ErrToken
	}
	return Token{
		MAC:  [6]byte(b),
		Type: ArchType(binary.BigEndian.Uint16(b[6:])),
		Time: time.Unix(int64(binary.BigEndian.Uint32(b[8:])), 0),
	}, nil
}

// sum writes the MAC of a token's body.
func (k TokenKey) sum(to *[tokenMAC]byte, body *[tokenBody]byte) {
	h := k.macs.Get().(*tokenMACer)
	h.body = *body
	h.Reset()
	h.Write(h.body[:])
	copy(to[:], h.Sum(h.sum[:0]))
	k.macs.Put(h)
}
