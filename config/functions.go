package config

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	yaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// pure are the functions that look at nothing but their arguments, under the
// names that they have in Terraform.
var pure = map[string]function.Function{
	"abs":             stdlib.AbsoluteFunc,
	"base64decode":    base64decode,
	"base64encode":    textFunc(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
	"can":             tryfunc.CanFunc,
	"ceil":            stdlib.CeilFunc,
	"chomp":           stdlib.ChompFunc,
	"chunklist":       stdlib.ChunklistFunc,
	"cidrhost":        cidrHost,
	"cidrsubnet":      cidrSubnet,
	"coalesce":        stdlib.CoalesceFunc,
	"coalescelist":    stdlib.CoalesceListFunc,
	"compact":         stdlib.CompactFunc,
	"concat":          stdlib.ConcatFunc,
	"contains":        stdlib.ContainsFunc,
	"csvdecode":       csvdecode,
	"distinct":        stdlib.DistinctFunc,
	"element":         stdlib.ElementFunc,
	"flatten":         stdlib.FlattenFunc,
	"floor":           stdlib.FloorFunc,
	"format":          stdlib.FormatFunc,
	"formatlist":      stdlib.FormatListFunc,
	"indent":          stdlib.IndentFunc,
	"join":            stdlib.JoinFunc,
	"jsondecode":      stdlib.JSONDecodeFunc,
	"jsonencode":      stdlib.JSONEncodeFunc,
	"keys":            stdlib.KeysFunc,
	"length":          length,
	"lookup":          stdlib.LookupFunc,
	"lower":           stdlib.LowerFunc,
	"max":             stdlib.MaxFunc,
	"merge":           stdlib.MergeFunc,
	"min":             stdlib.MinFunc,
	"parseint":        stdlib.ParseIntFunc,
	"range":           stdlib.RangeFunc,
	"regex":           stdlib.RegexFunc,
	"regexall":        stdlib.RegexAllFunc,
	"replace":         stdlib.ReplaceFunc,
	"reverse":         stdlib.ReverseListFunc,
	"sensitive":       sensitive,
	"setintersection": stdlib.SetIntersectionFunc,
	"setproduct":      stdlib.SetProductFunc,
	"setsubtract":     stdlib.SetSubtractFunc,
	"setunion":        stdlib.SetUnionFunc,
	"sha256":          textFunc(func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }),
	"slice":           stdlib.SliceFunc,
	"sort":            stdlib.SortFunc,
	"split":           stdlib.SplitFunc,
	"strrev":          stdlib.ReverseFunc,
	"substr":          stdlib.SubstrFunc,
	"title":           stdlib.TitleFunc,
	"tobool":          stdlib.MakeToFunc(cty.Bool),
	"tolist":          stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
	"tomap":           stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	"tonumber":        stdlib.MakeToFunc(cty.Number),
	"toset":           stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
	"tostring":        stdlib.MakeToFunc(cty.String),
	"trim":            stdlib.TrimFunc,
	"trimprefix":      stdlib.TrimPrefixFunc,
	"trimspace":       stdlib.TrimSpaceFunc,
	"trimsuffix":      stdlib.TrimSuffixFunc,
	"try":             tryfunc.TryFunc,
	"upper":           stdlib.UpperFunc,
	"values":          stdlib.ValuesFunc,
	"yamldecode":      yaml.YAMLDecodeFunc,
	"yamlencode":      yaml.YAMLEncodeFunc,
	"zipmap":          stdlib.ZipmapFunc,
}

// functionNames are all that there are. url, upload and phone_home are of a boot only: see
// linking; and cpio is of its initrds, which are read by its name: see archive.
var functionNames = slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(new(disk).functions("/"))), "cpio", "phone_home", "upload", "url")))

// functions are those of a file in dir: the paths that it gives them count from
// there.
func (k *disk) functions(dir string) map[string]function.Function {
	all := maps.Clone(pure)
	all["env"] = textErrFunc("name", k.env)
	all["iso"] = isoFunction(dir)
	all["file"] = textErrFunc("path", func(path string) (string, error) { return k.text(resolve(dir, path)) })
	all["fileexists"] = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			_, err := k.read(resolve(dir, args[0].AsString()))
			if errors.Is(err, fs.ErrNotExist) {
				return cty.False, nil
			}
			return cty.True, err
		},
	})
	all["templatefile"] = function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "path", Type: cty.String},
			{Name: "vars", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true},
		},
		Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return k.template(resolve(dir, args[0].AsString()), args[1])
		},
	})
	return all
}

// textFunc makes a function of one text that cannot fail.
func textFunc(f func(string) string) function.Function {
	return textErrFunc("text", func(s string) (string, error) { return f(s), nil })
}

func textErrFunc(param string, f func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: param, Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s, err := f(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(cty.String), function.NewArgError(0, err)
			}
			return cty.StringVal(s), nil
		},
	})
}

