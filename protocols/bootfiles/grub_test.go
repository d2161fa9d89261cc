package bootfiles

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
)

// grubLex reads one line of GRUB's script as its lexer does, as far as quoteGRUB
// writes it: words of single quotes, bare characters, and a backslash before one.
func grubLex(t testing.TB, line string) (words []string) {
	t.Helper()
	var word strings.Builder
	inWord := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			end := strings.IndexByte(line[i+1:], '\'')
			if end < 0 {
				t.Fatalf("a quote is open in %q", line)
			}
			word.WriteString(line[i+1 : i+1+end])
			i += 1 + end
			inWord = true
		case c == '\\':
			i++
			word.WriteByte(line[i])
			inWord = true
		case c == ' ':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		case strings.IndexByte("$\";|&<>{}\n#", c) >= 0:
			t.Fatalf("%q stands bare in %q", c, line)
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

// handOver is what GRUB makes of the words behind its command linux
// (grub-core/lib/cmdline.c).
func handOver(words []string) string {
	for i, w := range words {
		w = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`).Replace(w)
		if strings.Contains(w, " ") {
			w = `"` + w + `"`
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}

// parameters reads a command line as Linux does (next_arg of lib/cmdline.c): blanks
// separate, unless they stand in double quotes.
func parameters(line string) (all []string) {
	var one strings.Builder
	quoted := false
	flush := func() {
		if one.Len() > 0 {
			all = append(all, one.String())
		}
		one.Reset()
	}
	for _, c := range []byte(line) {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			flush()
		default:
			one.WriteByte(c)
		}
	}
	flush()
	return all
}

func FuzzGRUBHandsTheKernelItsCommandLine(f *testing.F) {
	for _, line := range []string{
		"", "quiet", "a  b", "ds=nocloud;s=http://192.0.2.1/x/", `dyndbg="file foo +p" quiet`, "$x ${net0/mac} {a,b} | && # >", "it's", `back\slash`, `"`, "é\u00a0日本", "\xc7",
		"url=http://192.0.2.1/_/f/abc-_/preseed",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\x00\n\r\t\v\f") || strings.Contains(line, "{{") {
			t.Skip("no command line")
		}
		text, err := GRUB(base, token, &boot.Spec{Kernel: "k", Cmdline: line}, "")
		if err != nil {
			if !strings.ContainsAny(line, `'\"`) {
				t.Errorf("%q is refused: %v", line, err)
			}
			return
		}
		first, _, _ := strings.Cut(text, "; then\n")
		words := grubLex(t, strings.TrimPrefix(first, "if "))
		if words[0] != "linux" || words[1] != "/"+token+"/kernel" {
			t.Fatalf("got %q", first)
		}
		got := handOver(words[2:])
		if diff := cmp.Diff(parameters(strings.TrimSpace(line)), parameters(got)); diff != "" {
			t.Errorf("%q -want +got\n%s", line, diff)
		}
		if !strings.Contains(line, `"`) && got != strings.TrimSpace(line) {
			t.Errorf("the kernel gets %q, want %q to the byte", got, line)
		}
	})
}

// checkGRUB has the text read by GRUB's own parser.
func checkGRUB(t *testing.T, text string) {
	t.Helper()
	program, err := exec.LookPath("grub-script-check")
	if err != nil {
		if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs grub-script-check: e2e/setup installs grub-common")
	}
	cmd := exec.Command(program)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("grub-script-check: %v\n%s\n%s", err, out, text)
	}
}

func TestGRUBReadsWhatIsWrittenForIt(t *testing.T) {
	odd := "it's $odd ; \"quoted\" `x` \\ | && #\n-n\n\nüber\x1b[31m"
	texts := []string{grubFixed(), GRUBScreen(odd), grubLeave(odd)}
	for _, spec := range []*boot.Spec{
		{Kernel: "k"},
		{Kernel: "k", Initrd: []boot.ID{"1", "2"}, Cmdline: `ds=nocloud;s={{ URL "x" }} a  b "c d" $e ${f}`, Message: odd},
	} {
		text, err := GRUB(base, token, spec, odd)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	for _, text := range texts {
		if strings.Contains(text, "\x1b") {
			t.Errorf("a terminal's control character is left in %q", text)
		}
		checkGRUB(t, text)
	}
}

func TestGRUB(t *testing.T) {
	got, err := GRUB(base, token, &boot.Spec{Kernel: "k", Initrd: []boot.ID{"1", "2"}, Cmdline: `ds=nocloud;s={{ URL "x" }} quiet`, Message: "Hello\n-n it's"}, "the cache is full")
	if err != nil {
		t.Fatal(err)
	}
	want := `echo 'pixiecore: the cache is full'
echo 'Hello'
echo ' -n it'\''s'
if linux /abcdefghijklmnopqrstuvwxyz234567/kernel 'ds=nocloud;s=http://192.0.2.1:80/_/file?name=x' 'quiet'; then
if initrd /abcdefghijklmnopqrstuvwxyz234567/initrd0 /abcdefghijklmnopqrstuvwxyz234567/initrd1; then
if [ -e /abcdefghijklmnopqrstuvwxyz234567/booting ]; then true; fi
boot
fi
fi
echo 'pixiecore: GRUB could not load what this machine boots: its own message stands above'
echo 'pixiecore: starting this machine again in 60 seconds'
sleep 60
reboot
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, tc := range []struct {
		spec boot.Spec
		want string
	}{
		{boot.Spec{IpxeScript: "#!ipxe"}, "cannot run"},
		{boot.Spec{}, "no kernel"},
		{boot.Spec{Kernel: "k", Cmdline: `it's`}, "cannot hand to a kernel"},
		{boot.Spec{Kernel: "k", Cmdline: `a="b`}, "not closed"},
	} {
		if got, err := GRUB(base, token, &tc.spec, ""); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %q, %v; want %q", tc.spec, got, err, tc.want)
		}
	}
}

