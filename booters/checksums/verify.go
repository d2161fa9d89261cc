package checksums

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	pgp "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	// MaxSignature and MaxKeys bound a signature and a file of public keys, in bytes:
	// the keyring of Debian's archive has a hundred thousand.
	MaxSignature = 256 << 10
	MaxKeys      = 4 << 20

	maxSignatures = 16  // that are looked at in one file
	maxBlocks     = 256 // of armor in one file
)

// Keys are the public keys that may vouch for a file.
type Keys struct{ list openpgp.EntityList }

// survive makes an error of a panic. What is verified comes from a server, and a library
// that reads OpenPGP has panicked before at packets that nobody makes (go-crypto 1.4.1 at
// an empty subpacket): of a damaged file, nobody but its own machines may notice anything.
func survive(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("it is damaged, or made to do harm: it cannot be read as OpenPGP (%v)", p)
	}
}

// ParseKeys reads public keys, binary or armored, one or more.
func ParseKeys(text []byte) (_ *Keys, err error) {
	defer survive(&err)
	if len(text) > MaxKeys {
		return nil, fmt.Errorf("it has more than %d bytes: is it a file of public keys?", MaxKeys)
	}
	k := new(Keys)
	blocks, err := dearmor(text, openpgp.PublicKeyType)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		list, err := openpgp.ReadKeyRing(bytes.NewReader(block))
		if err != nil {
			return nil, fmt.Errorf("it has no OpenPGP public key that can be read: %w; `gpg --export --armor NAME` writes one", err)
		}
		k.list = append(k.list, list...)
	}
	if len(k.list) == 0 {
		return nil, errors.New("it has no OpenPGP public key; `gpg --export --armor NAME` writes one")
	}
	if slices.ContainsFunc(k.list, func(e *openpgp.Entity) bool { return e.PrivateKey != nil }) {
		return nil, errors.New("it has a private key, which belongs to whoever signs; write the public one, by `gpg --export --armor NAME`")
	}
	return k, nil
}

// dearmor is what stands in the armored blocks of a type (RFC 9580 §6.2), or text as
// it is where there are none.
func dearmor(text []byte, want string) (blocks [][]byte, err error) {
	begin := []byte("-----BEGIN PGP ")
	at := bytes.Index(text, begin)
	if at < 0 {
		return [][]byte{text}, nil
	}
	for range maxBlocks { // armor.Decode reads beyond the block that it decodes
		text = text[at:]
		block, err := armor.Decode(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("its armor cannot be read: %w", err)
		}
		b, err := io.ReadAll(block.Body)
		if err != nil {
			return nil, fmt.Errorf("its armor cannot be read: %w", err)
		}
		if block.Type == want || want == openpgp.PublicKeyType && block.Type == openpgp.PrivateKeyType {
			blocks = append(blocks, b)
		}
		if at = bytes.Index(text[len(begin):], begin); at < 0 {
			break
		}
		at += len(begin)
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("it is armored and has no %s", want)
	}
	return blocks, nil
}

// Expired says which of the keys have all expired or are revoked at that time, so
// that nothing can be verified; nil where one is good.
func (k *Keys) Expired(now time.Time) error {
	var why error
	for _, e := range k.list {
		self, _ := e.PrimarySelfSignature()
		switch {
		case e.Revoked(now):
			why = fmt.Errorf("the key %s is revoked", name(e))
		case self != nil && e.PrimaryKey.KeyExpired(self, now):
			why = fmt.Errorf("the key %s has expired", name(e))
		default:
			return nil
		}
	}
	return fmt.Errorf("%w: get the new one from whoever signs", why)
}

func name(e *openpgp.Entity) string { return fmt.Sprintf("%X", e.PrimaryKey.Fingerprint) }

// Verify reads a file of checksums. With keys, one of them must have signed it: in
// signature, which may be armored, or where that is nil, in the file itself
// ("-----BEGIN PGP SIGNED MESSAGE-----"). Without keys nothing is verified. The error
// is a sentence about the file of checksums.
func Verify(text, signature []byte, keys *Keys, now time.Time) (_ Sums, err error) {
	defer survive(&err)
	block, _ := clearsign.Decode(text)
	switch {
	case keys == nil:
	case len(signature) > MaxSignature:
		return nil, fmt.Errorf("its signature has more than %d bytes: is it one?", MaxSignature)
	case signature != nil:
		parts, err := dearmor(signature, openpgp.SignatureType)
		if err != nil {
			return nil, fmt.Errorf("its signature is none: %w", err)
		}
		if err := keys.verify(text, bytes.Join(parts, nil), now); err != nil {
			return nil, err
		}
	case block == nil:
		return nil, errors.New("it is not signed: name the file with its signature, by signature = \"…\"")
	default:
		packets, err := io.ReadAll(block.ArmoredSignature.Body)
		if err != nil {
			return nil, fmt.Errorf("its signature cannot be read: %w", err)
		}
		if err := keys.verify(block.Bytes, packets, now); err != nil {
			return nil, err
		}
	}
	if block != nil {
		text = block.Plaintext // and nothing that stands around it
	}
	return Parse(text)
}

// verify looks for one good signature. The error is that of the one which came
// nearest to it.
func (k *Keys) verify(signed, signature []byte, now time.Time) error {
	var why error
	found := 0
	for packets := packet.NewReader(bytes.NewReader(signature)); found < maxSignatures; {
		p, err := packets.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			why = errors.Join(why, fmt.Errorf("its signature cannot be read: %w", err))
			break
		}
		sig, ok := p.(*packet.Signature)
		if !ok {
			continue
		}
		found++
		err = k.check(signed, sig, now)
		if err == nil {
			return nil
		}
		if why == nil || errors.Is(why, errStranger) {
			why = err
		}
	}
	switch {
	case why != nil:
		return why
	default:
		return errors.New("its signature is none: there is no OpenPGP signature in the file")
	}
}

// errStranger is the error for a signature of none of the keys.
var errStranger = errors.New("it is not signed by one of the keys in the key file")

func (k *Keys) check(signed []byte, sig *packet.Signature, now time.Time) error {
	switch sig.Hash {
	case crypto.MD5, crypto.SHA1, crypto.RIPEMD160:
		return fmt.Errorf("its signature goes by %v, which proves nothing any more", sig.Hash)
	}
	if sig.SigType != packet.SigTypeBinary && sig.SigType != packet.SigTypeText {
		return errors.New("its signature is one of a key, not of a file")
	}
	var one bytes.Buffer
	if err := sig.Serialize(&one); err != nil {
		return fmt.Errorf("its signature cannot be read: %w", err)
	}
	signer, err := openpgp.CheckDetachedSignature(k.list, bytes.NewReader(signed), &one, &packet.Config{Time: func() time.Time { return now }})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgp.ErrUnknownIssuer):
		if sig.IssuerKeyId != nil {
			return fmt.Errorf("%w, but by %016X: is it the key of another release?", errStranger, *sig.IssuerKeyId)
		}
		return errStranger
	case errors.Is(err, pgp.ErrKeyRevoked) && signer != nil:
		return fmt.Errorf("the key %s that signed it is revoked: get the new one from whoever signs", name(signer))
	case errors.Is(err, pgp.ErrKeyExpired) && signer != nil:
		return fmt.Errorf("the key %s that signed it has expired: get it anew from whoever signs", name(signer))
	case errors.Is(err, pgp.ErrSignatureExpired):
		return errors.New("its signature has expired: whoever signs has a newer one, or none any more")
	default:
		return fmt.Errorf("its signature does not fit it: it, or the signature, was changed or belongs to another release (%w)", err)
	}
}
