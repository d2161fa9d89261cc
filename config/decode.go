package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
)

// maxNesting bounds how deep brackets, templates, signs and conditions may
// stand in each other. hcl's parser takes some ten kilobytes of stack for each.
const maxNesting = 100

// A decoder makes files into a Config.
type decoder struct {
	*Report
	name      string            // of what to load, as it is shown
	piped     bool              // whether that is no file, but standard input
	abs       string            // its absolute path; of a directory, the pattern of its files
	added     map[string]bool   // the absolute paths of the files that take part
	dirs      map[string]string // the absolute folder of each file, by its name
	disk      *disk
	cfg       *Config
	named     []namedFile
	listeners []hcl.Range // where the Config's listeners stand
	boots     map[string]*bootFamily
	families  []*bootFamily // all of them, in file order
	ruleAt    []hcl.Range   // where the Config's rules stand
	ruleBoots []*bootBlock  // what they boot; nil: no boot
	ruleMatch []*matchTree  // what they match by; nil: every machine
	bootVar   cty.Value     // what boot means, once all of them are known
	locals    map[string]*local
	local     cty.Value         // what local means, likewise
	scopes    map[string]*scope // by file
	vetted    map[vetted]bool
	alike     map[alike]int
	told      map[told]bool
	constants map[hclsyntax.Expression]string // digests of values in a when
	tokens    map[hcl.Range]bool              // the expressions outside of files that a secret may stand in
	asks      map[string]bool                 // the local values that are asked for when a machine boots
	nears     int                             // how many suggestions of a name have been made
	// first holds where each name (or listener's address) was used first, under
	// its kind.
	first      map[[2]string]use
	tests      []testCase
	entries    []booters.Entry              // the inventory
	reservedAt *hcl.Range                   // where a machine's address stands; nil: none has one
	labelled   map[string]map[string]string // sets of labels, by their text: see shared
	byUUID     bool                         // whether it knows a machine by its UUID
	// inventory has the entries by name.
	inventory map[string]*booters.Entry
	assetsBy  map[string]*asset
	assetsVar cty.Value                 // what assets means
	usedFiles map[*hclsyntax.Block]bool // file blocks that some url() names
	sends     []hcl.Range               // upload() in boots
	uploadsAt hcl.Range                 // the uploads block, if there is one
	lock      *Lock                     // nil: there is none
	secure    secureSettings            // of the global secure_boot block; nil: there is none
	// unsure are the types of blocks of which there may be more than could be
	// understood. Nothing of such a type is called missing.
	unsure map[string]bool
}

// A namedFile is a local file that the configuration names.
type namedFile struct {
	path    string
	at      hcl.Range
	without string // a sentence: what does not work while it is not there
	dir     bool   // whether it is a directory
}

const bootsWithout = "Machines that need it will not boot until it is there."

// config decodes files that have been read. The Config is nil if the report then
// has an error.
func (d *decoder) config(names ...string) *Config {
	d.decode(names)
	d.disk.sealed = true
	if d.Err() == nil {
		d.runTests()
	}
	if d.Err() == nil {
		d.checkLock()
	}
	if d.Err() == nil {
		d.warnings()
	}
	d.files = append(d.files, d.abs)
	for _, path := range slices.Sorted(maps.Keys(d.disk.files)) {
		// Few have a lock file, so one that is not there is left to whoever watches what
		// was asked for.
		if noLock := filepath.Base(path) == lockName && errors.Is(d.disk.files[path].err, fs.ErrNotExist); path != d.abs && !noLock {
			d.files = append(d.files, path)
		}
	}
	if d.Err() == nil && d.disk.open != nil {
		warnMissing(d.named, d.Report)
	}
	d.sort()
	d.stateDir = d.cfg.StateDir
	if d.Err() != nil {
		return nil
	}
	d.cfg.Files = d.Files()
	cfg := d.cfg
	d.release()
	return cfg
}

