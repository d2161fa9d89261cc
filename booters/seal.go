package booters

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
	"sync"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	sealNonce = 12 // bytes, of AES-GCM
	sealTag   = 16 // bytes, of AES-GCM
)

// maxID is the length of the ID of the longest source.
const maxID = ((sealNonce+maxSealed+sealTag)*8 + 5) / 6

// maxSealed is the length of the longest source, in bytes.
const maxSealed = digestLen + maxSource

// sealEncoding writes IDs with characters that need no quoting in a URL.
var sealEncoding = base64.RawURLEncoding.Strict()

// A Sealer turns sources into IDs that only it can open, and that show nothing
// of the source but its length. Sealers of the same secret are the same.
type Sealer struct {
	aead   cipher.AEAD
	nonces *sync.Pool // of *nonceMAC: a keyed hash costs more to make than to use
}

type nonceMAC struct {
	hash.Hash
	sum [sha256.Size]byte
}

// NewSealer derives the keys of a Sealer from the URL key (see LoadKey), which
// has at least 32 bytes.
func NewSealer(secret []byte) (*Sealer, error) {
	if len(secret) < minKey {
		return nil, fmt.Errorf("sealer: secret of %d bytes is shorter than %d", len(secret), minKey)
	}
	derive := func(use string) ([]byte, error) {
		return hkdf.Key(sha256.New, secret, nil, "pixiecore file id v1 "+use, 32)
	}
	key, err := derive("encryption")
	if err != nil {
		return nil, fmt.Errorf("sealer: %w", err)
	}
	nonceKey, err := derive("nonce")
	if err != nil {
		return nil, fmt.Errorf("sealer: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealer: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sealer: %w", err)
	}
	nonces := &sync.Pool{New: func() any { return &nonceMAC{Hash: hmac.New(sha256.New, nonceKey)} }}
	return &Sealer{aead: aead, nonces: nonces}, nil
}

// Seal makes the ID of a source, which is the same each time. The longest
// source that Open accepts again has a path or URL of 2048 bytes, and a digest.
//
// The nonce is a MAC of the source, as in RFC 8452 (AES-GCM-SIV): two sources
// never share one in practice, so that GCM stays safe, and the server need not
// remember what it has issued.
func (s *Sealer) Seal(source string) boot.ID {
	h := s.nonces.Get().(*nonceMAC)
	defer s.nonces.Put(h)
	h.Reset()
	plain := []byte(source)
	h.Write(plain)
	nonce := h.Sum(h.sum[:0])[:sealNonce]
	sealed := append(make([]byte, 0, sealNonce+len(plain)+sealTag), nonce...)
	return boot.ID(sealEncoding.EncodeToString(s.aead.Seal(sealed, nonce, plain, nil)))
}

// maxKeptIDs is how many IDs a kept remembers, of some hundred bytes each.
const maxKeptIDs = 1024

// A kept remembers what its Sealer has sealed and opened last, for sources that stand in
// one script after the other: to look one up costs a tenth of sealing it. It is safe for
// concurrent use.
type kept struct {
	*Sealer
	mu      sync.Mutex
	ids     map[string]boot.ID
	sources map[boot.ID]string
}

func (k *kept) Seal(source string) boot.ID {
	k.mu.Lock()
	id, ok := k.ids[source]
	k.mu.Unlock()
	if !ok {
		id = k.Sealer.Seal(source)
		k.keep(source, id)
	}
	return id
}

func (k *kept) Open(id boot.ID) (string, error) {
	k.mu.Lock()
	source, ok := k.sources[id]
	k.mu.Unlock()
	if ok {
		return source, nil
	}
	source, err := k.Sealer.Open(id)
	if err == nil { // nobody else can make such IDs, so that who guesses displaces nothing
		k.keep(source, id)
	}
	return source, err
}

func (k *kept) keep(source string, id boot.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ids == nil || len(k.ids) >= maxKeptIDs {
		k.ids, k.sources = make(map[string]boot.ID), make(map[boot.ID]string)
	}
	id = boot.ID(strings.Clone(string(id))) // it may be a part of a request
	k.ids[source], k.sources[id] = id, source
}

// Open returns the source of an ID. Its only error wraps boot.ErrNotFound: the
// ID is not one of this secret.
func (s *Sealer) Open(id boot.ID) (string, error) {
	// The length first: the ID comes from the network. base64 tolerates line breaks;
	// an ID has one spelling only.
	if len(id) <= maxID && !strings.ContainsAny(string(id), "\r\n") {
		b, err := sealEncoding.DecodeString(string(id))
		if err == nil && len(b) >= sealNonce+sealTag {
			source, err := s.aead.Open(nil, b[:sealNonce], b[sealNonce:], nil)
			if err == nil {
				return string(source), nil
			}
		}
	}
	return "", fmt.Errorf("open sealed ID: %w", boot.ErrNotFound)
}