var base64decode = textErrFunc("text", func(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err == nil && !utf8.Valid(b) {
		err = errors.New("what it decodes to is no text in UTF-8")
	}
	return string(b), err
})

// length is of texts as well as of collections, as in Terraform.
var length = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		switch v := args[0]; {
		case v.Type() == cty.String:
			return stdlib.Strlen(v)
		case v.Type() == cty.DynamicPseudoType:
			return cty.UnknownVal(cty.Number), nil
		case v.Type().IsObjectType():
			return cty.NumberIntVal(int64(len(v.Type().AttributeTypes()))), nil
		case v.Type().IsTupleType() || v.Type().IsCollectionType():
			return v.Length(), nil
		}
		return cty.NilVal, function.NewArgErrorf(0, "a text, a list, a map or a set has a length")
	},
})

func parsePrefix(v cty.Value) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(v.AsString())
	if err != nil {
		return p, function.NewArgErrorf(0, `%q is no network, like "192.0.2.0/24"`, v.AsString())
	}
	return p.Masked(), nil
}

func whole(v cty.Value, arg int) (*big.Int, error) {
	n, acc := v.AsBigFloat().Int(nil)
	if n == nil || acc != big.Exact {
		return nil, function.NewArgErrorf(arg, "a whole number is needed")
	}
	return n, nil
}

// cidrHost is the nth address of a network; a negative n counts from its end.
var cidrHost = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "hostnum", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		p, err := parsePrefix(args[0])
		if err != nil {
			return cty.NilVal, err
		}
		n, err := whole(args[1], 1)
		if err != nil {
			return cty.NilVal, err
		}
		size := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
		if n.Sign() < 0 {
			n.Add(n, size)
		}
		if n.Sign() < 0 || n.Cmp(size) >= 0 {
			return cty.NilVal, function.NewArgErrorf(1, "%s has no host of that number", p)
		}
		return cty.StringVal(offset(p.Addr(), n).String()), nil
	},
})

// cidrSubnet is the nth of the networks that are newbits longer than a prefix.
var cidrSubnet = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "newbits", Type: cty.Number}, {Name: "netnum", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		p, err := parsePrefix(args[0])
		if err != nil {
			return cty.NilVal, err
		}
		more, err := whole(args[1], 1)
		if err != nil {
			return cty.NilVal, err
		}
		n, err := whole(args[2], 2)
		if err != nil {
			return cty.NilVal, err
		}
		room := p.Addr().BitLen() - p.Bits()
		if !more.IsInt64() || more.Int64() < 0 || more.Int64() > int64(room) {
			return cty.NilVal, function.NewArgErrorf(1, "%s has room for %d more bits", p, room)
		}
		bits := int(more.Int64())
		if n.Sign() < 0 || n.BitLen() > bits {
			return cty.NilVal, function.NewArgErrorf(2, "%d more bits do not hold that number", bits)
		}
		addr := offset(p.Addr(), n.Lsh(n, uint(room-bits)))
		return cty.StringVal(netip.PrefixFrom(addr, p.Bits()+bits).String()), nil
	},
})

func offset(a netip.Addr, n *big.Int) netip.Addr {
	sum := new(big.Int).Add(new(big.Int).SetBytes(a.AsSlice()), n)
	b, _ := netip.AddrFromSlice(sum.FillBytes(make([]byte, a.BitLen()/8))) // the caller's bounds keep it within the family
	return b
}

// A disk is what the functions of a configuration read from. It remembers all
// of it, so that a file means the same to each expression, and a template is
// rendered for a machine without another look at the disk.
type disk struct {
	open   func(path string) ([]byte, error) // nil: nothing is read
	getenv func(name string) (string, bool)
	sealed bool // what is not known by now cannot be had any more
	total  int  // bytes that were read
	files  map[string]content
	// templates holds what template has parsed.
	templates map[string]hclsyntax.Expression
	keeping   bool            // whether what reads is evaluated again when a machine boots
	kept      map[string]bool // what was read by that
}

// release forgets the files that nothing reads any more.
func (k *disk) release() {
	maps.DeleteFunc(k.files, func(path string, _ content) bool { return !k.kept[path] })
	maps.DeleteFunc(k.templates, func(path string, _ hclsyntax.Expression) bool { return !k.kept[path] })
}

// keep notes that a file is read again when a machine boots.
func (k *disk) keep(path string) {
	if k.keeping {
		k.kept[path] = true
	}
}

type content struct {
	b   []byte
	err error
}

// maxDataTotal bounds what functions read in all, in bytes: a hundred thousand
// rows of a table are some ten million.
const maxDataTotal = 64 << 20

var errNoDisk = errors.New("this text is looked at without the files beside it; give the name of a file to pixiecore to have them read")

