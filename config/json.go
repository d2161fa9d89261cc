package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// isJSON reports whether a file is written in HCL's JSON syntax. What comes from
// standard input has no name that could say so, and no file in the native syntax
// begins with a brace.
func (d *decoder) isJSON(name string) bool {
	return strings.HasSuffix(name, ".json") || d.piped && bytes.HasPrefix(bytes.TrimLeft(d.sources[name], " \t\r\n"), []byte("{"))
}

// A jsonValue is a value of a JSON text, with its place. It stands for an object
// if members is not nil, for a list if elements is not nil, else for value:
// string, json.Number, bool or nil.
type jsonValue struct {
	at       hcl.Range
	members  []jsonMember
	elements []jsonValue
	value    any
}

// A jsonMember is NAME: VALUE in an object. An object may have several of one
// name.
type jsonMember struct {
	name   string
	nameAt hcl.Range // with its quotes
	value  jsonValue
}

// A jsonReader makes values of a JSON text.
type jsonReader struct {
	name  string
	src   []byte
	dec   *json.Decoder
	pos   hcl.Pos // of the last place that was asked for
	depth int
}

var (
	errJSONDeep = errors.New("too deep")
	errJSONUTF8 = errors.New("not UTF-8")
	errJSONTwo  = errors.New("more than one value")
)

// readJSON reads a text of one value.
func readJSON(name string, src []byte) (jsonValue, *jsonReader, error) {
	r := &jsonReader{name: name, src: src, dec: json.NewDecoder(bytes.NewReader(src)), pos: hcl.InitialPos}
	r.dec.UseNumber()
	if i := invalidUTF8(src); i >= 0 {
		r.to(i)
		return jsonValue{}, r, errJSONUTF8
	}
	v, err := r.next()
	if err != nil {
		return v, r, err
	}
	if _, _, err := r.token(); err != io.EOF {
		return v, r, errJSONTwo
	}
	return v, r, nil
}

func invalidUTF8(src []byte) int {
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// to is the place of a byte, which must not be before the last that was asked
// for.
func (r *jsonReader) to(offset int) hcl.Pos {
	r.pos = after(r.pos, r.src[r.pos.Byte:max(min(offset, len(r.src)), r.pos.Byte)])
	return r.pos
}

// token is the next token and its place.
func (r *jsonReader) token() (json.Token, hcl.Range, error) {
	start := int(r.dec.InputOffset())
	for start < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[start]) >= 0 {
		start++
	}
	at := hcl.Range{Filename: r.name, Start: r.to(start)}
	t, err := r.dec.Token()
	if err == nil {
		at.End = r.to(int(r.dec.InputOffset()))
	}
	return t, at, err
}

func (r *jsonReader) next() (jsonValue, error) {
	t, at, err := r.token()
	if err != nil {
		return jsonValue{}, err
	}
	return r.value(t, at)
}

func (r *jsonReader) value(t json.Token, at hcl.Range) (jsonValue, error) {
	v := jsonValue{at: at}
	delim, ok := t.(json.Delim)
	if !ok {
		v.value = t
		return v, nil
	}
	if r.depth++; r.depth > maxNesting {
		return v, errJSONDeep
	}
	defer func() { r.depth-- }()
	if delim == '{' {
		v.members = []jsonMember{}
	} else {
		v.elements = []jsonValue{}
	}
	for {
		t, at, err := r.token()
		if err != nil {
			return v, err
		}
		if end, ok := t.(json.Delim); ok && (end == '}' || end == ']') {
			v.at.End = at.End
			return v, nil
		}
		if delim == '[' {
			e, err := r.value(t, at)
			if err != nil {
				return v, err
			}
			v.elements = append(v.elements, e)
			continue
		}
		m := jsonMember{name: t.(string), nameAt: at} // the decoder lets nothing else be a name
		if m.value, err = r.next(); err != nil {
			return v, err
		}
		v.members = append(v.members, m)
	}
}

