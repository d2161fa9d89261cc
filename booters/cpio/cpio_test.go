package cpio_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/cpio"
)

func TestArchiveIsTheSameInAnyOrder(t *testing.T) {
	a, err := cpio.Archive([]cpio.File{{"root/.ssh/key", 0o600, "secret"}, {"etc/hostname", 0o644, "db1\n"}, {"init.sh", 0o755, ""}})
	b, err2 := cpio.Archive([]cpio.File{{"etc/hostname", 0o644, "db1\n"}, {"init.sh", 0o755, ""}, {"root/.ssh/key", 0o600, "secret"}})
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if a != b {
		t.Error("another order makes other bytes")
	}
	if len(a)%512 != 0 {
		t.Errorf("%d bytes are no multiple of 512", len(a))
	}
}

// GNU cpio reads what Archive writes.
func TestArchiveIsReadByGNUCpio(t *testing.T) {
	program, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("cpio(1) is not installed")
	}
	archive, err := cpio.Archive([]cpio.File{{"root/.ssh/key", 0o600, "secret"}, {"etc/hostname", 0o644, "db1\n"}, {"tmp/x", 0o4755, "12345"}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-tv", "--numeric-uid-gid")
	cmd.Stdin = strings.NewReader(archive)
	var said bytes.Buffer
	cmd.Stderr = &said
	list, err := cmd.Output()
	if err != nil {
		t.Fatal(err, said.String())
	}
	var got [][2]string
	for line := range strings.Lines(string(list)) {
		words := strings.Fields(line)
		got = append(got, [2]string{words[0] + " " + words[4], words[len(words)-1]})
	}
	want := [][2]string{
		{"drwxr-xr-x 0", "etc"}, {"-rw-r--r-- 4", "etc/hostname"}, {"drwx------ 0", "root"}, {"drwxr-xr-x 0", "root/.ssh"},
		{"-rw------- 6", "root/.ssh/key"}, {"drwxrwxrwt 0", "tmp"}, {"-rwsr-xr-x 5", "tmp/x"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestArchiveIsBounded(t *testing.T) {
	if _, err := cpio.Archive([]cpio.File{{"a", 0o644, strings.Repeat("x", cpio.MaxBytes)}, {"b", 0o644, "x"}}); err == nil || !strings.Contains(err.Error(), "may have 4194304") {
		t.Errorf("too many bytes: %v", err)
	}
	if _, err := cpio.Archive(make([]cpio.File, cpio.MaxFiles+1)); err == nil || !strings.Contains(err.Error(), "1001 files") {
		t.Errorf("too many files: %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		name, want, replaces string
		bad                  bool
	}{
		{name: "/etc/hostname", want: "etc/hostname"},
		{name: "init", want: "init"},
		{name: "lib", want: "lib"}, // a file at the root, and no directory
		{name: "/lib/firmware/x", want: "lib/firmware/x", replaces: "lib"},
		{name: "", bad: true}, {name: "/", bad: true}, {name: ".", bad: true}, {name: "../x", bad: true}, {name: "a//b", bad: true},
		{name: "//a", bad: true}, {name: "a/", bad: true}, {name: "a/./b", bad: true}, {name: "a\x00b", bad: true}, {name: "TRAILER!!!", bad: true},
		{name: strings.Repeat("a", cpio.MaxName+1), bad: true},
	} {
		got, err := cpio.Clean(test.name)
		if got != test.want || (err != nil) != test.bad || cpio.Replaces(got) != test.replaces {
			t.Errorf("%q: %q, %v, replaces %q", test.name, got, err, cpio.Replaces(got))
		}
	}
	if got := cpio.Conflict([]string{"etc/a/b", "etc", "x"}); got != "etc" {
		t.Errorf("conflict: %q", got)
	}
	if got := cpio.Conflict([]string{"etc/a", "etc/b", "x"}); got != "" {
		t.Errorf("conflict: %q", got)
	}
}
