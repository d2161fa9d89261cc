package boot

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A Digest is the SHA-256 of a file (FIPS 180-4). The zero Digest stands for
// none: no content is known that has it.
type Digest [32]byte

// ParseDigest reads 64 hexadecimal digits, of either case.
func ParseDigest(s string) (d Digest, err error) {
	if len(s) != hex.EncodedLen(len(d)) {
		return Digest{}, fmt.Errorf("a SHA-256 has %d hexadecimal digits, and this has %d characters", hex.EncodedLen(len(d)), len(s))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, errors.New("a SHA-256 has hexadecimal digits only")
	}
	if d.IsZero() {
		return Digest{}, errors.New("a SHA-256 of zeros is that of no file")
	}
	return d, nil
}

// String is the Digest in 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d stands for none.
func (d Digest) IsZero() bool { return d == Digest{} }

// A DigestError says that a file is not what it must be. ReadBootFile returns
// it before a byte has been served.
type DigestError struct {
	File      string // a path, or a URL without what is secret in it
	Want, Got Digest
	// Locked is whether Want is that of the lock file, and so what the server had when
	// that was written.
	Locked bool
}

// ErrUnverified is wrapped by the error for a file of which nobody can say what it
// must be, such as one that stands in no checksums, or whose checksums are signed by a
// stranger; and a DigestError is one.
var ErrUnverified = errors.New("cannot be verified")

// Is implements the interface of errors.Is.
func (e *DigestError) Is(target error) bool { return target == ErrUnverified }

// Error is a sentence for the machine's screen and for whoever mends it.
func (e *DigestError) Error() string {
	if e.Locked {
		return fmt.Sprintf("%s has changed on its server: its SHA-256 is %s, and was %s when `pixiecore lock` was run. If it is meant to be the new one, run `pixiecore lock --update` with that URL", e.File, e.Got, e.Want)
	}
	return fmt.Sprintf("%s has the SHA-256 %s and must have %s: replace the file, or the digest in the configuration", e.File, e.Got, e.Want)
}

// Brief is Error for where there is little room.
func (e *DigestError) Brief() string {
	const shown = 12 // digits, which tell two files apart
	if e.Locked {
		return fmt.Sprintf("changed on its server since `pixiecore lock` (SHA-256 is %s…, was %s…): %s", e.Got.String()[:shown], e.Want.String()[:shown], strings.ToValidUTF8(e.File, ""))
	}
	return fmt.Sprintf("SHA-256 is %s…, must be %s…: %s", e.Got.String()[:shown], e.Want.String()[:shown], strings.ToValidUTF8(e.File, ""))
}