// jsonSyntaxOf is syntaxOf for a file in the JSON syntax, of which only the first
// syntax error is told: what is behind it means nothing.
func (d *decoder) jsonSyntaxOf(name string) (*hclsyntax.Body, bool) {
	v, r, err := readJSON(name, d.sources[name])
	at := hcl.Range{Filename: name, Start: r.pos, End: r.pos}
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		j := &jsonTranslator{decoder: d}
		return j.file(v), true
	case errors.Is(err, errJSONDeep):
		d.errorf(at, sumTooDeep, "Objects and lists may stand in each other %d deep. Is a closing bracket missing?", maxNesting)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		at.Start = r.to(len(r.src))
		at.End = at.Start
		d.errorf(at, sumJSON, "The text ends before its value does. Is a closing bracket or quotation mark missing?")
	case errors.As(err, &syntax):
		// The decoder does not say where in a word or text the character is.
		at.Start = r.to(int(syntax.Offset) - 1)
		n := 1
		if at.Start.Byte >= int(syntax.Offset) {
			n = max(bytes.IndexAny(r.src[at.Start.Byte:], " \t\r\n,]}"), 1)
		}
		at.End = r.to(at.Start.Byte + n)
		d.errorf(at, sumJSON, "Here is an %s. Write JSON: texts and names in double quotes, a comma between two values and none behind the last.", strings.TrimPrefix(syntax.Error(), "json: "))
	case errors.Is(err, errJSONUTF8):
		d.errorf(at, sumJSON, "Here is a byte that is no character of UTF-8. Save the file in that encoding.")
	case errors.Is(err, errJSONTwo):
		d.errorf(at, sumJSON, "There is something behind the end of the file's object. Is there a bracket too many before it?")
	default:
		d.errorf(at, sumJSON, "%v. Write one JSON object.", err)
	}
	return nil, false
}

// A jsonTranslator makes of JSON what hcl's parser makes of the native syntax, by
// the table of names. All that is behind it is the same for both.
//
// HCL's specification of the JSON syntax (json/spec.md): an object has attributes
// and blocks; a text is a template.
type jsonTranslator struct {
	*decoder
	broken bool // whether there has been an error
}

func (j *jsonTranslator) errorf(at hcl.Range, s summary, format string, args ...any) {
	j.broken = true
	j.decoder.errorf(at, s, format, args...)
}

// file translates a whole file. As in the native syntax, a block with an error is
// left out, and nothing is called missing that may have stood in it.
func (j *jsonTranslator) file(v jsonValue) *hclsyntax.Body {
	body := &hclsyntax.Body{Attributes: make(hclsyntax.Attributes), SrcRange: v.at}
	for _, m := range j.members(v, "The file") {
		if !slices.Contains(fileSchema.Blocks, m.name) {
			j.attribute(body, m)
			continue
		}
		for _, b := range j.blocks(block(m.name), m) {
			if b.sound {
				body.Blocks = append(body.Blocks, b.Block)
			}
		}
	}
	if j.broken {
		j.unsureOfAll()
	}
	return body
}

// members are those of an object, or of all objects in a list. what is said to be
// one is for sentences.
func (j *jsonTranslator) members(v jsonValue, what string) (all []jsonMember) {
	switch {
	case v.members != nil:
		for _, m := range v.members {
			if m.name != "//" { // a comment
				all = append(all, m)
			}
		}
	case v.elements != nil:
		for _, e := range v.elements {
			all = append(all, j.members(e, what)...)
		}
	default:
		j.errorf(v.at, sumType, "%s is an object in JSON. Write { \"NAME\": VALUE, … }.", what)
	}
	return all
}

// attribute translates a setting, or a name that there is not, which is refused as
// in the native syntax.
func (j *jsonTranslator) attribute(body *hclsyntax.Body, m jsonMember) {
	if body.Attributes[m.name] != nil {
		j.twice(m)
		return
	}
	body.Attributes[m.name] = &hclsyntax.Attribute{
		Name: m.name, Expr: j.expression(m.value),
		SrcRange: hcl.RangeBetween(m.nameAt, m.value.at), NameRange: m.nameAt, EqualsRange: m.nameAt,
	}
}

func (j *jsonTranslator) twice(m jsonMember) {
	j.errorf(m.nameAt, sumTwice, "%q is set twice in this object. Leave one of the two out.", m.name)
}

// body translates what stands in a block.
func (j *jsonTranslator) body(b *Block, v jsonValue) *hclsyntax.Body {
	body := &hclsyntax.Body{Attributes: make(hclsyntax.Attributes), SrcRange: v.at, EndRange: hcl.Range{Filename: v.at.Filename, Start: v.at.End, End: v.at.End}}
	inner := b
	if b.As != "" {
		inner = block(b.As)
	}
	for _, m := range j.members(v, fmt.Sprintf("A %s block", b.Name)) {
		if !slices.Contains(inner.Blocks, m.name) {
			j.attribute(body, m)
			continue
		}
		for _, b := range j.blocks(block(m.name), m) {
			body.Blocks = append(body.Blocks, b.Block)
		}
	}
	return body
}

