package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pixiecore/pixiecore/config"
)

// language writes the reference of the configuration language.
func language(p page, r config.Reference) {
	if _, ok := p.(*markdown); ok {
		p.para("# The configuration language")
		p.para("<!-- Made by `make docs` of config/language.go. Edit that, not this. -->")
		p.para("This is all that the language has. [configuration.md](configuration.md) is the guide, which shows how the pieces go together, " +
			"and what an edit does to a running server. `pixiecore schema` prints the reference as JSON.")
		p.section("Syntax")
	} else {
		p.section("Description")
	}
	p.para("`pixiecore` reads `/etc/pixiecore.hcl`, in HCL. A setting is `NAME = VALUE`, and a block is `TYPE \"LABEL\" { … }`. A block with more than one setting takes one line for each. " +
		"Comments begin with `#` or `//` and go to the end of the line, or stand between `/*` and `*/`. Texts stand in double quotes, or, when they have several lines, between `<<-EOT` and `EOT`.")
	p.para("The file is checked as a whole before anything of it has an effect, and all that is wrong is reported at once, by `pixiecore check` too. " +
		"An error means that the file is not used; a warning means that it is. Whatever is not in this reference is an error.")
	p.para("In place of the file there may be a directory, of which all files `*.hcl` and `*.json` are read in lexical order, but for hidden ones.")

	for i, b := range r.Blocks {
		switch i {
		case 0:
			p.section("The file")
		case 1:
			p.section("Blocks")
			fallthrough
		default:
			p.subsection("`" + b.Name + "`")
		}
		p.para(b.Doc)
		p.para(place(r, b))
		p.code("hcl", b.Example)
		if len(b.Labels) > 0 {
			all := make([]term, len(b.Labels))
			for i, w := range b.Labels {
				all[i] = term{name: w.Word, text: w.Doc}
			}
			p.terms([3]string{"label", "", "serves"}, all)
		}
		if len(b.Attributes) > 0 {
			all := make([]term, len(b.Attributes))
			for i, a := range b.Attributes {
				all[i] = term{a.Name, takes(a), meaning(a)}
			}
			p.terms([3]string{"setting", "takes", "meaning"}, all)
		}
		if len(b.Blocks) > 0 && b.Name != "" {
			p.para("In it may stand: " + codes(b.Blocks) + ".")
		}
		if len(b.Later) > 0 {
			p.para("Part of the language, but not of this version: " + codes(b.Later) + ". They are refused.")
		}
	}

	p.section("Expressions")
	p.para("Wherever a value stands, it may be computed: with `${…}` in texts, operators (`+ - * / %`, `== != < <= > >=`, `&& || !`), conditions (`c ? a : b`), " +
		"loops (`[for x in list : …]`, `{ for k, v in map : k => v }`, with `if` behind them) and functions, as in Terraform. " +
		"Everything is computed once, when the file is loaded, but for what hangs on the machine. A percent sign or dollar sign before a brace is written twice, `$${…}` and `%%{…}`, where it is meant as it is.")
	p.terms([3]string{"name", "where", "meaning"}, []term{
		{"local.NAME", "everywhere", "A value of a `locals` block."},
		{"each.key, each.value", "beside `for_each`", "The element of which this instance of the block is made."},
		{"boot.NAME", "`boot` of a rule, `extends` of a boot", "A `boot` block; `boot.NAME[\"KEY\"]` where that has `for_each`."},
		{"machine.NAME", "in a boot, and in `when`", "A value of the machine that is booting."},
	})

	p.section("Values of the machine")
	p.para("They are known when a machine boots. In a boot, one that the machine does not have is an error, which its screen and the log tell, and never an empty text: `try(machine.serial, \"none\")` gives another value for it. " +
		"In `when` it is an empty text. What only iPXE knows makes a condition unknown until the machine has loaded it. What a machine says of itself has no control characters, and chooses no file.")
	members := make([]term, len(r.Machine))
	for i, m := range r.Machine {
		where := "text"
		switch m.Type {
		case config.TypeBool:
			where = "`true` or `false`"
		case config.TypeMap:
			where = "texts by name"
		}
		if m.Stage == config.StageIPXE {
			where += ", known from iPXE"
		}
		doc := m.Doc
		if m.Words != nil {
			doc += " One of " + codes(m.Words) + "."
		}
		if m.Paths {
			doc += " May stand in paths and URLs."
		}
		members[i] = term{"machine." + m.Name, where, doc}
	}
	p.terms([3]string{"name", "is", "meaning"}, members)

	for _, words := range []struct {
		title, intro string
		all          []config.Word
	}{
		{"Architectures", "The words for `arch`.", r.Architectures},
		{"Firmware", "The words for `firmware`. It stays the same at every stage of a boot.", r.Firmwares},
	} {
		p.section(words.title)
		p.para(words.intro)
		all := make([]term, len(words.all))
		for i, w := range words.all {
			all[i] = term{name: w.Word, text: w.Doc}
		}
		p.terms([3]string{"word", "", "machines"}, all)
	}

	p.section("Functions")
	p.para("They are called as in Terraform, under the same names. What `file`, `fileexists`, `templatefile` and `env` read must be known when the file is loaded, and a change of it is a change of the configuration.")
	for i, f := range r.Functions {
		if i > 0 && r.Functions[i-1].Group == f.Group {
			continue
		}
		p.subsection(strings.ToUpper(f.Group[:1]) + f.Group[1:])
		var all []term
		for _, g := range r.Functions[i:] {
			if g.Group == f.Group {
				text := fmt.Sprintf("%s Example: `%s`.", g.Doc, g.Example)
				if g.Result != "" {
					text = fmt.Sprintf("%s `%s` is `%s`.", g.Doc, g.Example, g.Result)
				}
				all = append(all, term{g.Signature, "", text})
			}
		}
		p.terms([3]string{"function", "", "meaning"}, all)
	}

	p.section("JSON syntax")
	p.para("A file whose name ends in `.json` is read in the JSON syntax of HCL, for programs that write configurations, and so is standard input that begins with a brace. It means the same, and is refused in the same words.")
	p.para("An object has settings and blocks by their names. A block's label is the name of a property of one more object, and a list of objects is several blocks of one name. " +
		"A text is a template, so that an expression is written as `\"${…}\"`: `\"boot\": \"${boot.debian}\"`. A property `\"//\"` in a block, or at the top, is a comment. A block's name may stand in one object several times, a setting's once.")
	p.code("json", r.JSONExample)
	p.section("Limits")
	p.para("A file may have 16 MiB and two million words and signs, a path or URL 2048 bytes, a command line 4096 bytes, a script 1 MiB. Brackets may stand in each other 100 deep. " +
		"Functions may read 16 MiB of one file, and 64 MiB of all.")
}

