package config

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Cache is the cache block: where remote files are kept.
type Cache struct {
	Dir     string // the absolute path; empty: the caller's choice
	MaxSize int64  // bytes, at least one
	// Prefetch is whether it is filled beforehand with what machines can come to need.
	Prefetch bool
}

// defaultMaxSize is that of a cache block without max_size, in bytes: the kernels
// and initrds of a hundred systems, or a few images.
const defaultMaxSize = 20 << 30

func (d *decoder) cache(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	body, s := d.names(&cacheSchema, b.Body), d.in(b.TypeRange)
	c := &Cache{MaxSize: defaultMaxSize}
	if a := body.Attributes["dir"]; a != nil {
		c.Dir, _, _ = s.localPath(a, `the path of a directory in quotes, like "/srv/pixiecore/cache"`,
			"Write the path of a directory, or leave the line out for the usual one.",
			"Files are kept on this host. Write the path of a directory.")
	}
	if a := body.Attributes["max_size"]; a != nil {
		if n, ok := s.size(a); ok {
			c.MaxSize = n
		}
	}
	if a := body.Attributes["prefetch"]; a != nil {
		c.Prefetch, _ = s.flag(a)
	}
	d.cfg.Cache = c
}

// Fetch is the fetch block: how servers of URLs are verified, and what they are
// shown. Its zero value leaves both to the system.
type Fetch struct {
	CA        string // the absolute path of a PEM file of authorities that are trusted beside the system's; may be empty
	Cert, Key string // the absolute paths of PEM files; both or neither
}

func (d *decoder) fetch(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	body, s := d.names(&fetchSchema, b.Body), d.in(b.TypeRange)
	for name, to := range map[string]struct {
		path *string
		what string
	}{
		"ca":   {&d.cfg.Fetch.CA, "certificate of the authority"},
		"cert": {&d.cfg.Fetch.Cert, "certificate"},
		"key":  {&d.cfg.Fetch.Key, "certificate's key"},
	} {
		if a := body.Attributes[name]; a != nil {
			*to.path = s.pem(a, to.what, "leave the line out")
		}
	}
	s.pair(b, body.Attributes["cert"], body.Attributes["key"])
}

// sizeUnits are those of sizes, in bytes: the binary ones of IEC 80000-13 and the
// decimal ones of SI.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
}

// size is the value of a setting that takes a number of bytes with its unit.
func (s *scope) size(a *hclsyntax.Attribute) (int64, bool) {
	t, ok := s.text(a, `a size in quotes, like "20GiB"`)
	if !ok {
		return 0, false
	}
	n, why := parseSize(t.s)
	if why != "" {
		s.errorf(t.at, sumSize, "%s cannot be %q: %s. Write a number with its unit, like \"20GiB\" or \"500MB\".", a.Name, t.s, why)
	}
	return n, why == ""
}

// parseSize says what is wrong with a size.
func parseSize(text string) (n int64, why string) {
	const longest = 32
	if len(text) > longest {
		return 0, "it is too long"
	}
	number := strings.TrimRight(text, "BKkMGTi")
	unit := text[len(number):]
	number = strings.TrimRight(number, " ")
	// big.Rat takes fractions and exponents, too: neither is how a size is written.
	value, ok := new(big.Rat).SetString(number)
	if !ok || strings.Trim(number, "0123456789.") != "" {
		return 0, "it does not begin with a number"
	}
	for _, u := range sizeUnits {
		if u.name != unit {
			continue
		}
		value.Mul(value, new(big.Rat).SetInt64(u.bytes))
		whole := new(big.Int).Quo(value.Num(), value.Denom())
		if !whole.IsInt64() || whole.Sign() == 0 {
			return 0, fmt.Sprintf("it is %s bytes", whole)
		}
		return whole.Int64(), ""
	}
	if unit == "" {
		return 0, "it has no unit"
	}
	return 0, fmt.Sprintf("there is no unit %q", unit)
}
