package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/config/recipes"
)

// documents is an Opener of what it holds.
type documents map[string]string

func (d documents) Open(_ context.Context, at string) (io.ReadCloser, int64, error) {
	text, ok := d[at]
	if !ok {
		return nil, 0, fmt.Errorf("get %q: there is none", at)
	}
	return io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
}

// stream is an index of Fedora CoreOS, as far as a recipe reads it.
func stream() string {
	var arches []string
	for _, a := range []string{"x86_64", "aarch64"} {
		arches = append(arches, fmt.Sprintf(`%q: {"artifacts": {"metal": {"release": "42.1", "formats": {"pxe": {
			"kernel": {"location": "https://builds.example/%[2]s/kernel"},
			"initramfs": {"location": "https://builds.example/%[2]s/initramfs.img"},
			"rootfs": {"location": "https://builds.example/%[2]s/rootfs.img"}}}}}}`, a, a))
	}
	return `{"stream": "stable", "architectures": {` + strings.Join(arches, ",") + `}}`
}

func indexes() documents {
	d := documents{}
	for _, s := range []string{"stable", "testing", "next"} {
		d["https://builds.coreos.fedoraproject.org/streams/"+s+".json"] = stream()
	}
	return d
}

func load(t *testing.T, files ...string) *recipes.Catalogue {
	t.Helper()
	c, err := recipes.Load(files...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func resolve(t *testing.T, c *recipes.Catalogue, name string, choice recipes.Choice) *recipes.Boot {
	t.Helper()
	r, err := c.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Resolve(t.Context(), indexes(), choice)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever a recipe can be asked for is a block that the language takes without
// a warning, and names files that can be fetched.
func TestEveryChoiceIsABoot(t *testing.T) {
	n := 0
	for _, r := range load(t).All() {
		known, _ := r.Choices()
		for _, choice := range known {
			b, err := r.Resolve(t.Context(), indexes(), choice)
			if err != nil {
				t.Errorf("%s %v: %v", r.Name, choice, err)
				continue
			}
			n++
			text := fmt.Sprintf("listener \"http\" {}\n%s\nrule \"all\" { boot = boot.%s }\n", b.HCL("quiet", "Hello"), b.Label())
			_, report := config.Parse("recipe.hcl", []byte(text))
			for _, p := range report.Problems() {
				t.Errorf("%s %v: %s: %s\n%s", r.Name, choice, p, p.Detail, text)
			}
			for _, f := range b.Files() {
				if !strings.HasPrefix(f, "https://") && !strings.HasPrefix(f, "http://vault.centos.org/") && !filepath.IsAbs(f) {
					t.Errorf("%s %v: %q is not fetched safely", r.Name, choice, f)
				}
			}
			if len(b.Machines) == 0 {
				t.Errorf("%s %v is for no machine", r.Name, choice)
			}
		}
	}
	if n < 60 {
		t.Errorf("%d choices: where are the recipes?", n)
	}
}

// What the original took, ours takes; where its servers are gone, from elsewhere.
func TestTheOriginalsRecipes(t *testing.T) {
	const mirror = "https://mirrors.kernel.org/"
	tests := []struct {
		recipe, version, arch, mirror string
		kernel, initrd, cmdline       string
	}{
		{"debian", "stable", "", mirror + "debian",
			mirror + "debian/dists/stable/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux",
			mirror + "debian/dists/stable/main/installer-amd64/current/images/netboot/debian-installer/amd64/initrd.gz", ""},
		{"debian", "jessie", "i386", "",
			"https://archive.debian.org/debian/dists/jessie/main/installer-i386/current/images/netboot/debian-installer/i386/linux",
			"https://archive.debian.org/debian/dists/jessie/main/installer-i386/current/images/netboot/debian-installer/i386/initrd.gz", ""},
		{"ubuntu", "focal", "", mirror + "ubuntu",
			mirror + "ubuntu/dists/focal/main/installer-amd64/current/legacy-images/netboot/ubuntu-installer/amd64/linux",
			mirror + "ubuntu/dists/focal/main/installer-amd64/current/legacy-images/netboot/ubuntu-installer/amd64/initrd.gz", ""},
		{"ubuntu", "xenial", "", "", // where the original asked legacy-images, which it has not
			"https://archive.ubuntu.com/ubuntu/dists/xenial/main/installer-amd64/current/images/netboot/ubuntu-installer/amd64/linux",
			"https://archive.ubuntu.com/ubuntu/dists/xenial/main/installer-amd64/current/images/netboot/ubuntu-installer/amd64/initrd.gz", ""},
		{"fedora", "33", "", mirror + "fedora",
			mirror + "fedora/releases/33/Server/x86_64/os/images/pxeboot/vmlinuz",
			mirror + "fedora/releases/33/Server/x86_64/os/images/pxeboot/initrd.img",
			"inst.stage2=" + mirror + "fedora/releases/33/Server/x86_64/os/"},
		{"centos", "7", "", "",
			"https://vault.centos.org/7.9.2009/os/x86_64/images/pxeboot/vmlinuz",
			"https://vault.centos.org/7.9.2009/os/x86_64/images/pxeboot/initrd.img",
			"inst.repo=https://vault.centos.org/7.9.2009/os/x86_64/"},
		{"coreos", "beta", "", "",
			"https://beta.release.flatcar-linux.net/amd64-usr/current/flatcar_production_pxe.vmlinuz",
			"https://beta.release.flatcar-linux.net/amd64-usr/current/flatcar_production_pxe_image.cpio.gz",
			"flatcar.first_boot=1"},
		{"xyz", "", "", "", "https://boot.netboot.xyz/ipxe/netboot.xyz.lkrn", "", ""},
		{"arch", "", "", mirror + "archlinux/",
			mirror + "archlinux/iso/latest/arch/boot/x86_64/vmlinuz-linux",
			mirror + "archlinux/iso/latest/arch/boot/x86_64/initramfs-linux.img",
			"archisobasedir=arch archiso_http_srv=" + mirror + "archlinux/iso/latest/ ip=dhcp cms_verify=y net.ifnames=0"},
		{"arch", "2026.11.01", "", mirror + "archlinux",
			mirror + "archlinux/iso/2026.11.01/arch/boot/x86_64/vmlinuz-linux",
			mirror + "archlinux/iso/2026.11.01/arch/boot/x86_64/initramfs-linux.img",
			"archisobasedir=arch archiso_http_srv=" + mirror + "archlinux/iso/2026.11.01/ ip=dhcp cms_verify=y net.ifnames=0"},
	}
	c := load(t)
	for _, tt := range tests {
		b := resolve(t, c, tt.recipe, recipes.Choice{Version: tt.version, Arch: tt.arch, Mirror: tt.mirror})
		got := []string{b.Kernel, strings.Join(b.Initrd, " "), b.Cmdline}
		if diff := cmp.Diff([]string{tt.kernel, tt.initrd, tt.cmdline}, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.recipe, tt.version, diff)
		}
	}
	for recipe, versions := range map[string]string{
		"debian": "oldstable stable testing unstable wheezy jessie stretch buster sid",
		"ubuntu": "precise trusty xenial bionic cosmic disco eoan focal groovy",
		"fedora": "29 30 31 32 33", "centos": "5 6 7 8", "coreos": "stable beta alpha",
	} {
		for v := range strings.FieldsSeq(versions) {
			resolve(t, c, recipe, recipes.Choice{Version: v})
		}
	}
}

// A kernel whose name changes with each build is looked up when it is needed.
func TestIndex(t *testing.T) {
	b := resolve(t, load(t), "fcos", recipes.Choice{Arch: "aarch64"})
	want := &recipes.Boot{
		Name: "fedora-coreos", Version: "stable", Arch: "aarch64", Machines: []string{"arm64"},
		Kernel: "https://builds.example/aarch64/kernel", Initrd: []string{"https://builds.example/aarch64/initramfs.img"},
		Cmdline: "ignition.firstboot ignition.platform.id=metal coreos.live.rootfs_url=https://builds.example/aarch64/rootfs.img",
		Fetches: []string{"https://builds.example/aarch64/rootfs.img"}, Notes: b.Notes,
	}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	r, _ := load(t).Find("fcos")
	for name, text := range map[string]string{"no JSON": "<html>", "another document": `{"architectures": {}}`, "no text": `[1]`} {
		_, err := r.Resolve(t.Context(), documents{"https://m.example/streams/next.json": text}, recipes.Choice{Version: "next", Mirror: "https://m.example"})
		if err == nil {
			t.Errorf("%s was taken for an index", name)
		}
	}
	if _, err := r.Resolve(t.Context(), documents{}, recipes.Choice{}); err == nil || !strings.Contains(err.Error(), "index") {
		t.Errorf("got %v, want that the index cannot be read", err)
	}
}

// A choice that there is not is answered with what there is.
func TestUnknownChoices(t *testing.T) {
	c := load(t)
	if _, err := c.Find("ubuntoo"); err == nil || !strings.Contains(err.Error(), `Did you mean "ubuntu"?`) {
		t.Errorf("got %v, want a suggestion", err)
	}
	if _, err := c.Find("plan9"); err == nil || !strings.Contains(err.Error(), "There is debian,") {
		t.Errorf("got %v, want all recipes", err)
	}
	tests := []struct {
		recipe string
		choice recipes.Choice
		want   string
	}{
		{"debian", recipes.Choice{}, "needs a version. There is stable,"},
		{"debian", recipes.Choice{Version: "buzzter"}, `no version "buzzter". Did you mean "buster"?`},
		{"debian", recipes.Choice{Version: "stable", Arch: "i386"}, `no architecture "i386". There is amd64, arm64.`},
		{"fedora", recipes.Choice{Version: "4x"}, `no version "4x"`},
		{"alpine", recipes.Choice{Version: "v3.2/../../x"}, `no version`},
		{"alpine", recipes.Choice{Version: "v3.2 init=/bin/sh"}, `no version`},
		{"xyz", recipes.Choice{Version: "1"}, "has no versions"},
	}
	for _, tt := range tests {
		r, err := c.Find(tt.recipe)
		if err != nil {
			t.Fatal(err)
		}
		var unknown *recipes.Unknown
		if _, err := r.Resolve(t.Context(), documents{}, tt.choice); !errors.As(err, &unknown) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %v: got %v, want %q", tt.recipe, tt.choice, err, tt.want)
		}
	}
}

// A user's file adds recipes, and replaces single settings.
func TestCatalogueOfAUser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.hcl")
	if err := os.WriteFile(file, []byte(`
recipe "debian" {
  mirror = "http://mirror.lan/debian"
  release "trixie" { cmdline = "priority=low" }
}
recipe "rescue" {
  title  = "Our rescue system"
  kernel = "/srv/rescue/vmlinuz"
  initrd = ["/srv/rescue/initrd"]
}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, file)
	b := resolve(t, c, "debian", recipes.Choice{Version: "trixie"})
	if want := "http://mirror.lan/debian/dists/trixie/"; !strings.HasPrefix(b.Kernel, want) || b.Cmdline != "priority=low" {
		t.Errorf("got kernel %s and command line %q, want them as in the user's file", b.Kernel, b.Cmdline)
	}
	if got := resolve(t, c, "debian", recipes.Choice{Version: "sid"}).Cmdline; got != "" {
		t.Errorf("the command line of sid is %q, want none", got)
	}
	got := string(resolve(t, c, "rescue", recipes.Choice{}).HCL("quiet ${x}", ""))
	want := `boot "rescue" {
  kernel  = "/srv/rescue/vmlinuz"
  initrd  = ["/srv/rescue/initrd"]
  cmdline = "quiet $${x}"
}
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCataloguesThatAreRefused(t *testing.T) {
	tests := map[string]string{
		`recipe "a" {`:                        "own.hcl:1",
		`recipe "a" {}`:                       "has no kernel",
		`recipe "a b" { kernel = "x" }`:       "must begin with a letter",
		`recipe "a" { kernal = "x" }`:         `"kernel"`,
		`recipe "a" { aliases = ["debian"] }`: "has no kernel",
		"recipe \"a\" {\n aliases = [\"debian\"]\n kernel = \"x\"\n}":           "means recipe",
		"recipe \"a\" {\n versions = [\"[\"]\n kernel = \"x\"\n}":               "syntax error in pattern",
		"recipe \"a\" {\n arches = { amd64 = [\"amd64\"] }\n kernel = \"x\"\n}": "architecture",
		"recipe \"a\" {\n arches = { amd64 = [\"x64\"] }\n kernel = \"x\"\n}":   "name the one that is meant",
		strings.Repeat("#", 300<<10):                                            "KiB",
	}
	for src, want := range tests {
		file := filepath.Join(t.TempDir(), "own.hcl")
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := recipes.Load(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %q", src, err, want)
		}
	}
}

// The files of Debian's installer are in the list that Debian's mirror has of
// them. It tells nothing where that mirror is not reached.
func TestDebiansMirrorListsTheInstaller(t *testing.T) {
	client := &http.Client{Timeout: 10 * time.Second}
	for _, choice := range []recipes.Choice{{Version: "stable"}, {Version: "trixie", Arch: "arm64"}, {Version: "bookworm"}, {Version: "bookworm", Arch: "i386"}} {
		b := resolve(t, load(t), "debian", choice)
		dir, _, _ := strings.Cut(b.Kernel, "netboot/")
		resp, err := client.Get(dir + "SHA256SUMS")
		if err != nil {
			t.Skipf("deb.debian.org is not reached: %v", err)
		}
		list, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Skipf("%sSHA256SUMS: %s %v", dir, resp.Status, err)
		}
		for _, file := range append(b.Initrd, b.Kernel) {
			if !strings.Contains(string(list), "  ./"+strings.TrimPrefix(file, dir)+"\n") {
				t.Errorf("%s is not in %sSHA256SUMS", file, dir)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("recipe \"a\" {\n  kernel = \"${mirror}/${version}\"\n  mirror = \"http://x\"\n  versions = [\"1\"]\n}\n")
	f.Add("recipe \"debian\" {\n  release \"x\" \"y\" { cmdline = arch }\n}\n")
	f.Add("recipe \"a\" {\n  kernel = { bios = \"a\", uefi = \"b\" }\n  initrd = [1]\n}\n")
	f.Fuzz(func(t *testing.T, src string) {
		file := filepath.Join(t.TempDir(), "own.hcl")
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := recipes.Load(file)
		if err != nil {
			return
		}
		for _, r := range c.All() {
			known, _ := r.Choices()
			for _, choice := range known[:min(len(known), 2)] {
				if b, err := r.Resolve(t.Context(), documents{}, choice); err == nil {
					if _, report := config.Format("x.hcl", b.HCL("${", "a")); report.Err() != nil {
						t.Errorf("%s: %v\n%s", r.Name, report.Err(), b.HCL("${", "a"))
					}
				}
			}
		}
	})
}

// The catalogue in the documentation is one.
func TestTheDocumentedCatalogue(t *testing.T) {
	text, err := os.ReadFile("../../docs/quick.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```hcl\n")
	src, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no ```hcl in docs/quick.md")
	}
	file := filepath.Join(t.TempDir(), "own.hcl")
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, file)
	for version, want := range map[string]string{"": "http://mirror.lan/rescue/2026.2/amd64/vmlinuz", "2026.1": "http://mirror.lan/rescue/old/vmlinuz"} {
		if got := resolve(t, c, "rescue", recipes.Choice{Version: version}).Kernel; got != want {
			t.Errorf("version %q has the kernel %s, want %s", version, got, want)
		}
	}
}