// files is a Booter that boots every machine by the verdict, and whose files hold
// their own names.
type files struct{ verdicts }

func (f files) Current() *boot.Snapshot {
	s := f.verdicts.Current()
	s.Booter = f
	return s
}

func (files) ReadBootFile(id boot.ID) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader(string(id))), int64(len(id)), nil
}

func TestTheDirectoryOfAMachineThatBootsByAnotherLoader(t *testing.T) {
	key, err := boot.NewTokenKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	spec := &boot.Spec{Kernel: "linux", Initrd: []boot.ID{"first", "second"}, Cmdline: "quiet"}
	programs := func(m boot.Machine) (boot.Programs, error) {
		return boot.Programs{Shim: boot.ID("shim for " + m.Arch.Name()), GRUB: boot.ID("grub for " + m.Arch.Name())}, nil
	}
	by := func(v *boot.Verdict) Tree {
		return Tree{Boots: &boots.Memory{Source: files{verdicts{Verdict: v}}}, Tokens: key}
	}
	shim := by(&boot.Verdict{Action: boot.Boot, Spec: spec, Loader: boot.LoaderShim, Programs: programs})
	native := by(&boot.Verdict{Action: boot.Boot, Spec: spec, Loader: boot.LoaderNative})
	broken := by(&boot.Verdict{Action: boot.Boot, Loader: boot.LoaderShim, Programs: programs, Render: func(boot.Machine, string) (*boot.Spec, error) {
		return nil, errors.New("it's missing a label")
	}})
	local := by(&boot.Verdict{Action: boot.Local})
	tok := func(typ boot.ArchType) string {
		return key.Seal(boot.Token{MAC: [6]byte(mac), Type: typ, Time: time.Unix(1700000000, 0)})
	}
	for _, tc := range []struct {
		tree       Tree
		path, want string // the beginning of the file; empty: it is not found
		kind       Kind
		problem    string
	}{
		{shim, tok(7) + "/shimx64.efi", "shim for x64", KindLoader, ""},
		{shim, "//" + tok(7) + "//grubx64.efi", "grub for x64", KindLoader, ""}, // as a shim asks by HTTP
		{shim, tok(6) + "/shimia32.efi", "shim for ia32", KindLoader, ""},
		{shim, tok(0x0b) + "/grubaa64.efi", "grub for arm64", KindLoader, ""},
		{shim, tok(7) + "/shimaa64.efi", "", 0, ""},
		{shim, tok(7) + "/mmx64.efi", "", 0, ""},
		{shim, tok(7) + "/revocations_sku.efi", "", 0, ""},
		{shim, tok(7) + "/revocations_sbat.efi", "", 0, ""},
		{shim, tok(7) + "/shim_certificate_0.efi", "", 0, ""},
		{shim, tok(0) + "/grub.cfg", "", 0, ""}, // a BIOS is given iPXE
		{shim, tok(7) + "/grub.cfg", "echo", KindConfig, ""},
		{shim, tok(7) + "/kernel", "linux", KindKernel, ""},
		{shim, tok(7) + "/initrd0", "first", KindInitrd, ""},
		{shim, tok(7) + "/initrd1", "second", KindInitrd, ""},
		{shim, tok(7) + "/initrd2", "", 0, ""},
		{shim, tok(7) + "/initrd00", "", 0, ""},
		{shim, tok(7) + "/initrd", "", 0, ""},
		{shim, tok(7) + "/booting", "# Booting", KindBooting, ""},
		{shim, tok(7) + "/x86_64-efi/command.lst", "", 0, ""},
		{native, tok(7) + "/bootx64.efi", "linux", KindKernel, ""},
		{native, tok(7) + "/shimx64.efi", "", 0, ""},
		{broken, tok(7) + "/shimx64.efi", "shim for x64", KindLoader, ""}, // GRUB can then say what is wrong
		{broken, tok(7) + "/grub.cfg", "echo 'pixiecore: it'\\''s missing a label'\n", KindConfig, "it's missing a label"},
		{local, tok(7) + "/grub.cfg", "echo 'pixiecore: this machine boots its own disk'\nsleep 2\nexit 1\n", KindConfig, ""},
		{local, tok(7) + "/shimx64.efi", "", 0, ""},
		{local, tok(7) + "/kernel", "", 0, ""},
	} {
		f, err := tc.tree.Open(t.Context(), tc.path, asker, base)
		if tc.want == "" {
			if !errors.Is(err, boot.ErrNotFound) {
				t.Errorf("%s: got %+v, %v; want that it is not found", tc.path, f, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.path, err)
			continue
		}
		if got := read(t, f); f.Kind != tc.kind || f.Problem != tc.problem || tc.want != "echo" && !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: got %q of kind %d, %q; want %q, %d, %q", tc.path, got, f.Kind, f.Problem, tc.want, tc.kind, tc.problem)
		}
	}
	for verdict, want := range map[*boot.Verdict]string{
		{Action: boot.Ignore, Reason: "rain"}: "exit 1\n",
	} {
		f, err := by(verdict).Open(t.Context(), tok(7)+"/grub.cfg", asker, base)
		if err != nil || f.Problem == "" || !strings.HasSuffix(string(f.Data), want) {
			t.Errorf("%v: got %q, %v", verdict.Action, f.Data, err)
		}
	}
	held := by(&boot.Verdict{Action: boot.Boot, Spec: spec})
	held.Boots.Held = func(string) string { return "rain" }
	if f, err := held.Open(t.Context(), tok(7)+"/grub.cfg", asker, base); err != nil || !strings.Contains(string(f.Data), "rain") || !strings.HasSuffix(string(f.Data), "reboot\n") {
		t.Errorf("on hold: got %q, %v", f.Data, err)
	}
}