// release lets go of what is not needed once the file is loaded: rules and boots
// of a hundred thousand machines would keep the table that they were made of,
// and every line of the file. What stays is what machines are asked or given.
func (d *decoder) release() {
	for _, s := range d.scopes {
		local := make(map[string]cty.Value)
		for name := range d.asks {
			local[name] = d.locals[name].value
		}
		s.ctx.Variables["local"] = cty.ObjectVal(local)
	}
	for _, family := range d.families {
		for _, b := range family.boots { // which each expression in one knows
			*b = bootBlock{fileVar: b.fileVar, recipe: b.recipe}
		}
	}
	d.disk.release()
	*d = decoder{assetsVar: d.assetsVar, lock: d.lock} // which each expression that stays knows
}

// newDecoder makes a decoder whose first file is src.
func newDecoder(name, abs string, src []byte, k *disk, r *Report) *decoder {
	r.sources[name] = src
	k.files, k.templates, k.kept = make(map[string]content), make(map[string]hclsyntax.Expression), make(map[string]bool)
	return &decoder{
		Report:    r,
		name:      name,
		abs:       abs,
		added:     map[string]bool{abs: true},
		dirs:      map[string]string{name: filepath.Dir(abs)},
		disk:      k,
		cfg:       &Config{Log: Log{Level: LogInfo, Format: LogAuto}},
		boots:     make(map[string]*bootFamily),
		locals:    make(map[string]*local),
		scopes:    make(map[string]*scope),
		vetted:    make(map[vetted]bool),
		alike:     make(map[alike]int),
		told:      make(map[told]bool),
		constants: make(map[hclsyntax.Expression]string),
		asks:      make(map[string]bool),
		tokens:    make(map[hcl.Range]bool),
		first:     make(map[[2]string]use),
		inventory: make(map[string]*booters.Entry),
		labelled:  make(map[string]map[string]string),
		assetsBy:  make(map[string]*asset),
		usedFiles: make(map[*hclsyntax.Block]bool),
		unsure:    make(map[string]bool),
	}
}

func (d *decoder) errorf(at hcl.Range, s summary, format string, args ...any) *Problem {
	return d.add(SeverityError, at, s, fmt.Sprintf(format, args...))
}

// pos is how people are told of a place outside of this package.
func pos(at hcl.Range) string {
	return fmt.Sprintf("%s:%d", filepath.Base(at.Filename), at.Start.Line)
}

func (d *decoder) decode(names []string) {
	d.readLock()
	of := make(map[string][]*hclsyntax.Block)
	for _, name := range names {
		blocks, ok := d.blocks(name)
		if !ok {
			return
		}
		for _, b := range blocks {
			of[b.Type] = append(of[b.Type], b)
		}
	}
	if d.Err() != nil && len(names) == 0 {
		return // a directory that has no files
	}
	each := func(typ string, decode func(*hclsyntax.Block)) {
		for _, b := range of[typ] {
			decode(b)
		}
	}
	// A block may refer to one behind it, so this is the order of what they need.
	each("locals", d.declareLocals)
	d.evaluateLocals()
	each("listener", d.listener)
	each("cache", d.cache)
	each("fetch", d.fetch)
	each("uploads", d.uploads)
	each("ipxe", d.ipxe)
	each("log", d.log)
	each("reload", d.reload)
	each("state", d.state)
	each("url_key", d.urlKey)
	d.entries = make([]booters.Entry, 0, len(of["machine"])) // they stay: without the room that growing leaves
	each("machine", d.machine)
	d.buildInventory()
	each("assets", d.assets)
	d.assetsVar = d.assetsValue()
	each("secure_boot", d.secureBoot)
	each("boot", d.declareBoots)
	d.decodeBoots()
	d.cfg.Rules = make([]booters.Rule, 0, len(of["rule"])) // likewise
	each("rule", d.rule)
	each("test", d.test)
	d.collectAsks()
	d.checkBoots()
	d.checkUploads()
	d.checkListeners()
	d.checkReservations()
}

// maxTokens bounds what hcl's lexer makes of a file, of which each takes a
// hundred bytes of memory: sixteen million brackets would take gigabytes.
// Worst of all, the file costs 850 MiB for as long as it is parsed. Thirty-five
// thousand rules written out come near to it; more belong into a table.
const maxTokens = 2 << 20

