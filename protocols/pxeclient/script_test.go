package pxeclient

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
)

// web is a host without a network: URLs and what they hold.
type web struct {
	files   map[string]string
	offers  int // dhcp fails until it was run so often
	classes []string
	fetched []string
	x86     bool
}

func (w *web) fetch(_ context.Context, u *url.URL) (*Image, error) {
	w.fetched = append(w.fetched, u.String())
	text, ok := w.files[u.String()]
	if !ok {
		return nil, fmt.Errorf("%v: 404 Not Found", u)
	}
	return &Image{URL: u.String(), Size: int64(len(text)), head: []byte(text)}, nil
}

func (w *web) dhcp(_ context.Context, s settings) error {
	w.classes = append(w.classes, s.get("user-class"))
	if w.offers--; w.offers >= 0 {
		return ErrNoOffer
	}
	s.setString("filename", "http://srv/s")
	return nil
}

func (w *web) cpuid(ext, _ bool, bit int) (set, ok bool) { return ext && bit == 29, w.x86 }

func testSettings() settings {
	s := settings{
		"mac":  {"hex", testMAC},
		"uuid": {"uuid", testUUID[:]},
		"ip":   {"ipv4", []byte{192, 0, 2, 77}},
	}
	s.setString("product", "PowerEdge R640/é")
	s.setString("empty", "")
	return s
}

func interpret(w *web, script string) (Outcome, error) {
	in := &interpreter{host: w, settings: testSettings()}
	err := in.run(context.Background(), &Image{URL: "http://srv/dir/main", Size: int64(len(script)), head: []byte(script)})
	return in.outcome, err
}

