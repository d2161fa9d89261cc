package config

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// remotes lists a configuration's remote files as "URL: PLACES", and behind them what
// was skipped.
func remotes(t *testing.T, src string) []string {
	t.Helper()
	cfg, report := Parse("boot.hcl", []byte("listener \"http\" {}\n"+src))
	if cfg == nil {
		var b strings.Builder
		report.WriteText(&b, 0, false)
		t.Fatal(b.String())
	}
	all, err := cfg.Remotes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all.Files {
		line := r.Source.String() + ":"
		for _, p := range r.Places {
			line += fmt.Sprintf(" %s %s %s", p.At(), p.Boot, p.What)
		}
		got = append(got, line)
	}
	for _, s := range all.Skipped {
		got = append(got, fmt.Sprintf("skipped %s %s, for %s: %s", s.At(), s.What, strings.Join(s.Who, ", "), s.Why))
	}
	return got
}

func TestRemotes(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for name, tt := range map[string]struct {
		src  string
		want []string
	}{
		"kernel, initrds and what machines fetch by url()": {`
boot "a" {
  kernel  = { url = "https://m/linux", sha256 = "` + sum + `" }
  initrd  = ["/srv/initrd", "https://m/initrd"]
  cmdline = "a=${url("https://m/root.img")} b={{ URL \"https://m/c\" }} h=${machine.name} d={{ URL \"https://m/${machine.arch}/d\" }}"
  message = "from ${url("https://m/root.img")}"
  file "seed" { source = "https://m/seed" }
  file "more" { tree = { a = "see ${url("https://m/tree")} ${url(file.seed)} ${url("/srv/local")}" } }
}
boot "unused" { kernel = "https://m/never" }
rule "a" {
  match { arch = ["x64", "arm64"] }
  boot = boot.a
}`, []string{
			"https://m/arm64/d: boot.hcl:6 a cmdline",
			"https://m/c: boot.hcl:6 a cmdline",
			"https://m/initrd: boot.hcl:5 a initrd",
			"sha256:" + sum + "@https://m/linux: boot.hcl:4 a kernel",
			"https://m/root.img: boot.hcl:6 a cmdline boot.hcl:7 a message",
			"https://m/seed: boot.hcl:8 a file seed",
			"https://m/tree: boot.hcl:9 a file more/a",
			"https://m/x64/d: boot.hcl:6 a cmdline",
		}},
		"an EFI program, a shim and GRUB": {`
boot "a" { efi = "http://m/uki.efi" }
boot "b" {
  kernel = "http://m/linux"
  secure_boot {
    shim = "http://m/shim"
    grub = "http://m/grub"
  }
}
rule "a" { 
  match { mac = ["52:54:00:*"] }
  boot = boot.a 
}
rule "b" { boot = boot.b }`, []string{
			"http://m/grub: boot.hcl:8 b grub",
			"http://m/linux: boot.hcl:5 b kernel",
			"http://m/shim: boot.hcl:7 b shim",
			"http://m/uki.efi: boot.hcl:3 a efi",
		}},
		"the platforms that come to a boot": {`
locals { port = { x64 = "amd64", arm64 = "arm64" } }
boot "a" { kernel = "http://m/${local.port[machine.arch]}/linux" }
rule "elsewhere" {
  match { arch = ["arm64", "arm32"] }
  local = true
}
rule "some" {
  match { mac = ["52:54:00:*"] }
  boot = boot.a
}`, []string{
			"http://m/amd64/linux: boot.hcl:4 a kernel",
			"skipped boot.hcl:4 kernel, for ia32 bios, ia32 efi32, riscv64 efi-riscv64, loongarch64 efi-loongarch64: Invalid index, boot.hcl:4: The given key does not identify an element in this collection value",
		}},
		"a rule for one kind of BIOS": {`
boot "a" { kernel = "http://m/${machine.arch}-${machine.firmware}" }
rule "a" {
  match {
    arch     = ["x64"]
    firmware = ["bios"]
  }
  boot = boot.a
}`, []string{"http://m/x64-bios: boot.hcl:3 a kernel"}},
		"the machines that come to a boot": {`
machine "db1" {
  mac    = "52:54:00:00:00:01"
  labels = { role = "db" }
}
machine "db2" {
  uuid   = "4c4c4544-0042-3510-8053-b4c04f463433"
  labels = { role = "db" }
}
machine "web" { mac = "52:54:00:00:00:03" }
machine "off" { mac = "52:54:00:00:00:04" }
boot "a" { kernel = "http://m/${machine.name}/linux" }
boot "b" { 
  kernel = "http://m/${machine.labels.role}"
  initrd = "http://m/common"
}
rule "off" {
  match { mac = ["52:54:00:00:00:04"] }
  ignore = true
}
rule "db" {
  match { labels = { role = "db" } }
  boot = boot.a
}
rule "rest" { boot = boot.b }`, []string{
			"http://m/common: boot.hcl:16 b initrd",
			"http://m/db1/linux: boot.hcl:13 a kernel",
			"http://m/db2/linux: boot.hcl:13 a kernel",
			"skipped boot.hcl:15 kernel, for machines that no machine block names: what they need hangs on their name or labels",
			"skipped boot.hcl:15 kernel, for web: the machine web has no label \"role\"",
		}},
		"what iPXE alone knows stands open": {`
boot "a" { kernel = "http://m/a" }
boot "b" { kernel = "http://m/b-${machine.arch}" }
rule "a" {
  match { 
    arch    = ["x64"]
    product = ["*"]
  }
  boot = boot.a
}
rule "b" { 
  match { arch = ["x64"] }
  boot = boot.b 
}`, []string{
			"http://m/a: boot.hcl:3 a kernel",
			"http://m/b-x64: boot.hcl:4 b kernel",
		}},
		"a loop over what machines fetch": {`
boot "a" { 
  kernel  = "/srv/linux"
  cmdline = join(" ", [for n in ["a", "b"] : url("http://m/${machine.arch}/${n}")])
}
rule "a" { 
  match { arch = ["arm64"] }
  boot = boot.a 
}`, []string{
			"http://m/arm64/a: boot.hcl:5 a cmdline",
			"http://m/arm64/b: boot.hcl:5 a cmdline",
		}},
		"checksums": {`
boot "a" {
  kernel = { url = "https://m/linux", checksums = "https://m/SHA256SUMS", signature = "https://m/S.gpg", key = "key.asc" }
  initrd = { url = "/srv/initrd", checksums = "https://m/SHA256SUMS" }
}
rule "a" { boot = boot.a }`, []string{
			"https://m/S.gpg: boot.hcl:4 a signature",
			"https://m/SHA256SUMS: boot.hcl:4 a checksums boot.hcl:5 a checksums",
			"checksums:https://m/SHA256SUMS https://m/S.gpg /key.asc@https://m/linux: boot.hcl:4 a kernel",
		}},
		"a secret is told nobody": {`
boot "a" {
  kernel  = "/srv/linux"
  cmdline = url(file.s)
  file "s" { 
    source = "https://m/secret"
    secret = true
  }
}
rule "a" { boot = boot.a }`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, remotes(t, tt.src)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRemotesEndWithTheirContext(t *testing.T) {
	cfg, report := Parse("boot.hcl", []byte(`listener "http" {}
boot "a" { kernel = "http://m/a" }
rule "a" { boot = boot.a }`))
	if cfg == nil {
		t.Fatal(report.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cfg.Remotes(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