// dense reports whether there may be more than maxTokens in src, without making
// them.
func dense(src []byte) bool { return tokensAtMost(src) > maxTokens }

// tokensAtMost bounds the tokens in src: one for each character of punctuation
// and for a name, two for what begins with a digit and may be a number and a name, and
// one for a blank behind a quotation mark, which may be all of a text. Comments and other
// texts have fewer.
func tokensAtMost(src []byte) int {
	n, run := 1, false // the end of the file is one
	for i, c := range src {
		switch {
		case c >= '0' && c <= '9':
			if !run {
				n += 2
			}
			run = true
		case c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z':
			if !run {
				n++
			}
			run = true
		case c == ' ' || c == '\t':
			if i > 0 && src[i-1] == '"' {
				n++
			}
			run = false
		default:
			n++
			run = false
		}
	}
	return n
}

// syntaxOf is what stands in a file, but for the top-level blocks and settings
// that contain a syntax error.
func (d *decoder) syntaxOf(name string) (*hclsyntax.Body, bool) {
	src := d.sources[name]
	if dense(src) {
		d.Report.file(name, sumTooLarge, fmt.Sprintf("A file can have %d words and signs. Put what repeats itself into a table, and write for_each = csvdecode(file(\"…\")).", maxTokens))
		return nil, false
	}
	if detail := noText(src); detail != "" {
		d.Report.file(name, sumNoText, detail)
		return nil, false
	}
	if d.isJSON(name) {
		return d.jsonSyntaxOf(name)
	}
	if body, ok := inPieces(src, name); ok {
		return body, true
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos) // what is wrong with them, the parser says again
	items, deep := split(tokens, name)
	if deep != nil {
		d.errorf(*deep, sumTooDeep, "Brackets, templates, signs and conditions may stand in each other %d deep. Is a closing bracket missing?", maxNesting)
		return nil, false
	}
	if f, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos); len(diags) == 0 {
		return f.Body.(*hclsyntax.Body), true // documented by ParseConfig
	}
	// hcl's parser no longer reports all that it finds once it had to recover
	// from an error, so each item is parsed by itself.
	body := &hclsyntax.Body{Attributes: make(hclsyntax.Attributes)}
	for _, at := range items {
		f, diags := hclsyntax.ParseConfig(at.SliceBytes(src), name, at.Start)
		if len(diags) > 0 {
			d.syntax(diags)
			d.unsureOfAll()
			continue
		}
		part := f.Body.(*hclsyntax.Body)
		maps.Copy(body.Attributes, part.Attributes)
		body.Blocks = append(body.Blocks, part.Blocks...)
	}
	return body, true
}

// noText says why a file is no text, where hcl would find fault with each line.
func noText(src []byte) string {
	switch {
	case bytes.HasPrefix(src, []byte{0xff, 0xfe}), bytes.HasPrefix(src, []byte{0xfe, 0xff}):
		return "It is in UTF-16. Save it in UTF-8, or convert it: iconv -f UTF-16 -t UTF-8."
	case bytes.IndexByte(src, 0) >= 0:
		return "It has bytes of zero, as a file has after a crash or on a full disk, or one that is no text. Restore it from a backup."
	}
	return ""
}

// pieceSize is about how many bytes of a file are parsed at a time. The tokens of a file of
// ten thousand rules have 50 MB, and as much again for each time that their list grew.
const pieceSize = 64 << 10