func read(t *testing.T, f File) string {
	t.Helper()
	if f.Body == nil {
		return string(f.Data)
	}
	defer f.Body.Close()
	b, err := io.ReadAll(f.Body)
	if err != nil || f.Size != int64(len(b)) {
		t.Fatalf("%d of %d bytes, %v", len(b), f.Size, err)
	}
	return string(b)
}

// GRUB of a distribution looks for its configuration where it was built to, and is
// led to the machine's own.
func TestTheFixedNamesOfGRUB(t *testing.T) {
	spec := &boot.Spec{Kernel: "linux"}
	tr := tree(t, verdicts{Verdict: &boot.Verdict{Action: boot.Boot, Spec: spec, Loader: boot.LoaderShim}})
	f, err := tr.Open(t.Context(), "/grub/grub.cfg", asker, base)
	if err != nil || !strings.HasPrefix(string(f.Data), "configfile /grub/$net_default_mac/$grub_cpu-$grub_platform.cfg\n") {
		t.Fatalf("got %q, %v", f.Data, err)
	}
	again, err := tr.Open(t.Context(), "/debian-installer/amd64/grub/grub.cfg", asker, base)
	if err != nil || string(again.Data) != string(f.Data) {
		t.Errorf("for GRUB of Debian's installer: got %q, %v", again.Data, err)
	}
	for _, name := range []string{"debian-installer/amd64/grub", "debian-installer/grub/grub.cfg", "debian-installer/amd64/linux", "grub/x86_64-efi/grub.cfg", "grub/x86_64-efi/command.lst", "grub/fonts/unicode.pf2", "grub/", "grub/52:54:00:12:34:56/mips-arc.cfg", "grub/52-54-00/x86_64-efi.cfg", "grub//x86_64-efi.cfg"} {
		if f, err := tr.Open(t.Context(), name, asker, base); !errors.Is(err, boot.ErrNotFound) {
			t.Errorf("%s: got %+v, %v", name, f, err)
		}
	}

	const name = "grub/52:54:00:12:34:56/x86_64-efi.cfg"
	if got, _, ok := tr.Whose(name); !ok || got.String() != mac.String() {
		t.Errorf("whose: %s, %t", got, ok)
	}
	f, err = tr.Open(t.Context(), name, asker, base)
	if err != nil || !strings.Contains(f.Problem, "no DHCP request of 52:54:00:12:34:56") {
		t.Errorf("a machine that nobody has heard of: got %q, %v", f.Data, err)
	}
	tr.Boots.Heard(boots.Request{MAC: [6]byte(mac), Discover: true, Facts: &boot.Facts{}}, time.Now())
	f, err = tr.Open(t.Context(), name, asker, base)
	if err != nil || f.Problem != "" {
		t.Fatalf("got %q, %v", f.Problem, err)
	}
	// The configuration leads on into the machine's own directory.
	_, rest, _ := strings.Cut(string(f.Data), "linux /")
	dir, _, _ := strings.Cut(rest, "/kernel")
	if tok, err := tr.Tokens.Open(dir); err != nil || tok.MAC != [6]byte(mac) || tok.Type != 7 {
		t.Errorf("leads to %q: %+v, %v", dir, tok, err)
	}
}
