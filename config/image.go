package config

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/pixiecore/pixiecore/booters"
)

// imageType is that of a file in an ISO image, as iso() makes it: no text, so that no
// text can be taken for one.
var imageType = cty.Capsule("file in an image", reflect.TypeFor[booters.Source]())

// isoFunction is iso() where paths count from dir.
func isoFunction(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "image", Type: cty.String}, {Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(imageType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			image, name := args[0].AsString(), args[1].AsString()
			if image == "" || name == "" {
				return cty.NilVal, errors.New("an image and a file in it are named: iso(\"PATH or URL\", \"/images/pxeboot/vmlinuz\")")
			}
			if !scheme.MatchString(image) {
				image = resolve(dir, image)
			}
			return cty.CapsuleVal(imageType, &booters.Source{At: booters.InImage(image, name)}), nil
		},
	})
}

// imaged is a value of imageType as the text that booters.ParseSource reads; other values
// stay as they are.
func imaged(v cty.Value) cty.Value {
	switch {
	case !v.Type().Equals(imageType) || v.IsNull():
		return v
	case !v.IsKnown():
		return cty.UnknownVal(cty.String)
	default:
		return cty.StringVal(v.EncapsulatedValue().(*booters.Source).String())
	}
}

// inspectImage says in a sentence what is wrong with a file in a local image, which is
// there.
func inspectImage(image, name string) string {
	missing, err := booters.FindMissing(image, name)
	switch {
	case err != nil:
		return fmt.Sprintf("%q cannot be had from %q: %v.", name, image, err)
	case missing != nil:
		text := fmt.Sprintf("There is no %q in %q of the image %q.%s", missing.Name, "/"+missing.Dir, image, didYouMean(missing.Name, missing.Else))
		if missing.Note != "" {
			text += " And " + missing.Note + "."
		}
		return text
	}
	return ""
}