// inPieces parses a file without errors, a piece at a time. A piece ends behind a line
// that has nothing but a closing brace, which is where a block ends as people and
// programs write it. It need not be: where one does not stand by itself, as in a text of
// several lines, it has an error, and ok is false.
func inPieces(src []byte, name string) (body *hclsyntax.Body, ok bool) {
	body = &hclsyntax.Body{Attributes: make(hclsyntax.Attributes)}
	for at := hcl.InitialPos; at.Byte < len(src); {
		piece := src[at.Byte:]
		if len(piece) > pieceSize {
			const end = "\n}\n"
			if i := bytes.Index(piece[pieceSize:], []byte(end)); i >= 0 {
				piece = piece[:pieceSize+i+len(end)]
			}
		}
		tokens, _ := hclsyntax.LexConfig(piece, name, at)
		if _, deep := split(tokens, name); deep != nil {
			return nil, false
		}
		f, diags := hclsyntax.ParseConfig(piece, name, at)
		if len(diags) > 0 {
			return nil, false
		}
		part := f.Body.(*hclsyntax.Body) // documented by ParseConfig
		for name, a := range part.Attributes {
			if body.Attributes[name] != nil {
				return nil, false
			}
			body.Attributes[name] = a
		}
		body.Blocks = append(body.Blocks, part.Blocks...)
		at.Byte += len(piece)
		at.Line += bytes.Count(piece, []byte("\n"))
	}
	return body, true
}

// split finds the top-level blocks and settings of a file.
//
// It counts on the tokens how deep things stand in each other, because the
// parser recurses: an opening bracket is one level, and so is a sign or "?" that
// is not separated from the one before it by a comma or the end of a line. deep
// is where that is too much.
func split(tokens hclsyntax.Tokens, name string) (items []hcl.Range, deep *hcl.Range) {
	type level struct {
		n     int  // signs and conditions so far
		lines bool // whether the end of a line separates
	}
	stack := []level{{lines: true}}
	depth := 0
	item := hcl.Range{Filename: name, Start: hcl.InitialPos}
	empty := true // nothing but comments so far
	for _, t := range tokens {
		if empty && t.Type == hclsyntax.TokenOBrace && len(items) > 0 {
			// What a block's brace on a line of its own is meant to belong to.
			item.Start = items[len(items)-1].Start
			items = items[:len(items)-1]
		}
		top := &stack[len(stack)-1]
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			if t.Type == hclsyntax.TokenTemplateControl {
				top.n++ // %{ if } nests what follows its closing bracket
				depth++
			}
			stack = append(stack, level{lines: t.Type == hclsyntax.TokenOBrace})
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			if len(stack) > 1 {
				depth -= 1 + top.n
				stack = stack[:len(stack)-1]
			}
		case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion:
			top.n++
			depth++
		case hclsyntax.TokenComma:
			depth -= top.n
			top.n = 0
		case hclsyntax.TokenNewline, hclsyntax.TokenComment: // a comment to the end of the line includes it
			if top.lines && bytes.HasSuffix(t.Bytes, []byte("\n")) {
				depth -= top.n
				top.n = 0
			}
			if len(stack) == 1 {
				item.End = t.Range.End
				if !empty {
					items = append(items, item)
				}
				item.Start, empty = item.End, true
				continue
			}
		}
		if depth > maxNesting {
			return nil, &t.Range
		}
		item.End, empty = t.Range.End, empty && t.Type == hclsyntax.TokenEOF
	}
	if !empty {
		items = append(items, item)
	}
	return items, nil
}

// syntax reports what hcl's parser found, but for what follows from it.
func (d *decoder) syntax(diags hcl.Diagnostics) {
	starts := make(map[int]bool)
	lastLine := make(map[string]int) // summary → line where it last ended
	strange := make(map[int]bool)    // lines with a character that has no meaning, upon which others follow
	for _, diag := range diags {
		if diag.Subject != nil && diag.Summary == "Invalid character" {
			strange[diag.Subject.Start.Line] = true
		}
	}
	for _, diag := range diags {
		if diag.Subject == nil {
			continue
		}
		at, text := *diag.Subject, diag.Summary
		again := starts[at.Start.Byte] || lastLine[text] == at.Start.Line || strange[at.Start.Line] && text != "Invalid character"
		starts[at.Start.Byte] = true
		lastLine[text] = at.End.Line
		if again {
			continue
		}
		if in, ok := d.interpolation(at); ok {
			d.ipxeVariable(in)
			continue
		}
		d.add(SeverityError, at, hclSummary(diag), d.wayOut(diag))
	}
}