func (k *disk) read(path string) ([]byte, error) {
	k.keep(path)
	if c, ok := k.files[path]; ok {
		return c.b, c.err
	}
	switch {
	case k.sealed:
		return nil, fmt.Errorf("%q was not read when the configuration was loaded: which file it is must be known by then", path)
	case k.open == nil:
		return nil, errNoDisk
	}
	b, err := k.open(path)
	if k.total += len(b); k.total > maxDataTotal {
		b, err = nil, fmt.Errorf("a configuration reads at most %d MiB", maxDataTotal>>20)
	}
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	if err != nil {
		err = fmt.Errorf("%q: %w", path, err)
	}
	k.files[path] = content{b, err}
	return b, err
}

func (k *disk) text(path string) (string, error) {
	b, err := k.read(path)
	if err == nil && !utf8.Valid(b) {
		err = fmt.Errorf("%q is no text in UTF-8", path)
	}
	return string(b), err
}

func (k *disk) env(name string) (string, error) {
	if k.getenv == nil {
		return "", errors.New("this text is looked at without an environment")
	}
	if v, ok := k.getenv(name); ok {
		return v, nil
	}
	return "", fmt.Errorf(`the environment of pixiecore has no %s; write try(env("%s"), "…") for a value to use instead`, name, name)
}

// template renders a template file. A template cannot render another.
func (k *disk) template(path string, vars cty.Value) (cty.Value, error) {
	e, err := k.parseTemplate(path)
	if err != nil {
		return cty.UnknownVal(cty.String), function.NewArgError(0, err)
	}
	if t := vars.Type(); vars.IsNull() || t != cty.DynamicPseudoType && !t.IsObjectType() && !t.IsMapType() {
		return cty.UnknownVal(cty.String), function.NewArgErrorf(1, "the values for a template are an object: { NAME = … }")
	}
	if !vars.IsKnown() { // they hang on the machine
		return cty.UnknownVal(cty.String), nil
	}
	ctx := &hcl.EvalContext{Variables: vars.AsValueMap(), Functions: pure}
	for _, t := range e.Variables() {
		if _, ok := ctx.Variables[t.RootName()]; !ok {
			at := t.SourceRange()
			return cty.UnknownVal(cty.String), function.NewArgErrorf(1, "%s:%d uses %q, which is not among the values. Add it, or write $${…} for what the machine fills in",
				filepath.Base(path), at.Start.Line, t.RootName())
		}
	}
	v, diags := e.Value(ctx)
	if diags.HasErrors() {
		return cty.UnknownVal(cty.String), function.NewArgError(0, inTemplate(path, diags))
	}
	s, err := stdlib.MakeToFunc(cty.String).Call([]cty.Value{v})
	if err != nil {
		return cty.UnknownVal(cty.String), function.NewArgErrorf(0, "%s makes no text", filepath.Base(path))
	}
	return s, nil
}

func (k *disk) parseTemplate(path string) (hclsyntax.Expression, error) {
	k.keep(path)
	if e, ok := k.templates[path]; ok {
		return e, nil
	}
	src, err := k.text(path)
	if err != nil {
		return nil, err
	}
	if dense([]byte(src)) {
		return nil, fmt.Errorf("%q: %s", path, sumTooLarge)
	}
	tokens, _ := hclsyntax.LexTemplate([]byte(src), path, hcl.InitialPos) // what is wrong with them, the parser says again
	if _, deep := split(tokens, path); deep != nil {
		return nil, fmt.Errorf("%s:%d: %s", filepath.Base(path), deep.Start.Line, sumTooDeep)
	}
	e, diags := hclsyntax.ParseTemplate([]byte(src), path, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, inTemplate(path, diags)
	}
	if !k.sealed {
		k.templates[path] = e
	}
	return e, nil
}

// inTemplate is the first of the problems in a template file.
func inTemplate(path string, diags hcl.Diagnostics) error {
	diag := firstError(diags)
	at := hcl.Range{Filename: path, Start: hcl.InitialPos}
	if diag.Subject != nil {
		at = *diag.Subject
	}
	return fmt.Errorf("%s: %s; %s", pos(at), diag.Summary, strings.TrimSuffix(diag.Detail, ".")) // hcl writes a full stop behind it
}

// firstError is the first of diags that is one; there must be one.
func firstError(diags hcl.Diagnostics) *hcl.Diagnostic {
	return diags[slices.IndexFunc(diags, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError })]
}

// csvdecode is the standard library's, for tables as a spreadsheet writes them, too,
// which begin with a byte order mark. Its type is that of what it returns: to tell it before
// would be to read the table twice.
var csvdecode = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "str", Type: cty.String}},
	Type:   function.StaticReturnType(cty.DynamicPseudoType),
	Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return readTable(args[0]) },
})

func readTable(text cty.Value) (cty.Value, error) {
	table, err := stdlib.CSVDecode(cty.StringVal(strings.TrimPrefix(text.AsString(), "\ufeff")))
	if err != nil {
		return cty.DynamicVal, fmt.Errorf("%w. Each line has as many cells as the first, which names the columns; a cell with a comma or quotes in it stands in quotes, its own quotes doubled", err)
	}
	return table, nil
}