// A translated is a block, and whether it has no error.
type translated struct {
	*hclsyntax.Block
	sound bool
}

// blocks translates the blocks of one type. A block stands where its label does,
// or, in a list, where it begins: many may have one property in common.
func (j *jsonTranslator) blocks(b *Block, m jsonMember) (all []translated) {
	if m.value.members == nil && m.value.elements == nil {
		if m.value.value != nil { // null is no block
			form := `{ "NAME": VALUE, … }`
			if b.Label != "" {
				form = `{ "LABEL": ` + form + ` }`
			}
			j.errorf(m.nameAt, sumNotSetting, "%q is a block, which is an object in JSON: write %[1]q: %s.", m.name, form)
		}
		return nil
	}
	add := func(labels []string, at hcl.Range, v jsonValue) {
		made := &hclsyntax.Block{Type: m.name, Labels: labels, TypeRange: at, OpenBraceRange: v.at, CloseBraceRange: v.at}
		for range labels {
			made.LabelRanges = append(made.LabelRanges, at)
		}
		before := j.broken
		j.broken = false
		made.Body = j.body(b, v)
		all = append(all, translated{made, !j.broken})
		j.broken = j.broken || before
	}
	each := func(labels []string, at hcl.Range, v jsonValue) {
		if v.elements == nil {
			add(labels, at, v)
		}
		for _, e := range v.elements {
			brace := e.at
			brace.End = after(brace.Start, []byte("{"))
			add(labels, brace, e)
		}
	}
	if b.Label == "" {
		each(nil, m.nameAt, m.value)
		return all
	}
	for _, label := range j.members(m.value, fmt.Sprintf("What has the labels of %s blocks", m.name)) {
		each([]string{label.name}, label.nameAt, label.value)
	}
	return all
}

func (j *jsonTranslator) expression(v jsonValue) hclsyntax.Expression {
	switch {
	case v.members != nil:
		object := &hclsyntax.ObjectConsExpr{SrcRange: v.at, OpenRange: v.at}
		names := make(map[string]bool)
		for _, m := range v.members {
			if names[m.name] {
				j.twice(m)
			}
			names[m.name] = true
			key := &hclsyntax.ObjectConsKeyExpr{Wrapped: j.template(m.name, m.nameAt)}
			object.Items = append(object.Items, hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: j.expression(m.value)})
		}
		return object
	case v.elements != nil:
		list := &hclsyntax.TupleConsExpr{SrcRange: v.at, OpenRange: v.at}
		for _, e := range v.elements {
			list.Exprs = append(list.Exprs, j.expression(e))
		}
		return list
	}
	literal := &hclsyntax.LiteralValueExpr{SrcRange: v.at}
	switch value := v.value.(type) {
	case string:
		return j.template(value, v.at)
	case bool:
		literal.Val = cty.BoolVal(value)
	case json.Number:
		n, err := cty.ParseNumberVal(value.String())
		if err != nil {
			j.errorf(v.at, sumJSON, "The number %s is out of range. Write a smaller one.", value)
			n = cty.Zero
		}
		literal.Val = n
	default:
		literal.Val = cty.NullVal(cty.DynamicPseudoType)
	}
	return literal
}