// wayOut is what hcl's parser says of an error, or more where it says what it expected
// and not what to do.
func (d *decoder) wayOut(diag *hcl.Diagnostic) string {
	at, src := *diag.Subject, d.sources[diag.Subject.Filename]
	rest := src[min(at.Start.Byte, len(src)):]
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	next, _ := utf8.DecodeRune(line)
	switch diag.Summary {
	case "Invalid character":
		if diag.Detail == "This character is not used within the language." && next > unicode.MaxASCII {
			return fmt.Sprintf("The character %U has no meaning here. It looks like another, or like none, and mostly comes with text that was copied out of a document or a web page. Write the line anew.", next)
		}
	case "Missing newline after block definition", "Missing newline after argument":
		if next == '}' {
			return "Here a closing brace ends nothing: there is one too many, or a block with several settings stands on one line. A block ends on its own line, or on that of its only setting."
		}
	case "Argument or block definition required":
		if next == '}' {
			return "This closing brace ends nothing. Take it away, or write the opening brace that it belongs to."
		}
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && hclsyntax.ValidIdentifier(string(name)) {
			return fmt.Sprintf("A setting has an equals sign: write %s = …, and its text in quotes.", name)
		}
	case "Invalid single-argument block definition":
		if next == ':' {
			return "Here the value ends that was begun. A text stands in quotes: mac = \"52:54:00:aa:00:01\"."
		}
	case "Unterminated template string":
		if all := heredoc.FindAllSubmatchIndex(src[:min(at.Start.Byte, len(src))], -1); all != nil && next == utf8.RuneError {
			last := all[len(all)-1]
			return fmt.Sprintf("The text that begins in line %d has no end: %s must stand alone on a line.", 1+bytes.Count(src[:last[0]], []byte("\n")), src[last[2]:last[3]])
		}
	case "Unclosed configuration block":
		return "This block has no closing brace before the end of the file, or an earlier one took it: look for one that is missing in the block. Each { has its }."
	}
	return diag.Detail
}

// heredoc is the beginning of a text of several lines.
var heredoc = regexp.MustCompile(`<<-?(\pL[\pL\pN_-]*)\r?\n`)

// interpolation is the ${…} on one line around the start of at, without its
// brackets.
func (d *decoder) interpolation(at hcl.Range) (hcl.Range, bool) {
	p, src := at.Start, d.sources[at.Filename]
	if p.Byte > len(src) {
		return hcl.Range{}, false
	}
	line := src[bytes.LastIndexByte(src[:p.Byte], '\n')+1 : p.Byte]
	open := bytes.LastIndex(line, []byte("${"))
	if open < 0 || bytes.ContainsAny(line[open:], `}"`) {
		return hcl.Range{}, false
	}
	inner := line[open+2:]
	start := hcl.Pos{Line: p.Line, Column: max(p.Column-columns([]rune(string(inner))), 1), Byte: p.Byte - len(inner)}
	rest := src[start.Byte:]
	n := bytes.IndexAny(rest, "}\"\n")
	if n < 0 {
		n = len(rest)
	}
	return hcl.Range{Filename: at.Filename, Start: start, End: after(start, rest[:n])}, true
}

// after is the place behind text that begins at p.
func after(p hcl.Pos, text []byte) hcl.Pos {
	p.Byte += len(text)
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		p.Line += bytes.Count(text, []byte("\n"))
		p.Column = 1
		text = text[i+1:]
	}
	p.Column += columns([]rune(string(text)))
	return p
}

