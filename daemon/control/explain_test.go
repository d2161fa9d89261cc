package control

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/loaders"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// compile makes a configuration of src, with a loader for BIOS machines only.
func compile(t testing.TB, src string) Configuration {
	t.Helper()
	cfg, report := config.Parse("pixiecore.hcl", []byte(src))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	seal, err := booters.NewSealer(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	table, err := booters.NewTable(seal, booters.NewSources(), cfg.Inventory, cfg.Rules)
	if err != nil {
		t.Fatal(err)
	}
	bios := filepath.Join(t.TempDir(), "undionly.kpxe")
	if err := os.WriteFile(bios, bytes.Repeat([]byte("undionly"), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	set, _, err := loaders.Load(map[boot.Firmware]string{boot.FirmwareX86PC: bios}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Configuration{Gen: 7, Config: cfg, Table: table, Loaders: set}
}

const lab = `
listener "http" {}
boot "linux" {
  kernel  = "/srv/linux"
  initrd  = ["/srv/initrd"]
  cmdline = "quiet"
}
rule "printers" {
  match { mac = "00:80:77:*" }
  ignore = true
}
rule "serial" {
  match {
    mac    = "52:54:00:*"
    serial = "S1"
  }
  local = true
}
rule "x64" {
  match { arch = "x64" }
  boot = boot.linux
}
`

func TestExplain(t *testing.T) {
	c := compile(t, lab)
	for _, tc := range []struct {
		name string
		q    Question
		want []Walk // but for offers and scripts
	}{
		{"ignored at once", Question{MAC: "00:80:77:00:00:01"}, []Walk{
			{Stage: "firmware", Action: "ignore", Rule: "printers", At: "pixiecore.hcl:8", Steps: []Step{{"printers", "pixiecore.hcl:8", "true", ""}}},
		}},
		{"a serial number that decides", Question{MAC: "52:54:00:00:00:01", Firmware: "efi64", Facts: map[string]string{"serial": "S1"}}, []Walk{
			{Stage: "firmware", Action: "probe", Rule: "serial", At: "pixiecore.hcl:12", Steps: []Step{
				{"printers", "pixiecore.hcl:8", "false", "mac"}, {"serial", "pixiecore.hcl:12", "unknown", "serial"}, {"x64", "pixiecore.hcl:19", "true", ""},
			}},
			{Stage: "ipxe", Action: "local", Rule: "serial", At: "pixiecore.hcl:12", Steps: []Step{
				{"printers", "pixiecore.hcl:8", "false", "mac"}, {"serial", "pixiecore.hcl:12", "true", ""},
			}},
		}},
		{"a CPU of which nothing is known yet", Question{MAC: "52:55:00:00:00:01", Arch: "x64", Early: true}, []Walk{
			{Stage: "firmware", Action: "probe", Rule: "x64", At: "pixiecore.hcl:19", Steps: []Step{
				{"printers", "pixiecore.hcl:8", "false", "mac"}, {"serial", "pixiecore.hcl:12", "false", "mac"}, {"x64", "pixiecore.hcl:19", "unknown", "arch"},
			}},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Explain(t.Context(), c, tc.q, false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Walks, cmpopts.IgnoreFields(Walk{}, "Offers", "Script")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExplainTellsWhatTheMachineIsGiven(t *testing.T) {
	c := compile(t, lab)
	got, err := Explain(t.Context(), c, Question{MAC: "52:55:00:00:00:01", Arch: "x64"}, false)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := c.Loaders.Get(boot.FirmwareX86PC)
	want := []Offer{
		{Stage: "rom", Offer: "loader", File: "TOKEN/undionly.kpxe", Loader: l.Path},
		{Stage: "ipxe", Offer: "script", File: "http://SERVER/_/ipxe?token=TOKEN"},
	}
	if diff := cmp.Diff(want, got.Walks[0].Offers); diff != "" {
		t.Error(diff)
	}
	w := got.Walks[1]
	if w.Boot != "linux" || w.Kernel != "/srv/linux" || w.Cmdline != "quiet" || !cmp.Equal(w.Initrd, []string{"/srv/initrd"}) ||
		!strings.Contains(w.Script, "kernel --name kernel http://SERVER/_/file?name=") || !strings.HasSuffix(w.Script, "boot kernel initrd=initrd0 quiet\n") {
		t.Errorf("got %+v", w)
	}
	// A platform without a loader gets no answer, and that is said.
	got, err = Explain(t.Context(), c, Question{MAC: "52:55:00:00:00:01", Firmware: "efi64"}, false)
	if err != nil || got.Walks[0].Offers[0].Error != "there is no loader for efi64, so the machine gets no answer" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// What depends on the machine is told for this machine.
func TestExplainAndPlanRender(t *testing.T) {
	const of = "cmdline = \"host=${machine.name}\""
	q := Question{MAC: "52:55:00:00:00:01", Arch: "x64"}
	old, c := compile(t, lab), compile(t, strings.Replace(lab, `cmdline = "quiet"`, of, 1))
	got, err := Explain(t.Context(), c, q, false)
	if w := got.Walks[1]; err != nil || w.Cmdline != "host=52-55-00-00-00-01" || !strings.HasSuffix(w.Script, " host=52-55-00-00-00-01\n") {
		t.Errorf("got %+v, %v", w, err)
	}
	changes := Compare(Draw(old, []Question{q}), Draw(c, []Question{q}))
	if last := changes[len(changes)-1]; last.What != "machine" || last.Name != q.MAC {
		t.Errorf("got %+v", changes)
	}
}

// The address of a secret would be good for whoever reads an explanation; and a
// file that changes is a change of what the machine gets.
func TestExplainAndPlanOfFiles(t *testing.T) {
	of := func(text string) Configuration {
		return compile(t, strings.Replace(lab, `cmdline = "quiet"`, "cmdline = \"key=${url(file.key)}\"\n  file \"key\" {\n    content = \""+text+" ${machine.name}\"\n    secret  = true\n  }", 1))
	}
	q := Question{MAC: "52:55:00:00:00:01", Arch: "x64"}
	old, c := of("hunter2"), of("hunter3")
	got, err := Explain(t.Context(), c, q, false)
	w := got.Walks[1]
	if err != nil || w.Cmdline != "key=http://SERVER/file.key" || !strings.HasSuffix(w.Script, " key=http://SERVER/file.key\n") || strings.Contains(w.Script, "hunter") {
		t.Errorf("got %+v, %v", w, err)
	}
	changes := Compare(Draw(old, []Question{q}), Draw(c, []Question{q}))
	if last := changes[len(changes)-1]; last.What != "machine" || last.Name != q.MAC {
		t.Errorf("got %+v", changes)
	}
}

func TestExplainTellsOfAHold(t *testing.T) {
	c := compile(t, lab)
	for _, h := range []status.Hold{{}, {Rule: "x64"}} {
		c.Holds = []status.Hold{{Rule: "another"}, h}
		got, err := Explain(t.Context(), c, Question{MAC: "52:55:00:00:00:01", Firmware: "efi64"}, false)
		if err != nil || len(got.Walks) != 1 || got.Walks[0].Action != "ignore" || got.Walks[0].Held != h.Why() || got.Walks[0].Offers[0].Offer != "nothing" {
			t.Errorf("%+v: got %+v, %v", h, got.Walks, err)
		}
	}
}

func TestAQuestionThatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		q    Question
		want string
	}{
		{Question{MAC: "52:54"}, "not an address"},
		{Question{MAC: "52:54:00:00:00:01", Firmware: "uefi"}, "several are called so"},
		{Question{MAC: "52:54:00:00:00:01", Firmware: "efi64", Arch: "arm64"}, "no machine with firmware efi64 has it; it is one of [x64]"},
		{Question{MAC: "52:54:00:00:00:01", Arch: "x65"}, `architecture "x65"`},
		{Question{MAC: "52:54:00:00:00:01", Facts: map[string]string{"colour": "red"}}, `fact "colour"`},
		{Question{MAC: "52:54:00:00:00:01", Facts: map[string]string{"subnet": "here"}}, `subnet "here"`},
		{Question{MAC: "52:54:00:00:00:01", Facts: map[string]string{"relay": "here"}}, `relay "here"`},
	} {
		if _, err := tc.q.Machine(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want %q", tc.q, err, tc.want)
		}
	}
}

func TestAskIsWhatTheDaemonKnows(t *testing.T) {
	mac, _ := net.ParseMAC("52:54:00:00:00:01")
	for _, tc := range []struct {
		name  string
		facts events.Facts
		early bool
	}{
		{"DHCP only", events.Facts{Arch: "ia32", Firmware: "bios", UUID: "4c4c4544-0042-3510-8053-b4c04f463433"}, true},
		{"a CPU that iPXE has seen", events.Facts{Arch: "x64", Firmware: "bios"}, false},
		{"a serial number", events.Facts{Arch: "x64", Firmware: "efi64", Serial: "S1"}, false},
	} {
		if q := Ask(events.Machine{MAC: [6]byte(mac), Facts: tc.facts}); q.Early != tc.early || q.MAC != mac.String() {
			t.Errorf("%s: got %+v", tc.name, q)
		}
	}
}

// What a machine said in DHCP comes through a Question as it was.
func TestAQuestionCarriesWhatDHCPTold(t *testing.T) {
	heard := &boot.Facts{
		Known: boot.DHCPFacts &^ boot.FactUUID, Transport: boot.TransportPXE, Interface: "eth0", Listener: "0.0.0.0:67",
		Subnets:     []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.1/32")},
		VendorClass: "PXEClient", CircuitID: "rack 7, port 3",
	}
	for _, relay := range []netip.Addr{{}, netip.MustParseAddr("192.0.2.9")} {
		heard.Relay = relay
		q := Question{MAC: "52:54:00:00:00:01", Facts: map[string]string{"serial": "S1"}}.With(heard)
		m, err := q.Machine()
		want := *heard
		want.Known |= boot.FactSerial
		want.Serial = "S1"
		if diff := cmp.Diff(&want, m.Facts, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}

func TestCompare(t *testing.T) {
	machines := []Question{{MAC: "52:54:00:00:00:01", Firmware: "efi64"}, {MAC: "00:80:77:00:00:01"}, {MAC: "52:55:00:00:00:01", Arch: "x64"}}
	for _, tc := range []struct {
		name, old, new string
		want           []Change
	}{
		{"nothing", "", "", []Change{}},
		{"a comment", "rule \"x64\"", "# for machines of 64 bits\nrule \"x64\"", []Change{}},
		{"a kernel", "/srv/linux", "/srv/linux-2", []Change{
			{What: "rule", Name: "x64", Old: "boots linux", New: "boots linux, which has changed"},
			{What: "machine", Name: "52:54:00:00:00:01", Old: `boots linux by rule "x64"`, New: `boots linux by rule "x64", which has changed`},
			{What: "machine", Name: "52:55:00:00:00:01", Old: `boots linux by rule "x64"`, New: `boots linux by rule "x64", which has changed`},
		}},
		// A machine that gets the same by another rule does not change.
		{"a match", `"00:80:77:*"`, `"00:80:78:*"`, []Change{
			{What: "rule", Name: "printers", Old: "is ignored", New: "is ignored, with other conditions"},
		}},
		{"a rule's name", `rule "printers"`, `rule "paper"`, []Change{
			{What: "rule", Name: "paper", New: "is ignored"}, {What: "rule", Name: "printers", Old: "is ignored"},
		}},
		{"an outcome", "mac = \"00:80:77:*\" }\n  ignore = true", "mac = \"00:80:77:*\" }\n  local = true", []Change{
			{What: "rule", Name: "printers", Old: "is ignored", New: "boots its own disk"},
			{What: "machine", Name: "00:80:77:00:00:01", Old: `is ignored by rule "printers"`, New: `boots its own disk by rule "printers"`},
		}},
		{"uploads that are kept", `listener "http" {}`, "listener \"http\" {}\nuploads { dir = \"/srv/up\" }", []Change{
			{What: "block", Name: "uploads", New: "keeps what machines send in /srv/up: 16.0 MiB of a file at most, and 1.0 GiB of all"},
		}},
		{"a cache, and whom its servers are verified by", `listener "http" {}`, "listener \"http\" {}\ncache {\n  max_size = \"1GiB\"\n  prefetch = true\n}\nfetch { ca = \"/etc/ca.pem\" }", []Change{
			{What: "block", Name: "cache", New: "keeps files of other servers in the usual directory: 1.0 GiB at most, fetched beforehand"},
			{What: "block", Name: "fetch", New: "trusts the authorities in /etc/ca.pem"},
		}},
		{"a listener", `listener "http" {}`, "listener \"http\" {}\nlistener \"status\" {}", []Change{{What: "listener", Name: "status 127.0.0.1:8067", New: "is served"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old := compile(t, lab)
			next := compile(t, strings.Replace(lab, tc.old, tc.new, 1))
			next.Loaders = old.Loaders
			if diff := cmp.Diff(tc.want, Compare(Draw(old, machines), Draw(next, machines))); diff != "" {
				t.Error(diff)
			}
		})
	}
	a, b := Element{Name: "a"}, Element{Name: "b"}
	if !reordered([]Element{a, b}, []Element{b, a}) || reordered([]Element{a, b}, []Element{b}) || reordered([]Element{a, b}, []Element{a, {Name: "c"}, b}) {
		t.Error("the order of rules")
	}
}

// An API is asked when the operator says so, and by nothing else.
func TestAnAPIIsAskedOnRequest(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Query().Get("serial") == "" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, `{"kernel": "linux?token=secret", "cmdline": "quiet"}`)
	}))
	defer srv.Close()
	src := `
listener "http" {}
boot "inventory" { api = "` + strings.Replace(srv.URL, "http://", "http://me:secret@", 1) + `/netboot" }
rule "lab" { boot = boot.inventory }
`
	c := compile(t, src)
	q := Question{MAC: "52:54:00:00:00:01", Firmware: "efi64", Early: true}
	at := strings.Replace(srv.URL, "http://", "http://redacted@", 1) + "/netboot/v1/boot/52:54:00:00:00:01?arch=x64&firmware=efi64"

	x, err := Explain(t.Context(), c, q, false)
	if err != nil {
		t.Fatal(err)
	}
	if w := x.Walks[0]; w.Action != "boot" || w.Boot != "inventory" || w.Asks != at || w.Asked || len(w.Offers) == 0 {
		t.Errorf("not asked: %+v", w)
	}
	same, changed := Draw(c, []Question{q}), Draw(compile(t, strings.Replace(src, "/netboot", "/other", 1)), []Question{q})
	if asked != 0 {
		t.Fatalf("the API was asked %d times", asked)
	}
	if diff := Compare(same, Draw(c, []Question{q})); len(diff) != 0 {
		t.Errorf("a picture differs from itself: %v", diff)
	}
	changed.Loaders = same.Loaders // which lie in a folder of each test's own
	if diff := Compare(same, changed); len(diff) != 2 || diff[0].What != "rule" || diff[1].What != "machine" {
		t.Errorf("another API: got %+v, want the rule and the machine", diff)
	}

	if x, err = Explain(t.Context(), c, q, true); err != nil {
		t.Fatal(err)
	}
	if w := x.Walks[0]; w.Action != "ignore" || !w.Asked || !strings.Contains(w.Held, "404 Not Found") || len(x.Walks) != 1 {
		t.Errorf("refused: %+v", x)
	}
	q.Early, q.Facts = false, map[string]string{"uuid": "4c4c4544-0042-3510-8053-b4c04f463433", "serial": "7"}
	w, _ := walk(t.Context(), c, "ipxe", must(q.Machine()), true)
	if want := strings.Replace(srv.URL, "http://", "http://redacted@", 1) + "/netboot/linux?redacted"; w.Action != "boot" || w.Kernel != want || !strings.Contains(w.Script, "boot kernel quiet") {
		t.Errorf("got %+v, want the kernel %s", w, want)
	}
	srv.Close()
	if w, _ := walk(t.Context(), c, "ipxe", must(q.Machine()), true); !strings.Contains(w.Error, "connection refused") {
		t.Errorf("down: %+v", w)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestExplainShowsWhatAnotherLoaderIsGiven(t *testing.T) {
	c := compile(t, `
listener "http" {}
secure_boot {
  shim = "/srv/shim-${machine.arch}.efi"
  grub = "https://user:pass@example.org/grub.efi?key"
}
boot "debian" {
  kernel  = "/srv/linux"
  initrd  = ["/srv/initrd"]
  cmdline = "quiet"
}
boot "image" { efi = "/srv/image.efi" }
rule "image" {
  match { mac = "52:54:00:00:00:02" }
  boot = boot.image
}
rule "all" { boot = boot.debian }
`)
	x, err := Explain(t.Context(), c, Question{MAC: "52:54:00:00:00:01", Firmware: "efi64"}, false)
	if err != nil || len(x.Walks) != 2 {
		t.Fatalf("got %+v, %v", x, err)
	}
	want := Offer{Stage: "rom", Offer: "shim", File: "TOKEN/shimx64.efi", Loader: "/srv/shim-x64.efi", Then: "https://redacted@example.org/grub.efi?redacted"}
	if diff := cmp.Diff(want, x.Walks[0].Offers[0]); diff != "" {
		t.Errorf("the first offer (-want +got):\n%s", diff)
	}
	if w := x.Walks[1]; w.Stage != "shim" || w.Loader != "shim" || w.Kernel != "/srv/linux" || !strings.Contains(w.Script, "if linux /TOKEN/kernel 'quiet'; then\nif initrd /TOKEN/initrd0; then\n") {
		t.Errorf("what GRUB is given: %+v", w)
	}
	x, err = Explain(t.Context(), c, Question{MAC: "52:54:00:00:00:02", Firmware: "efi64"}, false)
	if err != nil || len(x.Walks) != 2 || x.Walks[0].Offers[0].Loader != "/srv/image.efi" || x.Walks[1].Stage != "native" || x.Walks[1].Script != "" {
		t.Errorf("of an EFI program: %+v, %v", x, err)
	}
	x, err = Explain(t.Context(), c, Question{MAC: "52:54:00:00:00:02"}, false)
	if err != nil || len(x.Walks) != 2 || !strings.Contains(x.Walks[1].Error, "only a machine with UEFI can start") {
		t.Errorf("of an EFI program, on a BIOS: %+v, %v", x, err)
	}

	// Another shim is a change, although nothing that iPXE is given differs.
	draw := func(shim string) Picture {
		c := compile(t, `
listener "http" {}
boot "debian" {
  kernel = "/srv/linux"
  secure_boot {
    shim = "`+shim+`"
    grub = "/srv/grub"
  }
}
rule "all" { boot = boot.debian }
`)
		return Draw(c, []Question{{MAC: "52:54:00:00:00:01", Firmware: "efi64", Arch: "x64"}, {MAC: "52:54:00:00:00:02", Firmware: "bios"}})
	}
	var changed []string
	for _, c := range Compare(draw("/srv/a"), draw("/srv/b")) {
		if c.What != "loader" { // which lies in a folder of each
			changed = append(changed, c.What+" "+c.Name)
		}
	}
	if diff := cmp.Diff([]string{"rule all", "machine 52:54:00:00:00:01"}, changed); diff != "" {
		t.Errorf("what another shim changes (-want +got):\n%s", diff)
	}
}