func TestScripts(t *testing.T) {
	image := func(name, url string) Image { return Image{Name: name, URL: url, Size: 4} }
	kernel := func() *Image { i := image("kernel", "http://srv/k"); return &i }
	bins := map[string]string{
		"http://srv/k": "KERN", "http://srv/i0": "INIT", "http://srv/i1": "INIT", "http://srv/ready": "# ok", "http://srv/dir/beside": "BESI",
		"http://srv/echo": "#!ipxe\necho chained",
		"http://srv/fail": "#!ipxe\nexit 3",
		"http://srv/boot": "#!ipxe\nboot http://srv/k from chain",
	}
	tests := []struct {
		name, script string
		want         Outcome
		err          string
	}{
		{
			"the script of the original",
			`
kernel --name kernel http://srv/k
initrd --name initrd0 http://srv/i0
initrd --name initrd1 http://srv/i1
imgfetch --name ready http://srv/ready ||
imgfree ready ||
boot kernel initrd=initrd0 initrd=initrd1 console=ttyS0 a=b`,
			Outcome{Action: ActionBoot, Kernel: kernel(), Initrds: []Image{image("initrd0", "http://srv/i0"), image("initrd1", "http://srv/i1")},
				Cmdline: "initrd=initrd0 initrd=initrd1 console=ttyS0 a=b"}, "",
		},
		{
			"the arguments of kernel, and URLs relative to the script",
			"kernel beside quiet\nboot",
			Outcome{Action: ActionBoot, Kernel: &Image{Name: "beside", URL: "http://srv/dir/beside", Size: 4}, Cmdline: "quiet"}, "",
		},
		{
			"imgargs",
			"kernel -n kernel http://srv/k old\nimgargs kernel new args\nboot",
			Outcome{Action: ActionBoot, Kernel: kernel(), Cmdline: "new args"}, "",
		},
		{
			"expansion, by type and nested",
			"set name product\necho ${net0/mac} ${mac:hexhyp} ${netX/mac:hexraw} ${ip} ${uuid}\necho ${product:uristring} ${${name}} [${nothing}] ${ip:nonsense}|",
			Outcome{Action: ActionNone, Messages: []string{
				"52:54:00:12:34:56 52-54-00-12-34-56 525400123456 192.0.2.77 aa000000-0000-0000-0000-0000000000ff",
				"PowerEdge%20R640%2F%C3%A9 PowerEdge R640/é [] |",
			}}, "",
		},
		{
			"a setting keeps its type",
			"set space:hex 20\necho [${space}] [${space:string}]\nset n:int32 41\ninc n\necho ${n} ${n:hexraw} ${n:uint8}",
			Outcome{Messages: []string{"[20] [ ]", "42 0000002a 0x2a"}}, "",
		},
		{
			"words are found before settings are expanded",
			"set bar:hex 7c7c\necho a ${bar:string} b # a comment\n#echo comment",
			Outcome{Messages: []string{"a || b"}}, "",
		},
		{
			"and, or",
			"isset ${mac} && set a x || set a y\nisset ${no} && set b x || set b y\niseq ${a}${b} xy && echo yes ||\nisset ${no} ||\nisset ${no} ; echo after",
			Outcome{Messages: []string{"yes", "after"}}, "",
		},
		{"an unhandled failure ends the script", "echo a\nisset ${no}\necho b", Outcome{Messages: []string{"a"}}, "main:3: isset: no"},
		{"an unknown command fails", "frobnicate", Outcome{}, "frobnicate: command not found"},
		{"which can be handled", "frobnicate || echo no", Outcome{Messages: []string{"no"}}, ""},
		{
			"a loop that counts",
			":again\ninc n\niseq ${n} 3 && goto done ||\necho ${n}\nsleep 100000\ngoto again\n:done\nexit 1",
			Outcome{Messages: []string{"1", "2"}}, "exit status 1",
		},
		{"goto leaves its line", "goto x && echo no\necho no\n:x a label\necho yes", Outcome{Messages: []string{"yes"}}, ""},
		{"goto without a label", "goto nowhere || echo handled", Outcome{Messages: []string{"handled"}}, ""},
		{"cpuid", "cpuid --ext 29 && echo x64 || echo ia32\ncpuid 0 || echo none", Outcome{Messages: []string{"x64", "none"}}, ""},
		{"a chained script returns", "chain http://srv/echo\necho back", Outcome{Messages: []string{"chained", "back"}}, ""},
		{"its failure is the chain's", "chain --autofree http://srv/fail || echo failed", Outcome{Messages: []string{"failed"}}, ""},
		{"unless it replaces the script", "chain --replace --autofree http://srv/fail || echo failed\necho back", Outcome{}, "exit status 3"},
		{"it did not, where there is none", "chain --replace http://srv/nothing || echo none", Outcome{Messages: []string{"none"}}, ""},
		{"a chained script boots", "chain http://srv/boot\necho never",
			Outcome{Action: ActionBoot, Kernel: &Image{Name: "k", URL: "http://srv/k", Size: 4}, Cmdline: "from chain"}, ""},
		{"a chained program", "chain http://srv/k arg",
			Outcome{Action: ActionImage, Kernel: &Image{Name: "k", URL: "http://srv/k", Size: 4}, Cmdline: "arg"}, ""},
		{"the local disk of a BIOS", "sanboot --no-describe --drive 0x80 ||\nexit 1", Outcome{Action: ActionSanboot, Target: "0x80"}, ""},
		{"a disk from the network", "sanboot http://srv/iso", Outcome{Action: ActionSanboot, Target: "http://srv/iso"}, ""},
		{"a prompt with an end", "prompt --key 0x02 --timeout 2000 Press it && shell || echo nobody", Outcome{Messages: []string{"Press it", "nobody"}}, ""},
		{"a prompt without", "prompt Press any key", Outcome{Action: ActionShell, Messages: []string{"Press any key"}}, ""},
		{
			"a menu with a default and a time limit",
			"menu What to boot\nitem --gap -- - Systems\nitem --key l linux Linux ${mac:hexhyp}\nitem\nitem disk Local disk\nchoose --timeout 3000 --default disk os && echo ${os} ||",
			Outcome{Messages: []string{"What to boot", "- Systems", "Linux 52-54-00-12-34-56", "", "Local disk", "disk"}}, "",
		},
		{
			"an item that is the default, and a menu that is kept",
			"menu -n m\nitem -m m a A\nitem -m m --default b\nchoose -k -m m -t 1 x\nchoose -m m -d no -t 1 y\necho ${x} ${y}\nchoose -m m -t 1 z || echo gone",
			Outcome{Messages: []string{"", "A", "", "", "A", "", "b a", "gone"}}, "",
		},
		{"a menu without a time limit", "menu\nitem a A\nchoose x", Outcome{Action: ActionShell, Messages: []string{"", "A"}}, ""},
		{"nor with one of 0", "menu\nitem a A\nchoose --timeout 0 x", Outcome{Action: ActionShell, Messages: []string{"", "A"}}, ""},
		{
			"a menu that nothing can be chosen from",
			"item a || choose --timeout 1 a ||\nmenu\nchoose ||\nitem --gap a\nchoose --timeout x a || choose --timeout 1 a || echo end\nmenu --delete",
			Outcome{Messages: []string{"end"}}, "",
		},
		{"reboot, poweroff", "reboot", Outcome{Action: ActionReboot}, ""},
		{"shell", "shell", Outcome{Action: ActionShell}, ""},
		{"boot without a kernel", "boot", Outcome{}, "no image is selected"},
		{"a continued line", "echo a \\\n  b\nnope", Outcome{Messages: []string{"a b"}}, "main:4: nope"},
		{"carriage returns", "echo a\r\necho b\r", Outcome{Messages: []string{"a", "b"}}, ""},
		{"echo's option, and text that begins with a dash", "echo -n a\necho -- -b", Outcome{Messages: []string{"a", "-b"}}, ""},
		{"wrong arguments", "iseq a || set || clear || goto || inc a b c || cpuid 99 || exit a b || imgargs || imgfree x || echo end", Outcome{Messages: []string{"end"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := interpret(&web{files: bins, x86: true}, "#!ipxe\n"+strings.TrimPrefix(tt.script, "\n"))
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Image{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if e := reason(err); tt.err == "" && e != "" || !strings.Contains(e, tt.err) {
				t.Errorf("got error %q, want %q", e, tt.err)
			}
		})
	}
}

func TestAnARMHasNoCpuid(t *testing.T) {
	got, _ := interpret(&web{}, "#!ipxe\nset cpu ia32\ncpuid 0 || set cpu unknown\necho ${cpu}")
	if diff := cmp.Diff([]string{"unknown"}, got.Messages); diff != "" {
		t.Error(diff)
	}
}

func TestDHCPRunsWithTheUserClassOfTheScript(t *testing.T) {
	w := &web{offers: 2, files: map[string]string{"http://srv/s": "#!ipxe\necho ${filename}\nexit"}}
	got, err := interpret(w, `#!ipxe
set user-class pixiecore
:dhcp
dhcp && goto chain ||
inc tries
iseq ${tries} 10 && goto nodhcp ||
goto dhcp
:nodhcp
exit 1
:chain
chain --replace ${filename}`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pixiecore", "pixiecore", "pixiecore"}, w.classes); diff != "" {
		t.Errorf("user classes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"http://srv/s"}, got.Messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestTheURLOfAScriptIsEscaped(t *testing.T) {
	w := &web{}
	_, _ = interpret(w, "#!ipxe\nchain http://srv/s?mac=${mac:hexhyp}&product=${product:uristring}&raw=${product}")
	want := []string{"http://srv/s?mac=52-54-00-12-34-56&product=PowerEdge%20R640%2F%C3%A9&raw=PowerEdge%20R640/é"}
	if diff := cmp.Diff(want, w.fetched); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestScriptsThatDoNotEnd: each way to go in circles meets its bound.
func TestScriptsThatDoNotEnd(t *testing.T) {
	w := &web{files: map[string]string{"http://srv/dir/main": "#!ipxe\nchain --replace main"}}
	for name, script := range map[string]string{
		"goto":      ":a\ngoto a",
		"handled":   ":a\nisset ${no} ||\ngoto a",
		"chain":     "chain main || echo handled",
		"fetch":     ":a\nimgfetch nothing ||\ngoto a",
		"expansion": "set x:uristring %24%7bx:string%7d\necho ${x:string}",
		"doubling":  "set x aaaaaaaaaaaaaaaa\n:a\nset x ${x}${x}\ngoto a",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := interpret(w, "#!ipxe\n"+script); !errors.Is(err, ErrLoop) {
				t.Errorf("got %v, want %v", err, ErrLoop)
			}
		})
	}
}

func FuzzScript(f *testing.F) {
	f.Add("set a b\n:x\ninc n\niseq ${n} 3 && goto y ||\ngoto x\n:y\nkernel k a=${mac:hexhyp}\ninitrd k\nboot")
	f.Add("chain --replace ${x:uristring} || sanboot --drive 0x80 ; exit 1")
	f.Add("set x:hex 247b787d\necho ${x:string}\nprompt --timeout 1 -- a \\\nb")
	f.Add("menu -n m t\nitem -m m --default a A\nitem -m m -g\nchoose -m m -k -t 1 x\nchoose -m m --default b y && goto ${y}")
	f.Add("imgfree\nimgargs k\ncpuid -e 29 && dhcp || dhcp\necho ${${${")
	f.Fuzz(func(t *testing.T, script string) {
		w := &web{x86: true, files: map[string]string{"http://srv/dir/k": "KERN", "http://srv/dir/s": "#!ipxe\n" + script}}
		got, err := interpret(w, "#!ipxe\n"+script)
		if got.Action == ActionBoot && (err != nil || got.Kernel == nil) {
			t.Fatalf("boots %v with error %v", got.Kernel, err)
		}
		if len(w.fetched) > maxFetches || len(got.Messages) > maxMessages {
			t.Fatalf("%d downloads, %d messages", len(w.fetched), len(got.Messages))
		}
	})
}

// TestExampleScripts holds that the scripts of the examples run to their end,
// for a machine at which nobody sits.
func TestExampleScripts(t *testing.T) {
	bios := boot.Machine{MAC: testMAC, Arch: boot.ArchX64, Firmware: boot.FirmwareX86PC, Probed: true}
	// The addresses of booters.Preview: pixiecore fetches for the machine.
	const server = "http://SERVER/"
	windows := map[string]string{server + "file.winpeshl": "INI", server + "file.install": "BAT"}
	for _, name := range []string{"wimboot", "bcd", "boot.sdi", "boot.wim"} {
		windows[server+"http://192.0.2.10/windows/"+name] = name
	}
	const debian = server + "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/"
	trixie := map[string]string{debian + "linux": "KERN", debian + "initrd.gz": "INIT"}
	type end struct {
		Action  Action
		Target  string
		Kernel  string
		Cmdline string
		Initrds []string
		Err     string
	}
	disk, firmware := end{Action: ActionSanboot, Target: "0x80"}, end{Err: "exit status 1"}
	tests := []struct {
		name, file, boot string
		platform         string // as iPXE says it
		choice           string // what is chosen in place of the local disk
		files            map[string]string
		want             end
	}{
		{"a menu that nobody reads, BIOS", "menu.hcl", "menu", "pcbios", "", nil, disk},
		{"a menu that nobody reads, UEFI", "menu.hcl", "menu", "efi", "", nil, firmware},
		{"an item of the menu", "menu.hcl", "menu", "efi", "trixie", trixie,
			end{Action: ActionBoot, Kernel: "linux", Cmdline: "initrd=initrd.gz priority=low", Initrds: []string{"initrd.gz"}}},
		{"an item whose mirror is away", "menu.hcl", "menu", "pcbios", "bookworm", nil, disk},
		{"the menu's shell", "menu.hcl", "menu", "efi", "shell", nil, end{Action: ActionShell}},
		{"Windows", "windows.hcl", "winpe", "efi", "", windows,
			end{Action: ActionBoot, Kernel: "wimboot", Initrds: []string{"bcd", "boot.sdi", "winpeshl.ini", "install.bat", "boot.wim"}}},
		{"Windows whose files are away, BIOS", "windows.hcl", "winpe", "pcbios", "", nil, disk},
		{"Windows whose files are away, UEFI", "windows.hcl", "winpe", "efi", "", nil, firmware},
		{"a stranger among the nodes", "diskless-cluster.hcl", "stranger", "efi", "", nil, firmware},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			script := exampleScript(t, tt.file, tt.boot, bios)
			if tt.choice != "" {
				script = strings.Replace(script, "--default disk", "--default "+tt.choice, 1)
			}
			in := &interpreter{host: &web{files: tt.files}, settings: testSettings()}
			in.settings.setString("platform", tt.platform)
			err := in.run(t.Context(), &Image{URL: "http://srv/boot", Size: int64(len(script)), head: []byte(script)})
			got := end{Action: in.outcome.Action, Target: in.outcome.Target, Cmdline: in.outcome.Cmdline}
			if k := in.outcome.Kernel; k != nil {
				got.Kernel = k.Name
			}
			for _, i := range in.outcome.Initrds {
				got.Initrds = append(got.Initrds, i.Name)
			}
			if code := exitError(0); errors.As(err, &code) {
				got.Err = code.Error()
			} else if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("end (-want +got):\n%s", diff)
			}
		})
	}
}

// exampleScript is the script of a boot of an example, as that machine gets it.
func exampleScript(t *testing.T, file, name string, m boot.Machine) string {
	t.Helper()
	cfg, report := config.Load("../../examples/" + file)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	for _, r := range cfg.Rules {
		switch a := r.Action; {
		case a.Boot != name:
		case a.Render == nil:
			return a.Spec.IpxeScript
		default:
			spec, err := a.Render(booters.Preview(cfg.Inventory, m))
			if err != nil {
				t.Fatal(err)
			}
			return spec.IpxeScript
		}
	}
	t.Fatalf("%s: no rule boots %s", file, name)
	return ""
}
