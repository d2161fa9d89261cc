package page

import (
	"encoding"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
)

var update = flag.Bool("update", false, "write the schemas in openapi.json anew")

// bodies are what the paths of the API tell.
var bodies = map[string]any{
	"/api/v1/status":         status.Report{},
	"/api/v1/configuration":  Configuration{},
	"/api/v1/rules":          Rules{},
	"/api/v1/explain":        control.Explanation{},
	"/api/v1/machines":       Machines{},
	"/api/v1/machines/{mac}": MachineDetail{},
	"/api/v1/once":           OnceStates{},
	"/api/v1/servers":        Servers{},
}

// otherwise are types that write themselves as another.
var otherwise = map[reflect.Type]any{
	reflect.TypeFor[events.Machine](): struct {
		MAC   string        `json:"mac"`
		Facts events.Facts  `json:"facts"`
		Boots []events.Boot `json:"boots"`
	}{},
	reflect.TypeFor[events.Update](): struct {
		MAC    string        `json:"mac"`
		Arch   string        `json:"arch,omitempty"`
		Began  time.Time     `json:"began"`
		Result events.Result `json:"result"`
		Was    events.Result `json:"was"`
		Rule   string        `json:"rule,omitempty"`
		Stall  *events.Stall `json:"stall,omitempty"`
		Event  *events.Event `json:"event,omitempty"`
		New    bool          `json:"new,omitempty"`
		Lost   int           `json:"lost,omitempty"`
	}{},
}

type object = map[string]any

// schemas makes those of OpenAPI of types. A field's description is its comment.
type schemas struct {
	t        *testing.T
	made     object
	of       map[string]reflect.Type
	comments map[string]map[string]string // by type, with its package's path; then by field, "" the type's own
}

func (s *schemas) schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.schema(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.schema(t.Elem())}
	case reflect.Struct:
		return s.named(t)
	}
	if strings.Contains(t.Kind().String(), "int") {
		return object{"type": "integer"}
	}
	s.t.Fatalf("%s: no schema for this kind", t)
	return nil
}

// named makes the schema of a struct, and refers to it.
func (s *schemas) named(t reflect.Type) object {
	ref := object{"$ref": "#/components/schemas/" + t.Name()}
	if was, ok := s.of[t.Name()]; ok {
		if was != t {
			s.t.Errorf("%s and %s would have one name in the document", was, t)
		}
		return ref
	}
	s.of[t.Name()] = t
	said := s.commentsOf(t)
	whole := object{"type": "object", "additionalProperties": false}
	if d := said[""]; d != "" {
		whole["description"] = d
	}
	s.made[t.Name()] = whole
	fields := t
	if other, ok := otherwise[t]; ok {
		fields = reflect.TypeOf(other)
	}
	properties, required := object{}, []any{}
	for i := range fields.NumField() {
		f := fields.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() {
			continue
		}
		if name == "" {
			s.t.Errorf("%s.%s has no name in JSON", t, f.Name)
		}
		one := s.schema(f.Type)
		if d := said[f.Name]; d != "" {
			one["description"] = d
		}
		properties[name] = one
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	whole["properties"], whole["required"] = properties, required
	return ref
}

// commentsOf reads the comments on a type and its fields.
func (s *schemas) commentsOf(t reflect.Type) map[string]string {
	if said, ok := s.comments[t.PkgPath()+"."+t.Name()]; ok {
		return said
	}
	dir := "../.." + strings.TrimPrefix(t.PkgPath(), "github.com/pixiecore/pixiecore")
	files, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	text := func(c ...*ast.CommentGroup) string {
		for _, g := range c {
			if words := strings.Join(strings.Fields(g.Text()), " "); words != "" {
				return words
			}
		}
		return ""
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		src, err := parser.ParseFile(token.NewFileSet(), path.Join(dir, f.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			s.t.Fatal(err)
		}
		ast.Inspect(src, func(n ast.Node) bool {
			d, ok := n.(*ast.GenDecl)
			if !ok || d.Tok != token.TYPE {
				return true
			}
			for _, spec := range d.Specs {
				spec := spec.(*ast.TypeSpec)
				fields, ok := spec.Type.(*ast.StructType)
				if !ok {
					continue
				}
				said := map[string]string{"": text(spec.Doc, d.Doc)}
				for _, f := range fields.Fields.List {
					for _, name := range f.Names {
						said[name.Name] = text(f.Comment, f.Doc)
					}
				}
				s.comments[t.PkgPath()+"."+spec.Name.Name] = said
			}
			return true
		})
	}
	return s.comments[t.PkgPath()+"."+t.Name()]
}

func readDescription(t *testing.T) object {
	t.Helper()
	var doc object
	if err := json.Unmarshal(description, &doc); err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	return doc
}

// The schemas are those of the types that are told, field by field.
func TestOpenAPISchemas(t *testing.T) {
	s := &schemas{t: t, made: object{}, of: map[string]reflect.Type{}, comments: map[string]map[string]string{}}
	for _, path := range slices.Sorted(maps.Keys(bodies)) {
		s.named(reflect.TypeOf(bodies[path]))
	}
	for _, other := range []any{Refused{}, Served{}, events.Update{}} {
		s.named(reflect.TypeOf(other))
	}
	doc := readDescription(t)
	components := doc["components"].(object)
	if *update {
		components["schemas"] = s.made
		b, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("openapi.json", append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(components["schemas"], any(s.made)); diff != "" {
		t.Errorf("`go test ./daemon/page -run OpenAPI -update` writes the schemas anew (-file +code):\n%s", diff)
	}
}

// Every path of the document has a handler, and every handler a path; each says in
// the document what it tells.
func TestOpenAPIPaths(t *testing.T) {
	var served []string
	for path := range (&Server{}).api() {
		served = append(served, path)
	}
	served = append(served, "/healthz", "/readyz")
	slices.Sort(served)
	paths := readDescription(t)["paths"].(object)
	if diff := cmp.Diff(served, slices.Sorted(maps.Keys(paths))); diff != "" {
		t.Errorf("paths (-served +described):\n%s", diff)
	}
	for path, body := range bodies {
		at, _ := paths[path].(object)
		for _, key := range []string{"get", "responses", "200", "content", "application/json", "schema"} {
			at, _ = at[key].(object)
		}
		if got, want := at["$ref"], "#/components/schemas/"+reflect.TypeOf(body).Name(); got != want {
			t.Errorf("%s: the document says that it tells %v, and it tells %s", path, got, want)
		}
	}
}

// What is told has no field that its schema lacks, and every one that it needs.
func TestOpenAPIAnswers(t *testing.T) {
	doc := readDescription(t)
	h := (&Server{Daemon: newFake(t), Log: nop}).Handler()
	for path, body := range bodies {
		url := path
		switch path {
		case "/api/v1/machines/{mac}":
			url = "/api/v1/machines/52:54:00:aa:00:01"
		case "/api/v1/explain":
			url += "?mac=52:54:00:aa:00:01&firmware=efi64&serial=S1"
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, fromLoopback(httptest.NewRequest("GET", url, nil)))
		var told any
		if err := json.Unmarshal(w.Body.Bytes(), &told); w.Code != http.StatusOK || err != nil {
			t.Errorf("%s: %d %v\n%s", url, w.Code, err, w.Body)
			continue
		}
		for _, wrong := range conforms(doc, object{"$ref": "#/components/schemas/" + reflect.TypeOf(body).Name()}, told, path) {
			t.Error(wrong)
		}
	}
}

// conforms says what is wrong with a value, as far as these schemas go.
func conforms(doc, schema object, v any, at string) (wrong []string) {
	for schema["$ref"] != nil {
		name := path.Base(schema["$ref"].(string))
		schema = doc["components"].(object)["schemas"].(object)[name].(object)
	}
	is := "null"
	switch v := v.(type) {
	case string:
		is = "string"
	case bool:
		is = "boolean"
	case float64:
		is = "number"
		if schema["type"] == "integer" && v == float64(int64(v)) {
			is = "integer"
		}
	case []any:
		is = "array"
		for i, e := range v {
			wrong = append(wrong, conforms(doc, schema["items"].(object), e, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case object:
		is = "object"
		properties, _ := schema["properties"].(object)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			one, ok := properties[name].(object)
			if rest, more := schema["additionalProperties"].(object); !ok && more {
				one, ok = rest, true
			}
			if !ok {
				wrong = append(wrong, fmt.Sprintf("%s.%s is not described", at, name))
				continue
			}
			wrong = append(wrong, conforms(doc, one, v[name], at+"."+name)...)
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				wrong = append(wrong, fmt.Sprintf("%s.%s is missing", at, name))
			}
		}
	}
	if is != schema["type"] {
		wrong = append(wrong, fmt.Sprintf("%s is %s, and described as %v", at, is, schema["type"]))
	}
	return wrong
}