// names refuses the names in a body that s does not have. It returns the body
// without them.
func (d *decoder) names(s *Block, body *hclsyntax.Body) *hclsyntax.Body {
	known := &hclsyntax.Body{Attributes: make(hclsyntax.Attributes, len(body.Attributes))}
	for name, a := range body.Attributes {
		switch {
		case s.attribute(name) != nil:
			known.Attributes[name] = a
		case slices.Contains(s.Blocks, name):
			d.unsure[name] = true
			d.errorf(a.NameRange, sumNotSetting, "%q %s is a block: write %s { … } without the equals sign.", name, s.inside(), name)
		case slices.Contains(s.Later, name):
			d.errorf(a.NameRange, sumLater, "%s", laterSentence(fmt.Sprintf("%q %s", name, s.inside())))
		default:
			d.unknown(s, sumUnknownSetting, "setting", name, a.NameRange)
		}
	}
	for _, b := range body.Blocks {
		switch {
		case slices.Contains(s.Blocks, b.Type):
			known.Blocks = append(known.Blocks, b)
		case s.attribute(b.Type) != nil:
			d.errorf(b.TypeRange, sumNotBlock, "%q %s takes a value: write %s = … with an equals sign.", b.Type, s.inside(), b.Type)
		case slices.Contains(s.Later, b.Type):
			d.errorf(b.TypeRange, sumLater, "%s", laterSentence(fmt.Sprintf("%q %s", b.Type, s.inside())))
		default:
			d.unknown(s, sumUnknownBlock, "block", b.Type, b.TypeRange)
		}
	}
	return known
}

func (d *decoder) unknown(s *Block, sum summary, what, name string, at hcl.Range) {
	have := slices.Concat(s.names(), s.Blocks)
	near := suggest(name, have)
	if s == &fileSchema {
		d.unsure[near] = true
	}
	if near == "" { // one of another version may be meant
		near = suggest(name, s.Later)
	}
	if near != "" {
		have = []string{near}
	}
	d.errorf(at, sum, "There is no %s %q %s.%s", what, name, s.inside(), didYouMean(name, have))
}

// label is the one label of a block. want says what it is for.
func (d *decoder) label(b *hclsyntax.Block, want string) (string, hcl.Range, bool) {
	if len(b.Labels) != 1 {
		d.unsure[b.Type] = true
		d.errorf(b.DefRange(), sumLabel, "A %s block has one label, %s: write %s \"NAME\" { … }.", b.Type, want, b.Type)
		return "", hcl.Range{}, false
	}
	return b.Labels[0], b.LabelRanges[0], true
}

// single refuses a block that may stand in its surroundings only once, or has a
// label. in names the surroundings.
func (d *decoder) single(b *hclsyntax.Block, in string) bool {
	if len(b.Labels) > 0 {
		d.errorf(b.LabelRanges[0], sumLabel, "A %s block has no label: write %s { … }.", b.Type, b.Type)
	}
	return d.unique(in+" "+b.Type, "", b.TypeRange, sumSecondBlock, fmt.Sprintf("There can be one %s block %s; put the settings of both into one.", b.Type, in))
}

// unique reports the second use of a name among those of one kind, and shows
// both places.
func (d *decoder) unique(kind, name string, at hcl.Range, s summary, detail string) bool {
	before, used := d.first[[2]string{kind, name}]
	if !used {
		d.first[[2]string{kind, name}] = use{at: at}
		return true
	}
	d.errorf(at, s, "%s The first one stands at %s.", detail, pos(before.at)).other = before.at
	return false
}

// A use is that of a name.
type use struct {
	at hcl.Range
	by string // the machine whose it is, where there are many at one place
}

func (d *decoder) log(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	body, s := d.names(&logSchema, b.Body), d.in(b.TypeRange)
	if w, ok := s.word(body.Attributes["level"], logSchema.attribute("level").Words); ok {
		d.cfg.Log.Level = LogLevel(w)
	}
	if w, ok := s.word(body.Attributes["format"], logSchema.attribute("format").Words); ok {
		d.cfg.Log.Format = LogFormat(w)
	}
}

