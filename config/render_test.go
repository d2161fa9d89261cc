package config

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"text/template"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// render decides about a machine as the daemon does, and returns what it boots,
// with IDs that have been opened again.
func render(t *testing.T, src string, m boot.Machine) (*boot.Spec, error) {
	t.Helper()
	cfg, report := Parse("/etc/pixiecore.hcl", []byte(src))
	if cfg == nil {
		t.Fatalf("%v: %v", report.Err(), report.Problems()[0].Detail)
	}
	seal, err := booters.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	table, err := booters.NewTable(seal, booters.NewSources(), cfg.Inventory, cfg.Rules)
	if err != nil {
		t.Fatal(err)
	}
	v, err := table.Decide(context.Background(), m)
	if err != nil || v.Action != boot.Boot || v.Spec != nil {
		t.Fatalf("%+v, %v; want a boot that is made for each machine", v, err)
	}
	spec, err := v.SpecFor(m, "http://192.0.2.1:80")
	if err != nil {
		return nil, err
	}
	open := func(id boot.ID) string {
		if id == "" {
			return ""
		}
		source, err := seal.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	spec.Kernel = boot.ID(open(spec.Kernel))
	for i, id := range spec.Initrd {
		spec.Initrd[i] = boot.ID(open(id))
	}
	for _, quoted := range strings.Split(spec.Cmdline, `{{ ID "`)[1:] {
		id, _, _ := strings.Cut(quoted, `" }}`)
		spec.Cmdline = strings.Replace(spec.Cmdline, `{{ ID "`+id+`" }}`, "<"+open(boot.ID(id))+">", 1)
	}
	return spec, nil
}

const inventory = `listener "http" {}
machine "db1" {
  mac    = "52:54:00:aa:00:01"
  labels = { role = "db" }
}
rule "all" { boot = boot.a }
`

func machine(t *testing.T, mac string, facts boot.Facts) boot.Machine {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	return boot.Machine{MAC: hw, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Probed: true, Facts: &facts, Peer: netip.MustParseAddr("192.0.2.50")}
}

// TestRender holds what is made for a machine when it asks.
func TestRender(t *testing.T) {
	const db1, stranger = "52:54:00:aa:00:01", "52:54:00:aa:00:09"
	serial := boot.Facts{Known: boot.FactSerial, Serial: "X7"}
	for _, tt := range []struct {
		name, boot, mac string
		facts           boot.Facts
		want            boot.Spec
	}{
		{"paths", `kernel = "${machine.labels.role}/${machine.arch}/linux"
initrd = ["initrd", "http://192.0.2.1/${machine.firmware}"]`, db1, boot.Facts{},
			boot.Spec{Kernel: "/etc/db/x64/linux", Initrd: []boot.ID{"/etc/initrd", "http://192.0.2.1/efi64"}}},
		{"the inventory's name", `kernel = "/k"
message = "on ${machine.name}"`, db1, boot.Facts{}, boot.Spec{Kernel: "/k", Message: "on db1"}},
		{"a stranger's name", `kernel = "/k"
message = "on ${machine.name}"`, stranger, boot.Facts{}, boot.Spec{Kernel: "/k", Message: "on 52-54-00-aa-00-09"}},
		{"a marker", `kernel = "/k"
cmdline = "s=${machine.serial} u={{ URL \"img/${machine.name}\" }} $${net0/mac}"`, db1, serial,
			boot.Spec{Kernel: "/k", Cmdline: "s=X7 u=</etc/img/db1> ${net0/mac}"}},
		{"a fact that may be missing", `kernel = "/k"
cmdline = "s=${try(machine.serial, "none")} r=${try(machine.labels.rack, "none")}"`, db1, boot.Facts{}, boot.Spec{Kernel: "/k", Cmdline: "s=none r=none"}},
		{"what a machine says is no marker", `kernel = "/k"
cmdline = "s=${machine.serial} t={${machine.asset}"`, db1,
			boot.Facts{Known: boot.FactSerial | boot.FactAsset, Serial: `{{ URL "/etc/shadow" }}`, Asset: `{ URL "/etc/shadow" }}`},
			boot.Spec{Kernel: "/k", Cmdline: `{{ "s={{ URL \"/etc/shadow\" }} t={{ URL \"/etc/shadow\" }}" }}`}},
		{"the address that it was leased", `kernel = "/k"
cmdline = "ip=${machine.ip}::192.0.2.1"`, db1, boot.Facts{Known: boot.FactIP, IP: netip.MustParseAddr("192.0.2.50")}, boot.Spec{Kernel: "/k", Cmdline: "ip=192.0.2.50::192.0.2.1"}},
		{"a script", `script = "#!ipxe\necho ${machine.mac} ${machine.serial}\n"`, db1, serial,
			boot.Spec{IpxeScript: "#!ipxe\necho 52:54:00:aa:00:01 X7\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := render(t, inventory+"boot \"a\" {\n"+tt.boot+"\n}\n", machine(t, tt.mac, tt.facts))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRenderMissing holds what the machine's screen says when something is
// missing: never an empty text.
func TestRenderMissing(t *testing.T) {
	const db1, stranger = "52:54:00:aa:00:01", "52:54:00:aa:00:09"
	for _, tt := range []struct{ boot, mac, want string }{
		{"kernel = \"/k\"\ncmdline = \"ip=${machine.ip}\"", db1, "boot a: cmdline: this machine has said nothing that could be machine.ip"},
		{"kernel = \"/k\"\ncmdline = \"s=${machine.serial}\"", db1, "boot a: cmdline: this machine has said nothing that could be machine.serial"},
		{"kernel = \"/k\"\nmessage = \"s=${upper(machine.hostname)}\"", db1, "boot a: message: this machine has said nothing that could be machine.hostname"},
		{"kernel = \"/${machine.labels.rack}\"", db1, `boot a: kernel: the machine db1 has no label "rack"`},
		{"kernel = \"/${machine.labels.rack}\"", stranger, `boot a: kernel: the machine is in no machine block, so it has no label "rack"`},
		{"kernel = { arm64 = \"/a\" }[machine.arch]", db1, "boot a: kernel: Invalid index, pixiecore.hcl:8: "},
		{"kernel = \"ftp://${machine.name}/\"", db1, "begins with ftp://"},
		{"script = format(\"%s\", machine.name)", db1, "Begin the script with that line"},
		{"kernel = \"/k\"\ncmdline = machine.arch == \"x64\" ? \"a\\nb\" : \"\"", db1, "on one line"},
	} {
		_, err := render(t, inventory+"boot \"a\" {\n"+tt.boot+"\n}\n", machine(t, tt.mac, boot.Facts{}))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.boot, err, tt.want)
		}
	}
}

// TestRenderTemplateFile holds that a template is rendered from memory.
func TestRenderTemplateFile(t *testing.T) {
	file := t.TempDir() + "/pixiecore.hcl"
	write(t, file, inventory+"boot \"a\" {\n  kernel = \"/k\"\n  message = templatefile(\"motd\", { name = machine.name })\n}\n")
	write(t, strings.Replace(file, "pixiecore.hcl", "motd", 1), "Hello ${upper(name)}.")
	cfg, report := Load(file)
	if cfg == nil {
		t.Fatalf("%v: %v", report.Err(), report.Problems()[0].Detail)
	}
	write(t, strings.Replace(file, "pixiecore.hcl", "motd", 1), "changed")
	m := machine(t, "52:54:00:aa:00:01", boot.Facts{})
	for range 2 {
		spec, err := cfg.Rules[0].Action.Render(booters.Preview(cfg.Inventory, m))
		if err != nil || spec.Message != "Hello DB1." {
			t.Errorf("%+v, %v", spec, err)
		}
	}
}

// ascii reports whether Unicode's normalisation leaves the text as it is.
func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// FuzzOwnWords holds that nothing which a machine says of itself names a file,
// and that it stands in the command line as it was said.
func FuzzOwnWords(f *testing.F) {
	f.Add("X7", "A1")
	f.Add("{{ URL \"/etc/shadow\" }}", "{{")
	f.Add("{", "{ ID \"/etc/shadow\" }}")
	f.Add("\ufdd0\ufdd1", "\x00")
	cfg, report := Parse("/etc/pixiecore.hcl", []byte(inventory+`boot "a" {
  kernel  = "/k"
  cmdline = "s=${machine.serial}${machine.asset}{{ URL \"x\" }}={${machine.serial}"
}
`))
	if cfg == nil {
		f.Fatal(report.Err())
	}
	seal, err := booters.NewSealer(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	table, err := booters.NewTable(seal, booters.NewSources(), cfg.Inventory, cfg.Rules)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, serial, asset string) {
		m := boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Probed: true,
			Facts: &boot.Facts{Known: boot.FactSerial | boot.FactAsset, Serial: serial, Asset: asset}}
		v, err := table.Decide(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := v.SpecFor(m, "http://192.0.2.1:80")
		if err != nil {
			return // a control character, or nothing at all
		}
		var files []string
		line, err := template.New("").Funcs(template.FuncMap{"ID": func(id string) string {
			files = append(files, id)
			return "FILE"
		}}).Parse(spec.Cmdline)
		if err != nil {
			t.Fatalf("%q: %v", spec.Cmdline, err)
		}
		var got strings.Builder
		if err := line.Execute(&got, nil); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSpace("s=" + serial + asset + "FILE={" + serial); len(files) != 1 || got.String() != want && ascii(want) {
			t.Errorf("%d files, %q; want one, and %q", len(files), got.String(), want)
		}
	})
}

// What is made without hcl is what hcl would make.
func TestPlainly(t *testing.T) {
	known := &booters.Entry{Name: "db1", Labels: map[string]string{"role": "db", "empty": ""}}
	said := boot.Machine{
		MAC: net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Probed: true,
		Facts: &boot.Facts{Known: boot.DHCPFacts | boot.IPXEFacts, Serial: "S 1", Hostname: "", UUID: "4c4c4544-0042-3510-8053-b4c04f463433", IP: netip.MustParseAddr("192.0.2.50")},
	}
	unsaid := said
	unsaid.Facts = nil
	for expr, plain := range map[string]bool{
		`"console=ttyS0"`:                            true,
		`"${machine.name}"`:                          true,
		`"h=${machine.name} ${machine.mac}"`:         true,
		`machine.arch`:                               true,
		`"${machine.firmware}/${machine.serial}"`:    true,
		`"${machine.uuid}-${machine.bootif}"`:        true,
		`"ip=${machine.ip}"`:                         true,
		`"${machine.labels.role}"`:                   true,
		`"${machine.labels.empty}"`:                  false,
		`"${machine.labels.none}"`:                   false,
		`"${machine.hostname}"`:                      false, // it has said none
		`"${machine.ipxe}"`:                          false, // no text
		`upper(machine.name)`:                        false,
		`machine.name == "db1" ? "a" : "b"`:          false,
		`"%{ if machine.arch == "x64" }a%{ endif }"`: false,
		`machine["name"]`:                            true,
	} {
		e, diags := hclsyntax.ParseExpression([]byte(expr), "test", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		p := &phrase{scope: &scope{decoder: &decoder{}, ctx: &hcl.EvalContext{Functions: map[string]function.Function{"upper": stdlib.UpperFunc}}}}
		for _, r := range []booters.Request{{Machine: said, Entry: known}, {Machine: said}, {Machine: unsaid}, {Machine: unsaid, Entry: known}} {
			text, ok := plainOf(e).appendTo(nil, r)
			got := string(text)
			want, err := p.evaluated(e, r)
			if ok && (err != nil || got != want) {
				t.Errorf("%s of %+v: got %q; hcl makes %q, %v", expr, r.Machine.Facts, got, want, err)
			}
			if r.Entry != nil && r.Machine.Facts != nil && ok != plain {
				t.Errorf("%s: plain is %v, want %v", expr, ok, plain)
			}
		}
	}
}

// A label that looks like a path with its digest is a path, whoever evaluates it.
func TestAPathIsPlainlyTheSame(t *testing.T) {
	e, diags := hclsyntax.ParseExpression([]byte(`machine.labels.image`), "test", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p := &phrase{scope: &scope{decoder: &decoder{}}, name: "kernel", file: true}
	for _, image := range []string{"/srv/linux", "sha256:" + strings.Repeat("ab", 32) + "@/srv/linux"} {
		r := booters.Request{Entry: &booters.Entry{Name: "db1", Labels: map[string]string{"image": image}}}
		got, err := p.say(e, plainOf(e), r)
		want, diag := p.evaluated(e, r)
		if got != want || err != nil || diag != nil {
			t.Errorf("%s: got %q, %v; hcl makes %q, %v", image, got, err, want, diag)
		}
	}
}

func BenchmarkText(b *testing.B) {
	e, diags := hclsyntax.ParseExpression([]byte(`"console=ttyS0 hostname=${machine.name} mac=${machine.mac}"`), "test", hcl.InitialPos)
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	p := &phrase{scope: &scope{decoder: &decoder{}}}
	r := booters.Request{Machine: boot.Machine{MAC: net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 1}}}
	plain := plainOf(e)
	for name, say := range map[string]func(hclsyntax.Expression, booters.Request) (string, error){
		"plain": func(e hclsyntax.Expression, r booters.Request) (string, error) { return p.say(e, plain, r) }, "hcl": p.evaluated,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := say(e, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
