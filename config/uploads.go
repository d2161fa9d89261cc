package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/pixiecore/pixiecore/booters"
)

// Uploads is the uploads block: where what machines send is kept.
type Uploads struct {
	Dir      string // the absolute path; empty: below the state directory
	MaxSize  int64  // bytes of one file
	MaxTotal int64  // bytes of all
}

// The bounds of an uploads block that does not say them, in bytes.
const (
	defaultUpload  = 16 << 20
	defaultUploads = 1 << 30
)

func (d *decoder) uploads(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	body, s := d.names(&uploadsSchema, b.Body), d.in(b.TypeRange)
	u := &Uploads{MaxSize: defaultUpload, MaxTotal: defaultUploads}
	if a := body.Attributes["dir"]; a != nil {
		u.Dir, _, _ = s.localPath(a, `the path of a directory in quotes, like "/srv/uploads"`,
			"Write the path of a directory, or leave the line out for the usual one.",
			"What machines send is kept on this host. Write the path of a directory.")
	}
	for name, to := range map[string]*int64{"max_size": &u.MaxSize, "max_total": &u.MaxTotal} {
		if a := body.Attributes[name]; a != nil {
			if n, ok := s.size(a); ok {
				*to = n
			}
		}
	}
	d.cfg.Uploads, d.uploadsAt = u, b.DefRange()
}

// checkUploads holds upload() and the block together, which need each other.
func (d *decoder) checkUploads() {
	if d.cfg.Uploads == nil && !d.unsure["uploads"] && len(d.sends) > 0 {
		d.errorf(d.sends[0], sumNoUploads, "Nothing that machines send is kept, unless the file says so. Write uploads {} at the top of the file.")
	}
}

func uploadFunction(link func(booters.Target) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{{Name: "name", Type: cty.String}},
		Type:         function.StaticReturnType(cty.String),
		RefineResult: func(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			to := booters.Target{Upload: args[0].AsString()}
			if _, err := booters.Preview(nil, noMachine).Link(to); err != nil || to.Upload == "" {
				return cty.NilVal, function.NewArgErrorf(0, "%q is no name for what a machine sends: write letters, digits, \".\", \"_\" and \"-\", and begin with a letter or a digit", to.Upload)
			}
			if link == nil {
				return cty.UnknownVal(cty.String), nil
			}
			address, err := link(to)
			return cty.StringVal(address), err
		},
	})
}

// sent refuses an upload whose name hangs on the machine, so that their number is known
// when the file is loaded.
func (v *vetter) sent(n *hclsyntax.FunctionCallExpr) {
	of := n.Args
	for _, loop := range v.fors {
		of = append(of[:len(of):len(of)], loop.CollExpr)
	}
	for _, e := range of {
		if len(membersOf(e)) > 0 {
			v.ok = false
			v.errorf(e.Range(), sumPathFact, "The name of an upload is known when the file is loaded: each machine has a directory of its own for what it sends. Write a text, like upload(\"install.log\").")
			return
		}
	}
	v.address(n)
}

// uploadCalls are the places of upload() in an expression.
func uploadCalls(e hclsyntax.Expression) (all []hcl.Range) {
	hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && call.Name == "upload" {
			all = append(all, call.NameRange)
		}
		return nil
	})
	return all
}
