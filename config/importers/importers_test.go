package importers_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/config/importers"
)

// clean holds a text to a load without a problem.
func clean(t *testing.T, src []byte) {
	t.Helper()
	_, report := config.Parse("pixiecore.hcl", src)
	for _, p := range report.Problems() {
		t.Errorf("%s: %s", p, p.Detail)
	}
	if t.Failed() {
		t.Logf("%s", src)
	}
}

// testdata/*.in is what is imported, *.in/ a directory; *.hcl what comes out. The
// kind is seen from it.
func TestImport(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in")
	if err != nil || len(inputs) < 5 {
		t.Fatalf("%d inputs in testdata: %v", len(inputs), err)
	}
	for _, in := range inputs {
		name := filepath.Base(in)
		t.Run(name, func(t *testing.T) {
			r, err := importers.Import(os.DirFS("testdata"), name, "")
			if err != nil {
				t.Fatal(err)
			}
			if kind, _, _ := strings.Cut(name, "_"); kind != string(r.Kind) {
				t.Errorf("seen as %s", r.Kind)
			}
			clean(t, r.HCL)
			golden := strings.TrimSuffix(in, ".in") + ".hcl"
			want, err := os.ReadFile(golden)
			if err != nil {
				os.WriteFile(golden+".got", r.HCL, 0o644)
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(r.HCL)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, l := range r.Left {
				if !strings.Contains(string(r.HCL), "#   "+l+"\n") {
					t.Errorf("no comment says %q", l)
				}
			}
		})
	}
}

// What nothing can be made of is refused with the reason.
func TestImportRefuses(t *testing.T) {
	tests := []struct {
		kind importers.Kind
		text string
		want string
	}{
		{"", "hello", "does not show what it is"},
		{"", "pixiecore --help", "does not show what it is"},
		{importers.BootLine, "pixiecore boot", "no command line"},
		{importers.BootLine, "pixiecore boot --cmdline x", "names nothing to boot"},
		{importers.BootLine, "pixiecore boot --nonsense k", "unknown flag"},
		{importers.BootLine, "pixiecore boot nfs://host/k", "by HTTP"},
		{importers.BootLine, "pixiecore bootipv6 --listen-addr ::1", "is nothing that iPXE loads"},
		{importers.BootLine, "pixiecore bootipv6 --ipxe-url http://[::1]/x --address-pool-size 1000000", "cannot be served"},
		{importers.BootLine, "pixiecore ipv6api --api-request-url inventory", "begins with http://"},
		{importers.BootLine, "pixiecore boot k --log-format loud", "not one of auto"},
		{importers.BootLine, "pixiecore boot k --status-port 70000", "no port of the status"},
		{importers.BootLine, "pixiecore quick debian stable --catalogue own.hcl", "are not read by an import"},
		{importers.BootLine, "pixiecore quick debain stable", "Did you mean"},
		{importers.NixOS, "services.pixiecore.enable = true;", "kernel is missing"},
		{importers.NixOS, "services.pixiecore = { kernel = \"${k}/bzImage\"; };", "systemctl cat pixiecore"},
		{importers.Dnsmasq, "server=1.1.1.1", "nothing of a network boot"},
		{importers.Matchbox, "x", "is a file"},
		{"grub", "x", "no kind"},
	}
	for _, tt := range tests {
		_, err := importers.Import(fstest.MapFS{"f": {Data: []byte(tt.text)}}, "f", tt.kind)
		if tt.text == "pixiecore boot" {
			tt.want = "" // any refusal
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q: got %v, want %q", tt.kind, tt.text, err, tt.want)
		}
	}
}

// fuzz imports what may be anything: it is refused, or what comes out can be
// served.
func fuzz(t *testing.T, fsys fs.FS, name string, kind importers.Kind) {
	r, err := importers.Import(fsys, name, kind)
	if err != nil {
		return
	}
	_, report := config.Parse("pixiecore.hcl", r.HCL)
	if err := report.Err(); err != nil {
		t.Errorf("%v\n%s", err, r.HCL)
	}
}

func FuzzText(f *testing.F) {
	inputs, _ := filepath.Glob("testdata/*.in")
	for _, in := range inputs {
		if src, err := os.ReadFile(in); err == nil {
			f.Add(string(src))
		}
	}
	f.Fuzz(func(t *testing.T, src string) {
		for _, kind := range []importers.Kind{importers.BootLine, importers.NixOS, importers.Dnsmasq} {
			fuzz(t, fstest.MapFS{"f": {Data: []byte(src)}}, "f", kind)
		}
	})
}

func FuzzMatchbox(f *testing.F) {
	f.Add(`{"id": "g", "profile": "p", "selector": {"mac": "52:54:00:00:00:01", "serial": "x"}}`, `{"id": "p", "boot": {"kernel": "/assets/k", "initrd": ["--name main /assets/i"], "args": ["initrd=main", "a=${uuid}"]}}`)
	f.Add(`{"profile": "a b"}`, `{"id": "a b", "boot": {"kernel": "http://x/k"}}`)
	f.Fuzz(func(t *testing.T, group, profile string) {
		fuzz(t, fstest.MapFS{"m/groups/g.json": {Data: []byte(group)}, "m/profiles/p.json": {Data: []byte(profile)}}, "m", importers.Matchbox)
	})
}

func ExampleImport() {
	line := "pixiecore boot --port 8080 --cmdline 'ip=dhcp' http://192.0.2.1/vmlinuz"
	r, err := importers.Import(fstest.MapFS{"run.sh": {Data: []byte(line)}}, "run.sh", "")
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Kind, len(r.Left))
	// Output: boot-line 0
}