// reload is about edits of the file while it is watched. The limits are those of
// such an edit, so they would be inert beside mode = "manual", which serves none.
func (d *decoder) reload(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	body, s := d.names(&reloadSchema, b.Body), d.in(b.TypeRange)
	if w, ok := s.word(body.Attributes["mode"], reloadSchema.attribute("mode").Words); ok {
		d.cfg.Reload.Manual = w == reloadManual
	}
	for name, to := range map[string]*Limit{"max_changed": &d.cfg.Reload.MaxChanged, "max_removed": &d.cfg.Reload.MaxRemoved} {
		a := body.Attributes[name]
		if a == nil {
			continue
		}
		if d.cfg.Reload.Manual {
			d.errorf(a.NameRange, sumNotHere, "%s has no effect beside mode = %q, by which no edit is served until it is asked for. Leave one of the two out.", name, reloadManual)
			continue
		}
		if n, ok := s.count(a, "a number of machines"); ok {
			*to = Limit{Set: true, Most: n}
		}
	}
}

func (d *decoder) state(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	body, s := d.names(&stateSchema, b.Body), d.in(b.TypeRange)
	a := body.Attributes["dir"]
	if a == nil {
		d.errorf(b.DefRange(), sumMissing, "A state block names a directory: write dir = \"/var/lib/pixiecore\", or leave the block out for that one.")
		return
	}
	d.cfg.StateDir, _, _ = s.localPath(a, `the path of a directory in quotes, like "/var/lib/pixiecore"`,
		"Write the path of a directory, or leave the block out for the usual one. To keep nothing, start pixiecore with --state-dir=''.",
		"What outlives the process is kept on this host. Write the path of a directory.")
}

// urlKey is the key that several servers share. It is read when the daemon
// starts, not here: whoever checks a file need not be able to read a secret.
func (d *decoder) urlKey(b *hclsyntax.Block) {
	if !d.single(b, "in a file") {
		return
	}
	body, s := d.names(&urlKeySchema, b.Body), d.in(b.TypeRange)
	a := body.Attributes["file"]
	if a == nil {
		d.errorf(b.DefRange(), sumMissing, "A url_key block names the file of the key: write file = \"/etc/pixiecore/url.key\". Without the block, the key is made in the state directory.")
		return
	}
	path, at, ok := s.localPath(a, `the path of a file in quotes, like "/etc/pixiecore/url.key"`,
		"Write the path of the key, or leave the block out for one of this host's own.",
		"A secret is not fetched from elsewhere. Copy the file to this host, and write its path.")
	if ok {
		d.cfg.URLKey = path
		d.named = append(d.named, namedFile{path: path, at: at, without: "pixiecore will not start until it is there, and says how one is made."})
	}
}

// warnings looks at the meaning of a file without errors.
func (d *decoder) warnings() {
	d.warnListeners()
	d.warnOnce()
	d.warnLoaders()
	rules := d.cfg.Rules
	if len(rules) == 0 {
		d.problems = append(d.problems, Problem{File: d.name, Severity: SeverityWarning, Summary: string(sumNoRules),
			Detail: `No machine will boot: one that no rule matches is ignored. Write a rule, for example rule "all" { local = true }.`})
	}
	for i, by := range booters.Hidden(rules) {
		at, other := d.ruleAt[i], d.ruleAt[by]
		d.warn(at, sumHidden, fmt.Sprintf("Every machine that rule %q is for already matches rule %q at %s, and the first rule that matches decides. Move %q before it, or leave it out.",
			rules[i].Name, rules[by].Name, pos(other), rules[i].Name)).other = other
	}
	for name, family := range d.boots {
		if !family.used && !family.leaned {
			d.warn(family.at, sumUnusedBoot, fmt.Sprintf("No rule boots %q, only `pixiecore next` could. Write boot = boot.%s into a rule, or leave the block out.", name, name))
		}
		d.warnFiles(family)
	}
	if d.cfg.Uploads != nil && len(d.sends) == 0 {
		d.warn(d.uploadsAt, sumUnusedFile, "No upload() gives a machine an address to send something to. Write upload(\"install.log\") into a boot, or leave the block out.")
	}
	for name, one := range d.assetsBy {
		if !one.used {
			d.warn(one.at, sumUnusedFile, fmt.Sprintf("No url(assets.%s) leads a machine to it, so nothing of the directory is served. Write one into a boot, or leave the block out.", name))
		}
	}
}