// place says in what a block may stand, and how often.
func place(r config.Reference, b config.Block) string {
	var in []string
	for _, outer := range r.Blocks {
		if slices.Contains(outer.Blocks, b.Name) {
			in = append(in, outer.Name)
		}
	}
	where := "in " + codes(in)
	switch {
	case b.Name == "":
		return "At the top of a file may stand: " + codes(b.Blocks) + "."
	case slices.Contains(in, ""):
		where = "at the top of a file"
	}
	often := "once"
	if b.Many {
		often = "any number of times"
	}
	if b.Label != "" {
		return fmt.Sprintf("`%s \"LABEL\" { … }` stands %s, %s. The label is %s.", b.Name, where, often, b.Label)
	}
	return fmt.Sprintf("`%s { … }` stands %s, %s.", b.Name, where, often)
}

// takes says what the value of a setting is.
func takes(a config.Attribute) string {
	return map[config.Type]string{
		config.TypeText:      "a text",
		config.TypeTexts:     "a text or a list",
		config.TypeFile:      "a text or an object",
		config.TypeFiles:     "texts, objects, or a list",
		config.TypeBool:      "`true` or `false`",
		config.TypeDuration:  "a duration, like `\"1500ms\"`",
		config.TypeSize:      "a size, like `\"20GiB\"`",
		config.TypeNumber:    "a whole number",
		config.TypeMap:       "texts by name",
		config.TypeObject:    "an object",
		config.TypeElements:  "a map, or a set of texts",
		config.TypeBoot:      "a reference to a boot",
		config.TypeCondition: "a condition",
	}[a.Type]
}

// meaning says all the rest of a setting.
func meaning(a config.Attribute) string {
	s := a.Doc
	if a.Needed {
		s += " It must be there."
	}
	if a.Members != nil {
		s += " Of " + codes(a.Members) + "."
	}
	if a.Words != nil {
		s += " One of " + codes(a.Words) + "."
	}
	if a.Default != "" {
		s += " Default: " + a.Default + "."
	}
	switch a.Machine {
	case config.MachinePaths:
		s += " Values of the machine that may stand in paths may stand in it."
	case config.MachineAll:
		s += " Values of the machine may stand in it."
	}
	if a.Stage == config.StageIPXE {
		s += " Known from iPXE only."
	}
	return fmt.Sprintf("%s Example: `%s`.", s, a.Example)
}

func codes(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }
