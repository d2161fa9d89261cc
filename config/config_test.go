package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

var update = flag.Bool("update", false, "write the golden files anew")

// glob returns the files of a folder below testdata, of which there must be some.
func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata/%s: %v", pattern, err)
	}
	return files
}

// A want is one line
//
//	# want: LINE:COLUMN SEVERITY: SUMMARY | PART OF THE DETAIL
//
// of a file in testdata. LINE:COLUMN is "-" for the file as a whole; before it
// stands the NAME: of an included file.
var want = regexp.MustCompile(`(?m)^# want: (\S+) (error|warning): (.+?) \| (.+)$`)

// fixtures are the files of which something is wrong.
func fixtures(t testing.TB) []string {
	return slices.Concat(glob(t, "bad/*.hcl"), glob(t, "warn/*.hcl"), glob(t, "bad/*.json"), glob(t, "warn/*.json"))
}

// wanted is the text with the wants of a fixture. JSON has no comments, so those
// of NAME.json stand in NAME.json.want.
func wanted(t testing.TB, file string) string {
	if strings.HasSuffix(file, ".json") {
		file += ".want"
	}
	return read(t, file)
}

// TestDiagnostics holds that each file in testdata/bad and testdata/warn gives
// exactly the problems that it says.
func TestDiagnostics(t *testing.T) {
	for _, file := range fixtures(t) {
		t.Run(file, func(t *testing.T) {
			src := wanted(t, file)
			wants := want.FindAllStringSubmatch(src, -1)
			if len(wants) == 0 || len(wants) != strings.Count(src, "# want") {
				t.Fatalf("%d of %d want comments have the form that is asked for", len(wants), strings.Count(src, "# want"))
			}
			cfg, report := Load(file)
			if bad := strings.Contains(file, "bad"); bad != (report.Err() != nil) || bad != (cfg == nil) {
				t.Errorf("Config is nil: %v; Err: %v", cfg == nil, report.Err())
			}
			report.CheckDigests(t.Context(), booters.NewSources())
			problems := report.Problems()
			for _, w := range wants {
				i := slices.IndexFunc(problems, func(p Problem) bool {
					at := "-"
					if p.Line > 0 {
						at = fmt.Sprintf("%d:%d", p.Line, p.Column)
					}
					if p.File != file { // an included one
						at = filepath.Base(p.File) + ":" + at
					}
					return at == w[1] && string(p.Severity) == w[2] && p.Summary == w[3] && strings.Contains(p.Detail, w[4])
				})
				if i < 0 {
					t.Errorf("not reported: %s", w[0])
					continue
				}
				problems = slices.Delete(problems, i, i+1)
			}
			for _, p := range problems {
				t.Errorf("reported beside: %v\n\t%s", p, p.Detail)
			}
		})
	}
}

// TestGood holds that each file in testdata/good loads without a warning, that
// the rest of the house accepts it, and what it means.
func TestGood(t *testing.T) {
	for _, file := range append(glob(t, "good/*.hcl"), glob(t, "good/*.json")...) {
		t.Run(file, func(t *testing.T) {
			cfg, report := Load(file)
			if p := report.Problems(); len(p) > 0 {
				t.Fatalf("problems: %v %s", p, p[0].Detail)
			}
			usable(t, cfg)
			golden(t, strings.TrimSuffix(strings.TrimSuffix(file, ".hcl"), ".json")+".golden", dump(t, cfg))
		})
	}
}

// usable holds that booters takes the rules.
func usable(t testing.TB, cfg *Config) {
	t.Helper()
	seal, err := booters.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := booters.NewTable(seal, booters.NewSources(), cfg.Inventory, cfg.Rules); err != nil {
		t.Errorf("booters refuses what config accepts: %v", err)
	}
}

func read(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, file), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// dump writes what a configuration means, one thing a line.
func dump(t *testing.T, cfg *Config) string {
	t.Helper()
	var b strings.Builder
	for _, l := range cfg.Listeners {
		fmt.Fprintf(&b, "%s: %s on %s", l.Pos, l.Kind, l.Address)
		if l.Interfaces != nil {
			fmt.Fprintf(&b, " of %v", l.Interfaces)
		}
		if l.Advertise.IsValid() {
			fmt.Fprintf(&b, " as %s", l.Advertise)
		}
		if l.Share {
			b.WriteString(" shared")
		}
		if l.Relays != nil {
			fmt.Fprintf(&b, " relayed by %v", l.Relays)
		}
		if l.Relayed {
			b.WriteString(" only relayed")
		}
		if l.SinglePort {
			b.WriteString(" on one port")
		}
		if v := l.DHCP6; v.Preference != nil {
			fmt.Fprintf(&b, " preferred by %d", *v.Preference)
		}
		if v := l.DHCP6; v.DNS != nil {
			fmt.Fprintf(&b, " with name servers %v", v.DNS)
		}
		if p := l.DHCP6.Pool; p.Size > 0 {
			fmt.Fprintf(&b, " with %d addresses from %s for %s", p.Size, p.Start, p.Lifetime)
		}
		if l.Cert != "" {
			fmt.Fprintf(&b, " with %s and %s", l.Cert, l.Key)
		}
		if l.Token != "" || l.ClientCA != "" {
			fmt.Fprintf(&b, " for readers with %q or of %q", l.Token, l.ClientCA)
		}
		b.WriteByte('\n')
	}
	for _, f := range slices.Sorted(maps.Keys(cfg.Loaders)) {
		fmt.Fprintf(&b, "loader for %s: %s\n", f, cfg.Loaders[f])
	}
	fmt.Fprintf(&b, "log: %s, %s\n", cfg.Log.Level, cfg.Log.Format)
	if u := cfg.Uploads; u != nil {
		fmt.Fprintf(&b, "uploads: %d bytes each, %d in all, in %q\n", u.MaxSize, u.MaxTotal, u.Dir)
	}
	if c := cfg.Cache; c != nil {
		fmt.Fprintf(&b, "cache: %d bytes in %q", c.MaxSize, c.Dir)
		if c.Prefetch {
			b.WriteString(", filled beforehand")
		}
		b.WriteString("\n")
	}
	if f := cfg.Fetch; f != (Fetch{}) {
		fmt.Fprintf(&b, "fetch: ca %s cert %s key %s\n", f.CA, f.Cert, f.Key)
	}
	if cfg.StateDir != "" {
		fmt.Fprintf(&b, "state: %s\n", cfg.StateDir)
	}
	if cfg.Reload != (Reload{}) {
		fmt.Fprintf(&b, "reload: %+v\n", cfg.Reload)
	}
	if cfg.URLKey != "" {
		fmt.Fprintf(&b, "URL key: %s\n", cfg.URLKey)
	}
	for _, e := range cfg.Inventory.Entries() {
		fmt.Fprintf(&b, "machine %s mac %v uuid %q labels %v\n", e.Name, e.MACs, e.UUID, e.Labels)
	}
	if len(cfg.Files) > 1 {
		fmt.Fprintf(&b, "files: %v\n", cfg.Files)
	}
	for _, r := range cfg.Rules {
		fmt.Fprintf(&b, "%s: rule %q", r.Pos, r.Name)
		if r.Probe {
			b.WriteString(" probing")
		}
		if r.Offer != boot.StyleAuto {
			fmt.Fprintf(&b, " offering %s", r.Offer)
		}
		b.WriteString(matchText(r.Match))
		fmt.Fprintf(&b, ": %s %s\n", r.Action.Do, r.Action.Boot)
		if r.Once != nil {
			fmt.Fprintf(&b, "\tonce %+v\n", *r.Once)
		}
		if r.Action.Loader != boot.LoaderAuto {
			fmt.Fprintf(&b, "\tloader %s\n", r.Action.Loader)
		}
		if r.Action.Image != boot.NoDiskImage {
			fmt.Fprintf(&b, "\tdisk image %d\n", r.Action.Image)
		}
		if r.Action.Programs != nil {
			m := boot.Machine{MAC: make([]byte, 6), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
			p, err := r.Action.Programs(booters.Preview(cfg.Inventory, m))
			fmt.Fprintf(&b, "\tshim %s\n\tgrub %s %v\n", p.Shim, p.GRUB, err)
		}
		if r.Action.Render != nil {
			b.WriteString("\tfor each machine:\n")
		}
		if a := r.Action.API; a != nil {
			fmt.Fprintf(&b, "\tapi %s wait %v stale %v\n", a.URL, a.Wait, a.Stale)
		}
		if s := r.Action.Spec; s != nil {
			fmt.Fprintf(&b, "\tkernel %s\n\tinitrd %v\n\tcmdline %q\n\tmessage %q\n\tscript %q\n", s.Kernel, s.Initrd, s.Cmdline, s.Message, s.IpxeScript)
			if s.RPi != "" {
				fmt.Fprintf(&b, "\trpi %s\n", s.RPi)
			}
		}
		for _, f := range r.Action.Files {
			fmt.Fprintf(&b, "\tfile %s: %s %q, secret %v%s\n", f.Name, f.Kind, f.Members, f.Secret, map[bool]string{true: " to any address"}[f.AnyAddress])
		}
	}
	root, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), root, "TESTDATA")
}

// matchText writes the fields of a match that are set, under their Go names.
func matchText(m booters.Match) string {
	return fieldsText(reflect.ValueOf(m))
}

func fieldsText(v reflect.Value) string {
	var b strings.Builder
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Name == "WhenText" { // a digest, which TestWhenText compares
			continue
		}
		switch value := v.Field(i).Interface().(type) {
		case func(boot.Machine, *booters.Entry) booters.Truth:
			if value != nil {
				b.WriteString(" When")
			}
		case *booters.Further:
			if value != nil {
				b.WriteString(fieldsText(reflect.ValueOf(*value)))
			}
		case []booters.Match:
			for _, nested := range value {
				fmt.Fprintf(&b, " %s{%s }", field.Name, matchText(nested))
			}
		case *bool:
			if value != nil {
				fmt.Fprintf(&b, " %s %v", field.Name, *value)
			}
		default:
			if !v.Field(i).IsZero() {
				fmt.Fprintf(&b, " %s %v", field.Name, value)
			}
		}
	}
	return b.String()
}

// TestFilesThatCannotBeRead holds what Load says without having seen HCL.
func TestFilesThatCannotBeRead(t *testing.T) {
	for _, tt := range unreadable(t) {
		t.Run(tt.name, func(t *testing.T) {
			cfg, report := Load(tt.path)
			p := report.Problems()
			if cfg != nil || len(p) != 1 {
				t.Fatalf("Config %v, problems %v; want no Config and one problem", cfg, p)
			}
			if p[0].File != tt.path || p[0].Line != 0 || p[0].Summary != string(tt.summary) || !strings.Contains(p[0].Detail, tt.detail) {
				t.Errorf("problem %v, %q; want %q of the file with %q", p[0], p[0].Detail, tt.summary, tt.detail)
			}
			if got, want := fmt.Sprint(report.Err()), tt.path+": "+string(tt.summary); got != want {
				t.Errorf("Err %q, want %q", got, want)
			}
		})
	}
}

type unreadableCase struct {
	name, path string
	summary    summary
	detail     string
}

func unreadable(t *testing.T) []unreadableCase {
	t.Helper()
	dir := t.TempDir()
	large := filepath.Join(t.TempDir(), "large.hcl")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	write(t, file, "")
	return []unreadableCase{
		{"missing", filepath.Join(dir, "none.hcl"), sumUnreadable, "There is no such file"},
		{"below a file", filepath.Join(file, "x.hcl"), sumUnreadable, "must be able to read it"},
		{"a directory without files", t.TempDir(), sumUnreadable, "whose name ends in .hcl or .json"},
		{"too large", large, sumTooLarge, "16 MiB"},
	}
}

// TestLimits holds the bounds that no file in testdata should be as large as.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		summary   summary
	}{
		{"file", strings.Repeat("#", maxFile+1), sumTooLarge},
		{"brackets", strings.Repeat("[", maxTokens+1), sumTooLarge},
		{"signs", strings.Repeat("-", maxTokens+1), sumTooLarge},
		{"bytes", strings.Repeat("\xff", maxTokens+1), sumTooLarge},
		{"UTF-16", "\xff\xfe#\x00\n\x00", sumNoText},
		{"path", fmt.Sprintf("boot \"a\" { kernel = %q }\n", strings.Repeat("a", maxSource+1)), sumTooLarge},
		{"cmdline", fmt.Sprintf("boot \"a\" {\nkernel = \"a\"\ncmdline = %q\n}\n", strings.Repeat("a", maxCmdline+1)), sumTooLarge},
		{"script", fmt.Sprintf("boot \"a\" { script = %q }\n", "#!ipxe\n"+strings.Repeat("a", maxScript)), sumTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, report := Parse("pixiecore.hcl", []byte(tt.src))
			if !slices.ContainsFunc(report.Problems(), func(p Problem) bool { return p.Summary == string(tt.summary) }) {
				t.Errorf("problems %v, want %q", report.Problems(), tt.summary)
			}
		})
	}
}

// TestNesting holds that no nesting reaches hcl's parser which could exhaust
// the stack: that would end the process, not the test.
func TestNesting(t *testing.T) {
	for _, opening := range []string{"[", "(", "{a=", "a[", "f(", `"${`, `"%{if `, "!", "-", "1?", "1?1:", "[\n", "(1,[", "b {\n", "[for a in "} {
		for _, n := range []int{maxNesting + 1, 20_000} {
			_, report := Parse("pixiecore.hcl", []byte("a = "+strings.Repeat(opening, n)))
			p := report.Problems()
			if len(p) != 1 || p[0].Summary != string(sumTooDeep) {
				t.Errorf("%d × %q: %.1v, want one problem %q", n, opening, p, sumTooDeep)
			}
		}
	}
	// Neither length is depth, nor a condition in each element.
	long := "a = [" + strings.Repeat("1,\n", 10_000) + strings.Repeat("[-1, true ? 1 : 2],\n", 1000) + "]\n" + strings.Repeat("b {\n a = -1\n}\n", 1000)
	_, report := Parse("pixiecore.hcl", []byte(long))
	for _, p := range report.Problems() {
		if p.Summary == string(sumTooDeep) {
			t.Errorf("%v in a file that is only long", p)
		}
	}
}

// TestEverySummary holds that all that the language can complain about is seen
// in a test, and that summaries are short.
func TestEverySummary(t *testing.T) {
	seen := make(map[string]bool)
	for _, file := range fixtures(t) {
		for _, w := range want.FindAllStringSubmatch(wanted(t, file), -1) {
			seen[w[3]] = true
			if n := len(strings.Fields(w[3])); n > 6 {
				t.Errorf("%s: %q has %d words", file, w[3], n)
			}
		}
	}
	// What no fixture can show, and the test that does.
	for s, test := range map[summary]string{
		sumTooLarge:   "TestLimits: a fixture should not be as large",
		sumJSONLayout: "TestFormat: it is not said of a configuration that is loaded",
		sumUnlocked:   "TestWhatIsNotInTheLockFileIsRefused: a lock file is of a directory",
		sumLock:       "TestALockFileThatCannotBeUsed: likewise",
	} {
		if seen[string(s)] {
			t.Errorf("a fixture shows %q, so that it need not be excused by %s", s, test)
		}
		seen[string(s)] = true
	}
	f, err := parser.ParseFile(token.NewFileSet(), "summaries.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(f, func(node ast.Node) bool {
		if lit, ok := node.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if n++; !seen[s] {
				t.Errorf("no test has seen %q", s)
			}
			if len(strings.Fields(s)) > 6 {
				t.Errorf("%q has more than six words", s)
			}
		}
		return true
	})
	if n < 40 {
		t.Errorf("found only %d summaries in summaries.go", n)
	}
}

// TestWarningsAreOfWholeFiles: see the package's decisions.
func TestWarningsAreOfWholeFiles(t *testing.T) {
	_, report := Parse("pixiecore.hcl", []byte("listener \"dhcp\" {}\nlistener \"http\" { adress = 1 }\n"))
	for _, p := range report.Problems() {
		if p.Severity != SeverityError {
			t.Errorf("%v, of a file with an error", p)
		}
	}
}

// TestSuggestionsEnd holds that a large file in which every name is wrong costs
// no more than one in which a few are.
func TestSuggestionsEnd(t *testing.T) {
	var src strings.Builder
	src.WriteString("listener \"http\" {}\nboot \"debian\" { kernel = \"/srv/linux\" }\n")
	for i := range maxNear + 1 {
		fmt.Fprintf(&src, "rule \"r%d\" { boot = boot.debain }\n", i)
	}
	_, report := Parse("pixiecore.hcl", []byte(src.String()))
	near := 0
	for _, p := range report.Problems() {
		if strings.Contains(p.Detail, "Did you mean") {
			near++
		}
	}
	if n := len(report.Problems()); n != maxNear+1 || near != maxNear {
		t.Errorf("%d problems with %d suggestions, want %d with %d", n, near, maxNear+1, maxNear)
	}
}

func TestDidYouMean(t *testing.T) {
	for _, tt := range []struct {
		given string
		names []string
		want  string
	}{
		{"adress", listenerSchema.names(), "address"},
		{"lisener", fileSchema.Blocks, "listener"},
		{"htpp", kinds, "http"},
		{"HTTP", kinds, "http"},
		{"amd64", boot.ArchitectureNames(), "x64"},
		{"aarch64", boot.ArchitectureNames(), "arm64"},
		{"legacy", boot.FirmwareWords(), "bios"},
		{"pex", kinds, "pxe"},
		{"ftp", kinds, "tftp"},
		{"smtp", []string{"status"}, ""},
		{strings.Repeat("a", maxSuggest+1), []string{strings.Repeat("a", maxSuggest)}, ""},
		{"", kinds, ""},
	} {
		if got := suggest(tt.given, tt.names); got != tt.want {
			t.Errorf("suggest(%q) = %q, want %q", tt.given, got, tt.want)
		}
	}
}

func TestWriteText(t *testing.T) {
	src := read(t, "testdata/report/report.hcl")
	for _, tt := range []struct {
		golden string
		width  int
		color  bool
	}{
		{"wide", 0, false},
		{"narrow", 60, false},
		{"color", 100, true},
	} {
		_, report := Parse("pixiecore.hcl", []byte(src))
		var b bytes.Buffer
		if err := report.WriteText(&b, tt.width, tt.color); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/report/"+tt.golden+".golden", b.String())
		if tt.width > 0 && !tt.color {
			for line := range strings.Lines(b.String()) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > tt.width {
					t.Errorf("a line of %d columns: %q", n, line)
				}
			}
		}
	}
}

// TestWriteTextIsSafe holds that a file cannot send escape sequences to the
// terminal of whoever checks it.
func TestWriteTextIsSafe(t *testing.T) {
	_, report := Parse("a\x1b[2Jb.hcl", []byte("boot \"\x1b]0;x\x07\" {\n\"\x1b[2J\"\n}\n# \u009b2J\nx = \"\x1b\"\n"))
	var b bytes.Buffer
	if err := report.WriteText(&b, 80, false); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\u009b\x00") {
		t.Errorf("control characters in %q", b.String())
	}
}

func TestWriteJSON(t *testing.T) {
	_, report := Parse("pixiecore.hcl", []byte("listener \"http\" {\n\tadress = 1\n}\n"))
	var b bytes.Buffer
	if err := report.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{
		"file": "pixiecore.hcl", "line": 2.0, "column": 2.0, "severity": "error", "summary": "unknown setting",
		"detail": `There is no setting "adress" in a listener block. Did you mean "address"?`,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Reset()
	_, report = Parse("pixiecore.hcl", []byte("listener \"http\" {}\nrule \"a\" { local = true }\n"))
	if err := report.WriteJSON(&b); err != nil || b.String() != "[]\n" {
		t.Errorf("of no problem: %q, %v; want an empty list", b.String(), err)
	}
}

func TestErrCounts(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"listener \"http\" {}\n", "<nil>"}, // and a warning, for it has no rules
		{"listener \"htp\" {}\n", "/etc/pixiecore.hcl:1:10: unknown kind of listener"},
		{"listener \"htp\" {}\nx = 1\ny = 2\n", "/etc/pixiecore.hcl:1:10: unknown kind of listener (and 2 more)"},
	} {
		_, report := Parse("/etc/pixiecore.hcl", []byte(tt.src))
		if got := fmt.Sprint(report.Err()); got != tt.want {
			t.Errorf("Err of %q: %q, want %q", tt.src, got, tt.want)
		}
	}
}

// TestDirectory holds that the files of a directory are one configuration, and
// that it can be loaded from a copy, in which there is nothing but files.
func TestDirectory(t *testing.T) {
	copied := make(map[string][]byte)
	cfg, report := LoadFrom("testdata/dir", func(path string) ([]byte, error) {
		b, err := ReadFile(path)
		if err == nil {
			copied[path] = b
		}
		return b, err
	})
	if p := report.Problems(); len(p) > 0 {
		t.Fatalf("problems: %v %s", p, p[0].Detail)
	}
	usable(t, cfg)
	root, err := filepath.Abs("testdata/dir")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{root + "/*.hcl", root + "/*.json", root + "/10-boots.hcl", root + "/15-more.json", root + "/20-rules.hcl"}
	if diff := cmp.Diff(want, cfg.Files); diff != "" {
		t.Errorf("Files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(copied))); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	again, report := LoadFrom("testdata/dir", func(path string) ([]byte, error) {
		if b, ok := copied[path]; ok {
			return b, nil
		}
		return nil, fs.ErrNotExist
	})
	if again == nil {
		t.Fatal(report.Err())
	}
	if diff := cmp.Diff(dump(t, cfg), dump(t, again)); diff != "" {
		t.Errorf("(-files +copy):\n%s", diff)
	}
}

// TestNamesAreOfAllFiles holds that both files are shown.
func TestNamesAreOfAllFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.hcl"), "listener \"http\" {}\nrule \"r\" { local = true }\n")
	write(t, filepath.Join(dir, "b.hcl"), "\nrule \"r\" { ignore = true }\n")
	_, report := Load(dir)
	p := report.Problems()
	if len(p) != 1 || p[0].File != filepath.Join(dir, "b.hcl") || p[0].Line != 2 || !strings.Contains(p[0].Detail, "The first one stands at a.hcl:2.") {
		t.Errorf("%+v", p)
	}
}

func TestExampleLoads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pixiecore.hcl")
	if err := os.WriteFile(file, []byte(Example()), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, report := Load(file)
	if p := report.Problems(); len(p) > 0 {
		t.Fatalf("problems: %v %s", p, p[0].Detail)
	}
	usable(t, cfg)
	if diff := cmp.Diff([]string{file}, cfg.Files); diff != "" {
		t.Errorf("Files (-want +got):\n%s", diff)
	}
}

// TestExamples holds that the examples load without a warning, but for the images that
// an administrator has downloaded, are laid out, and show by their tests what they decide.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		cfg, report := Load(file)
		p := slices.DeleteFunc(report.Problems(), func(p Problem) bool {
			return p.Summary == string(sumNoFile) && strings.HasPrefix(p.Detail, `There is no file "/srv/iso/`)
		})
		if len(p) > 0 {
			t.Errorf("%v: %s", p, p[0].Detail)
			continue
		}
		usable(t, cfg)
		src := read(t, file)
		if !strings.Contains(src, "\ntest \"") {
			t.Errorf("%s has no test", file)
		}
		if laid, _ := Format(file, []byte(src)); string(laid) != src {
			t.Errorf("%s is not as pixiecore fmt lays it out", file)
		}
	}
}

var snippet = regexp.MustCompile("(?ms)^```hcl\n(.*?)^```$")

// TestDocumentation holds that each snippet of the documentation loads; what a
// snippet leaves out is added.
func TestDocumentation(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var snippets [][]string
	for _, file := range files {
		// These are in the language of recipes, made of this package, and about
		// files in /etc.
		if name := filepath.Base(file); name != "quick.md" && name != "language.md" && name != "status.md" {
			snippets = append(snippets, snippet.FindAllStringSubmatch(read(t, file), -1)...)
		}
	}
	if len(snippets) < 30 {
		t.Fatalf("only %d snippets", len(snippets))
	}
	for _, s := range snippets {
		src := s[1]
		if !strings.Contains(src, `listener "http"`) {
			src += "listener \"http\" { address = \"[::1]:8888\" }\n"
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/docs")); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "pixiecore.hcl")
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, report := Load(file)
		if err := report.Err(); err != nil {
			t.Errorf("%v\n%s\n%s", err, report.Problems()[0].Detail, src)
			continue
		}
		usable(t, cfg)
	}
}

// FuzzParse holds that any input gives either an error or a configuration that
// the rest of the house takes, that the report can be written, and that the
// same input gives the same answer.
func FuzzParse(f *testing.F) {
	if err := filepath.WalkDir("testdata", func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".hcl") {
			f.Add([]byte(read(f, path)))
		}
		return err
	}); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(Example()))
	f.Add([]byte("machine\"A\"{\nmac=\" \"A")) // a text of one blank is a token
	f.Add([]byte("boot \"a\" {\n kernel = \"a\"\n cmdline = \"{{ ID \\\"x\\\" }} $${net0/mac} ${net0/mac:hexhyp}\"\n}\nrule \"r\" { boot = (boot[\"a${1}\"]) }\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos); len(tokens) > tokensAtMost(src) {
			t.Fatalf("%d tokens, and at most %d were expected", len(tokens), tokensAtMost(src))
		}
		parses(t, "/etc/pixiecore.hcl", src)
	})
}

// parses holds what FuzzParse does, of one input.
func parses(t *testing.T, name string, src []byte) {
	t.Helper()
	cfg, report := Parse(name, src)
	if (cfg == nil) != (report.Err() != nil) {
		t.Fatalf("Config is nil: %v; Err: %v", cfg == nil, report.Err())
	}
	if cfg != nil {
		usable(t, cfg)
		if len(cfg.Listeners) == 0 {
			t.Error("no listener")
		}
		for _, m := range []boot.Machine{
			{MAC: []byte{0x52, 0x54, 0, 0, 0, 1}},
			{MAC: []byte{0x52, 0x54, 0, 0, 0, 1}, Arch: boot.ArchX64, Probed: true, Facts: &boot.Facts{Known: ^boot.Fact(0), Serial: "{{"}},
		} {
			req := booters.Preview(cfg.Inventory, m)
			for _, r := range cfg.Rules {
				if x := r.Match.Further; x != nil && x.When != nil {
					x.When(m, req.Entry)
				}
				if r.Action.Render != nil {
					r.Action.Render(req)
				}
				for _, f := range r.Action.Files {
					for _, member := range append([]string{""}, f.Members...) {
						f.Render(req, member)
					}
				}
			}
		}
	}
	var first, again bytes.Buffer
	for _, width := range []int{0, 10, 80} {
		if err := report.WriteText(&first, width, true); err != nil {
			t.Fatal(err)
		}
	}
	_, second := Parse(name, src)
	for _, width := range []int{0, 10, 80} {
		if err := second.WriteText(&again, width, true); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != again.String() {
		t.Errorf("two reports of the same input:\n%s\n%s", &first, &again)
	}
}

func BenchmarkParse10kRules(b *testing.B) {
	var src strings.Builder
	src.WriteString("listener \"http\" {}\nboot \"a\" {\n  kernel = \"/srv/a\"\n}\n")
	for i := range 10_000 {
		fmt.Fprintf(&src, "rule \"machine-%d\" {\n  match {\n    mac  = [\"52:54:00:00:%02x:%02x\"]\n    arch = [\"x64\", \"arm64\"]\n  }\n  boot = boot.a\n}\n", i, i>>8, i&0xff)
	}
	b.SetBytes(int64(src.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if cfg, report := Parse("/etc/pixiecore.hcl", []byte(src.String())); cfg == nil {
			b.Fatal(report.Err())
		}
	}
}

// table writes a configuration with a machine for each of so many rows of a
// table, and returns its path.
func table(t testing.TB, rows int) string {
	t.Helper()
	dir := t.TempDir()
	var table strings.Builder
	table.WriteString("name,mac,role\n")
	for i := range rows {
		fmt.Fprintf(&table, "n%d,52:54:00:%02x:%02x:%02x,db\n", i, i>>16, i>>8&0xff, i&0xff)
	}
	write(t, filepath.Join(dir, "hosts.csv"), table.String())
	file := filepath.Join(dir, "pixiecore.hcl")
	write(t, file, `listener "http" {}
locals {
  hosts = csvdecode(file("hosts.csv"))
  quiet = ["quiet"]
}
boot "a" {
  kernel  = "http://192.0.2.1/linux"
  cmdline = "host=${machine.name} ${join(" ", local.quiet)}"
}
machine "hosts" {
  for_each = { for m in local.hosts : m.name => m }
  mac      = each.value.mac
  labels   = { role = each.value.role }
}
rule "databases" {
  match { labels = { role = "db" } }
  boot = boot.a
}
`)
	return file
}

// heap is what is in use, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What was loaded takes no more memory than the same made by hand: neither the
// table nor the file is kept, but for what machines are given.
func TestALoadedConfigurationKeepsNothingElse(t *testing.T) {
	const rows = 20_000
	file := table(t, rows)
	before := heap()
	entries := make([]booters.Entry, rows)
	for i := range entries {
		entries[i] = booters.Entry{
			Name:   fmt.Sprintf("n%d", i),
			MACs:   []net.HardwareAddr{{0x52, 0x54, 0, byte(i >> 16), byte(i >> 8), byte(i)}},
			Labels: map[string]string{"role": strings.Clone("db")},
		}
	}
	inv, err := booters.NewInventory(entries)
	if err != nil {
		t.Fatal(err)
	}
	byHand := heap() - before
	runtime.KeepAlive(inv)
	inv, entries = nil, nil

	before = heap()
	cfg, report := Load(file)
	if cfg == nil {
		t.Fatal(report.Err())
	}
	report = nil
	loaded := heap() - before
	t.Logf("%d machines: %d KiB by hand, %d KiB loaded", rows, byHand>>10, loaded>>10)
	if loaded > byHand*5/4 {
		t.Errorf("%d KiB are in use after %d machines were loaded, and the same made by hand has %d KiB", loaded>>10, rows, byHand>>10)
	}
	// What machines are asked and given has stayed.
	spec, err := cfg.Rules[0].Action.Render(booters.Request{Machine: boot.Machine{MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 7}}, Entry: cfg.Inventory.Named("n7")})
	if err != nil || spec.Cmdline != "host=n7 quiet" {
		t.Errorf("got %+v, %v", spec, err)
	}
}

// BenchmarkLoad100kRows loads a machine for each row of a table.
func BenchmarkLoad100kRows(b *testing.B) {
	const rows = 100_000
	file := table(b, rows)
	b.ReportAllocs()
	before := heap()
	var cfg *Config
	for b.Loop() {
		var report *Report
		if cfg, report = Load(file); cfg == nil {
			b.Fatal(report.Err())
		}
		if n := len(cfg.Inventory.Entries()); n != rows {
			b.Fatalf("%d machines", n)
		}
	}
	b.ReportMetric(float64(heap()-before)/(1<<20), "MiB-kept")
	runtime.KeepAlive(cfg)
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
