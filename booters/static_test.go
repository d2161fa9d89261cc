package booters

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestStaticKeepsTheIDsOfTheOriginal(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"linux", "a.gz", "b.gz", "preseed", "late"} {
		if err := os.WriteFile(name, []byte("bytes of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Static(&boot.Spec{
		Kernel:  "linux",
		Initrd:  []boot.ID{"a.gz", "./b.gz"},
		Cmdline: `  url={{ ID "preseed" }} late={{ ID "late" }} again={{ ID "preseed" }}` + "\n",
		Message: "hello",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("/") // relative paths are those of the start

	got, err := b.BootSpec(boot.Machine{MAC: mac("52:54:00:aa:00:01")})
	if err != nil {
		t.Fatal(err)
	}
	want := &boot.Spec{
		Kernel:  "kernel",
		Initrd:  []boot.ID{"initrd-0", "initrd-1"},
		Cmdline: `url={{ ID "other-0" }} late={{ ID "other-1" }} again={{ ID "other-2" }}`,
		Message: "hello",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for id, name := range map[boot.ID]string{
		"kernel": "linux", "initrd-0": "a.gz", "initrd-1": "b.gz", "other-0": "preseed", "other-1": "late", "other-2": "preseed",
	} {
		r, size, err := b.ReadBootFile(id)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		got, err := io.ReadAll(r)
		r.Close()
		if want := "bytes of " + name; string(got) != want || err != nil || size != int64(len(want)) {
			t.Errorf("%s: got %q, %v, size %d, want %q", id, got, err, size, want)
		}
	}
	for _, id := range []boot.ID{"", "linux", "initrd-2", "initrd-00", "other-3", "/etc/passwd"} {
		_, _, err := b.ReadBootFile(id)
		if !errors.Is(err, boot.ErrNotFound) || !strings.Contains(err.Error(), "no file with ID") {
			t.Errorf("%q: got %v, want boot.ErrNotFound", id, err)
		}
	}
	if err := b.WriteBootFile("anything", strings.NewReader("x")); err != nil {
		t.Errorf("WriteBootFile: got %v, want nil", err)
	}
}

func TestStaticRefusesWhatCannotBoot(t *testing.T) {
	for _, tt := range []struct {
		spec *boot.Spec
		want string
	}{
		{nil, "static booter: there is nothing to boot"},
		{&boot.Spec{}, "static booter: kernel: no path or URL is given"},
		{&boot.Spec{Kernel: "ftp://host/linux"}, `static booter: kernel: URL "ftp://host/linux": the scheme "ftp" is neither http nor https`},
		{&boot.Spec{Kernel: "linux", Cmdline: `{{ ID "" }}`}, "static booter: cmdline: no path or URL is given"},
		{&boot.Spec{Kernel: "linux", Cmdline: `{{ URL "x" }}`}, `static booter: cmdline:1: function "URL" not defined`},
	} {
		if _, err := Static(tt.spec); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}
