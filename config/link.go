package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/pixiecore/pixiecore/booters"
)

// An asset is an assets block: a directory, or an image, that is served as it is.
type asset struct {
	at   hcl.Range
	dir  string // absolute; empty where it is an image
	iso  string // the absolute path or the URL of the image
	used bool   // by a url()
}

// The types of file.NAME and assets.NAME, which only url() takes.
var (
	fileType  = cty.Capsule("file", reflect.TypeFor[booters.File]())
	assetType = cty.Capsule("assets", reflect.TypeFor[asset]())
)

func (d *decoder) assets(b *hclsyntax.Block) {
	body, s := d.names(&assetsSchema, b.Body), d.in(b.TypeRange)
	name, at, ok := d.label(b, "its name")
	if ok {
		ok = d.identifies("assets block", "url() refers to it", name, at) &&
			d.unique("assets", name, at, sumTwice, fmt.Sprintf("There are two assets blocks %q. Rename one of them.", name))
	}
	one := &asset{at: b.DefRange()}
	defer func() {
		if ok && one.dir+one.iso != "" {
			d.assetsBy[name] = one
		} else {
			d.unsure["assets"] = true
		}
	}()
	a, iso := body.Attributes["dir"], body.Attributes["iso"]
	switch {
	case a != nil && iso != nil:
		second, first := a, iso
		if a.SrcRange.Start.Byte < iso.SrcRange.Start.Byte {
			second, first = iso, a
		}
		d.errorf(second.NameRange, sumTwoContents, "The block already has %s. Keep one of the two, or write a second block.", first.Name).other = first.NameRange
		return
	case iso != nil:
		one.iso = s.isoImage(iso)
		return
	case a == nil:
		if len(body.Attributes) == len(b.Body.Attributes) {
			d.errorf(b.DefRange(), sumMissing, "An assets block names a directory or an image. Write dir = \"/srv/images\", or iso = \"/srv/debian.iso\".")
		}
		return
	}
	dir, at, good := s.localPath(a, `the path of a directory in quotes, like "/srv/images"`,
		"Write the path of a directory, like \"/srv/images\".",
		"A directory of another server cannot be served as it is. Write the path of one on this host, or url(\"https://…\") for one file.")
	if !good {
		return
	}
	if one.dir = dir; dir == "/" {
		s.errorf(at, sumAssets, "Every file of this host would be served. Write the path of a directory for machines, like \"/srv/images\".")
	}
	d.named = append(d.named, namedFile{path: dir, at: at, without: bootsWithout, dir: true})
}

// isoImage is the value of iso in an assets block.
func (s *scope) isoImage(a *hclsyntax.Attribute) string {
	t, ok := s.text(a, `the path or URL of an image in quotes, like "/srv/debian.iso"`)
	if !ok {
		return ""
	}
	at, files, refused := source(s.dir, plainPath(t.s))
	if refused != nil {
		s.errorf(t.at, refused.summary, "%s", refused.detail)
		return ""
	}
	for _, path := range files {
		s.named = append(s.named, namedFile{path: path, at: t.at, without: bootsWithout})
	}
	return at
}

// identifies refuses a label that no reference could name. why ends a sentence
// that begins with "is an identifier, since".
func (d *decoder) identifies(what, why, name string, at hcl.Range) bool {
	if hclsyntax.ValidIdentifier(name) {
		return true
	}
	d.errorf(at, sumBadName, "The label of %s is an identifier, since %s: letters, digits, \"-\" and \"_\", beginning with a letter. %q is none; %q would be one.",
		article(what), why, name, "a-"+identifier(name))
	return false
}

func article(what string) string {
	if strings.ContainsRune("aeio", rune(what[0])) {
		return "an " + what
	}
	return "a " + what
}

// assetsValue is what assets means.
func (d *decoder) assetsValue() cty.Value {
	all := make(map[string]cty.Value, len(d.assetsBy))
	for name, one := range d.assetsBy {
		all[name] = cty.CapsuleVal(assetType, one)
	}
	return cty.ObjectVal(all)
}

// of is the scope in a boot, where file.NAME are its files.
func (s *scope) of(b *bootBlock) *scope {
	inner := *s
	inner.boot = b
	return &inner
}

// linking is a context in which url() makes addresses by link; where that is nil,
// they are not known yet.
func (s *scope) linking(ctx *hcl.EvalContext, link func(booters.Target) (string, error)) *hcl.EvalContext {
	ctx = ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"file": s.boot.fileVar, "assets": s.assetsVar}
	ctx.Functions = map[string]function.Function{"url": s.urlFunction(link), "phone_home": phoneHome(link), "upload": uploadFunction(link)}
	return ctx
}

func (s *scope) urlFunction(link func(booters.Target) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{{Name: "of", Type: cty.DynamicPseudoType}},
		VarParam:     &function.Parameter{Name: "path", Type: cty.String},
		Type:         function.StaticReturnType(cty.String),
		RefineResult: func(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			t, arg, err := s.target(args)
			switch {
			case err != nil:
				return cty.NilVal, function.NewArgError(arg, err)
			case link == nil:
				return cty.UnknownVal(cty.String), nil
			}
			address, err := link(t)
			if err != nil {
				return cty.NilVal, function.NewArgError(arg, err)
			}
			return cty.StringVal(address), nil
		},
	})
}