// template translates a text at a place with quotes.
func (j *jsonTranslator) template(text string, at hcl.Range) hclsyntax.Expression {
	inner := at
	inner.Start.Byte++
	inner.Start.Column++
	if !strings.Contains(text, "${") && !strings.Contains(text, "%{") {
		literal := &hclsyntax.LiteralValueExpr{Val: cty.StringVal(text), SrcRange: inner}
		return &hclsyntax.TemplateExpr{Parts: []hclsyntax.Expression{literal}, SrcRange: at}
	}
	src := j.sources[at.Filename][inner.Start.Byte : at.End.Byte-1]
	start, place := inner.Start, func(p hcl.Pos) hcl.Pos { return p }
	if string(src) != text {
		start, place = hcl.InitialPos, unescaped(src, inner.Start)
	}
	tokens, _ := hclsyntax.LexTemplate([]byte(text), at.Filename, start) // what is wrong with them, the parser says again
	if _, deep := split(tokens, at.Filename); deep != nil {
		j.errorf(at, sumTooDeep, "Brackets, templates, signs and conditions may stand in each other %d deep. Is a closing bracket missing?", maxNesting)
		return &hclsyntax.LiteralValueExpr{Val: cty.DynamicVal, SrcRange: at}
	}
	e, diags := hclsyntax.ParseTemplate([]byte(text), at.Filename, start)
	if string(src) != text {
		move(reflect.ValueOf(e), place, make(map[any]bool))
		for _, diag := range diags {
			if diag.Subject != nil {
				diag.Subject = &hcl.Range{Filename: at.Filename, Start: place(diag.Subject.Start), End: place(diag.Subject.End)}
			}
		}
	}
	if len(diags) > 0 {
		j.broken = true
		j.syntax(diags)
	}
	switch e := e.(type) {
	case *hclsyntax.TemplateExpr:
		e.SrcRange = at
	case *hclsyntax.TemplateWrapExpr:
		e.SrcRange = at
	}
	return e
}

// maxStride bounds how far unescaped has to count, in bytes.
const maxStride = 256

// unescaped finds the places of a text in what it is written as: src, the inside
// of a JSON text that begins at start. The places of the text are known by their
// bytes.
func unescaped(src []byte, start hcl.Pos) func(hcl.Pos) hcl.Pos {
	type mark struct {
		n  int // bytes of the text before it
		at hcl.Pos
	}
	marks := []mark{{0, start}}
	for rest := src; len(rest) > 0; {
		raw := bytes.IndexByte(rest, '\\')
		if raw < 0 {
			raw = len(rest)
		}
		n := 0
		if raw == 0 {
			raw, n = escape(rest)
		} else {
			for raw = min(raw, maxStride); raw < len(rest) && !utf8.RuneStart(rest[raw]); {
				raw++
			}
			n = raw
		}
		m := marks[len(marks)-1]
		marks = append(marks, mark{m.n + n, after(m.at, rest[:raw])})
		rest = rest[raw:]
	}
	return func(p hcl.Pos) hcl.Pos {
		i, found := slices.BinarySearchFunc(marks, p.Byte, func(m mark, n int) int { return m.n - n })
		if !found {
			i--
		}
		m := marks[i]
		from := m.at.Byte - start.Byte
		return after(m.at, src[from:min(from+p.Byte-m.n, len(src))])
	}
}

// escape is how many bytes the escape at the beginning of src has, and the
// character that it means (RFC 8259 §7). The decoder has found it sound.
func escape(src []byte) (raw, decoded int) {
	if src[1] != 'u' {
		return 2, 1
	}
	unit := func(digits []byte) rune {
		n, _ := strconv.ParseUint(string(digits), 16, 16)
		return rune(n)
	}
	r := unit(src[2:6])
	if !utf16.IsSurrogate(r) {
		return 6, utf8.RuneLen(r)
	}
	if len(src) >= 12 && src[6] == '\\' && src[7] == 'u' {
		if pair := utf16.DecodeRune(r, unit(src[8:12])); pair != utf8.RuneError {
			return 12, utf8.RuneLen(pair)
		}
	}
	return 6, utf8.RuneLen(utf8.RuneError)
}

// move gives all ranges in a syntax tree another place. It looks at the fields, so
// that no kind of node is forgotten.
func move(v reflect.Value, place func(hcl.Pos) hcl.Pos, seen map[any]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Interface()] {
			return
		}
		seen[v.Interface()] = true
		move(v.Elem(), place, seen)
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		if v.Elem().Kind() == reflect.Pointer {
			move(v.Elem(), place, seen)
			return
		}
		if v.CanSet() && v.Elem().Kind() == reflect.Struct { // a step of a traversal, which is no pointer
			step := reflect.New(v.Elem().Type()).Elem()
			step.Set(v.Elem())
			move(step, place, seen)
			v.Set(step)
		}
	case reflect.Slice:
		for i := range v.Len() {
			move(v.Index(i), place, seen)
		}
	case reflect.Struct:
		if v.CanAddr() {
			switch value := v.Addr().Interface().(type) {
			case *hcl.Range:
				value.Start, value.End = place(value.Start), place(value.End)
				return
			case *cty.Value:
				return
			}
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				move(v.Field(i), place, seen)
			}
		}
	}
}