// target is what the arguments of url() mean, and which of them is wrong.
func (s *scope) target(args []cty.Value) (t booters.Target, arg int, err error) {
	const want = `write url(file.NAME), url(assets.NAME, "path") or url("path or URL")`
	of := args[0]
	switch {
	case len(args) > 2:
		return t, 2, errors.New("there are too many arguments: " + want)
	case of.IsNull():
		return t, 0, errors.New("it is null: " + want)
	case of.Type().Equals(fileType):
		t.File = of.EncapsulatedValue().(*booters.File)
		if len(args) > 1 {
			return t, 1, fmt.Errorf("a file is named alone: write url(file.%s)", t.File.Name)
		}
		return t, 0, nil
	case of.Type().Equals(assetType):
		one := of.EncapsulatedValue().(*asset)
		t.Dir, t.Image = one.dir, one.iso
		if len(args) < 2 {
			return t, 0, nil
		}
		if args[1].IsNull() {
			return t, 1, errors.New("it is null: write a path, or leave it out for all of the directory")
		}
		t.Path = args[1].AsString()
		if t.Path != "" && !filepath.IsLocal(t.Path) {
			return t, 1, fmt.Errorf("%q does not lie in the directory: write a path below it, without a slash before it", t.Path)
		}
		return t, 1, nil
	case of.Type() != cty.String && !of.Type().Equals(imageType):
		return t, 0, fmt.Errorf("it is a %s: %s", kindOf(of), want)
	case len(args) > 1:
		return t, 1, errors.New("a path or URL is named alone; behind assets.NAME, this is a path in the directory")
	}
	text := imaged(of)
	if of.Type() == cty.String {
		text = cty.StringVal(plainPath(of.AsString()))
	}
	value, _, refused := source(s.dir, text.AsString())
	if refused != nil {
		return t, 0, refused
	}
	t.Source = value
	return t, 0, nil
}

// callsURL reports whether an expression asks for an address.
func callsURL(e hclsyntax.Expression) bool { return calls(e, "url", "phone_home", "upload") }

// links looks at the files and directories that an expression refers to, and at
// what its url() name, as far as it is known: what is in a loop, or hangs on the
// machine, is seen when it is evaluated.
func (s *scope) links(e hclsyntax.Expression) bool {
	ok := true
	for _, t := range e.Variables() {
		name, at, named := step(t, 1)
		switch root := t.RootName(); {
		case root != "file" && root != "assets":
		case !named || len(t) > 2:
			ok = false
			s.errorf(t.SourceRange(), sumVariable, "Only a whole one has an address. Write url(%s.NAME).", root)
		case root == "file":
			ok = s.referFile(name, at) && ok
		default:
			ok = s.referAssets(name, at) && ok
		}
	}
	if !ok {
		return false
	}
	ctx := s.linking(s.ctx, nil)
	hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		call, isCall := n.(*hclsyntax.FunctionCallExpr)
		if !isCall || call.Name != "url" || len(call.Args) == 0 || call.ExpandFinal {
			return nil
		}
		var args []cty.Value
		for _, arg := range call.Args {
			v, diags := arg.Value(ctx)
			v, _ = v.UnmarkDeep() // the address is marked
			if diags.HasErrors() || !v.IsKnown() {
				return nil
			}
			args = append(args, v)
		}
		t, arg, err := s.target(args)
		if err == nil {
			_, err = booters.Preview(nil, noMachine).Link(t)
		}
		if err != nil {
			ok = false
			refused := new(refusal)
			if !errors.As(err, &refused) {
				refused = &refusal{sumLink, fmt.Sprintf("No machine could fetch this: %v.", err)}
			}
			if s.isSecret(e.Range()) {
				refused.detail = secretDetail
			}
			s.errorf(call.Args[arg].Range(), refused.summary, "%s", refused.detail)
			return nil
		}
		at := call.Args[len(call.Args)-1].Range()
		switch {
		case t.Source != "":
			if src, err := booters.ParseSource(t.Source); err == nil && src.Local() {
				s.named = append(s.named, namedFile{path: t.Source, at: at, without: bootsWithout})
			}
		case filepath.IsAbs(t.Image) && t.Path != "" && !strings.HasSuffix(t.Path, "/"):
			s.named = append(s.named, namedFile{path: booters.InImage(t.Image, t.Path), at: at, without: bootsWithout})
		case t.Dir != "" && t.Path != "":
			s.named = append(s.named, namedFile{path: filepath.Join(t.Dir, t.Path), at: at, without: bootsWithout, dir: strings.HasSuffix(t.Path, "/")})
		}
		return nil
	})
	return ok
}

func (s *scope) referFile(name string, at hcl.Range) bool {
	if f := s.boot.files[name]; f != nil {
		s.usedFiles[f.Block] = true
		return true
	}
	switch {
	case !s.boot.whole: // it may be one that could not be understood
	case len(s.boot.files) == 0:
		s.errorf(at, sumVariable, "The boot %s has no file %q. Write file %[2]q { … } into it.", s.boot.name, name)
	default:
		s.errorf(at, sumVariable, "The boot %s has no file %q.%s", s.boot.name, name, didYouMean(name, slices.Sorted(maps.Keys(s.boot.files))))
	}
	return false
}

func (s *scope) referAssets(name string, at hcl.Range) bool {
	if one := s.assetsBy[name]; one != nil {
		one.used = true
		return true
	}
	switch {
	case s.unsure["assets"]: // it may be one that could not be understood
	case len(s.assetsBy) == 0:
		s.errorf(at, sumVariable, "There are no assets %q. Write assets %[1]q { dir = \"…\" } at the top of the file.", name)
	default:
		s.errorf(at, sumVariable, "There are no assets %q.%s", name, near(s.decoder, name, s.assetsBy))
	}
	return false
}
