package cli_test

import (
	"bytes"
	stdcmp "cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/daemon/cli"
)

// A check tells what is there from what is gone, and from what a server does not
// say.
func TestQuickCheckAsksTheMirror(t *testing.T) {
	const dir = "/debian/dists/stable/main/installer-amd64/current/images/netboot/debian-installer/amd64/"
	answers := map[string]int{"/debian/dists/stable/Release": http.StatusOK, dir + "linux": http.StatusOK, dir + "initrd.gz": http.StatusNotFound}
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isList := strings.HasSuffix(r.URL.Path, "/SHA256SUMS"); (r.Method == http.MethodHead) == isList {
			t.Errorf("%s %s, want HEAD, and GET for a list", r.Method, r.URL)
		}
		w.WriteHeader(stdcmp.Or(answers[r.URL.Path], http.StatusNotFound))
		if strings.HasSuffix(r.URL.Path, "/SHA256SUMS") {
			io.WriteString(w, "00  ./cdrom/x\n00  ./netboot/debian-installer/amd64/initrd.gz\n00 *netboot/y\n")
		}
	}))
	defer mirror.Close()
	check := func() (map[string]string, int) {
		var out, talk bytes.Buffer
		status := cli.Main([]string{"quick", "check", "debian", "stable", "--arch", "amd64", "--json", "--mirror", mirror.URL + "/debian"}, strings.NewReader(""), &out, &talk)
		var files []struct{ File, Verdict string }
		if err := json.Unmarshal(out.Bytes(), &files); err != nil {
			t.Fatalf("%v: %s%s", err, out.String(), talk.String())
		}
		verdicts := map[string]string{}
		for _, f := range files {
			verdicts[strings.TrimPrefix(f.File, mirror.URL)] = f.Verdict
		}
		return verdicts, status
	}

	got, status := check()
	want := map[string]string{"/debian/dists/stable/Release": "there", dir + "linux": "there", dir + "initrd.gz": "gone"}
	if diff := cmp.Diff(want, got); diff != "" || status != 1 {
		t.Errorf("status %d, want 1 (-want +got):\n%s", status, diff)
	}
	// A mirror that gives out a part only.
	list := strings.Replace(dir, "netboot/debian-installer/amd64/", "SHA256SUMS", 1)
	answers[list] = http.StatusOK
	want[dir+"initrd.gz"] = "unchecked"
	got, status = check()
	if diff := cmp.Diff(want, got); diff != "" || status != 0 {
		t.Errorf("listed: status %d, want 0 (-want +got):\n%s", status, diff)
	}
	answers[dir+"initrd.gz"] = http.StatusServiceUnavailable
	want[dir+"initrd.gz"] = "unchecked"
	got, status = check()
	if diff := cmp.Diff(want, got); diff != "" || status != 0 {
		t.Errorf("status %d, want 0 (-want +got):\n%s", status, diff)
	}
	mirror.Close()
	want = map[string]string{"/debian/dists/stable/Release": "unchecked", dir + "linux": "unchecked", dir + "initrd.gz": "unchecked"}
	got, status = check()
	if diff := cmp.Diff(want, got); diff != "" || status != 3 {
		t.Errorf("status %d, want 3 (-want +got):\n%s", status, diff)
	}
}

// Debian's own mirror, or the cache of it that this host reaches: nothing of the
// recipe is gone, and what is not given out is told as unchecked.
func TestQuickCheckAsksDebiansMirror(t *testing.T) {
	var out, talk bytes.Buffer
	status := cli.Main([]string{"quick", "check", "debian", "stable", "--arch", "amd64", "--json"}, strings.NewReader(""), &out, &talk)
	var files []struct{ File, Verdict, Why string }
	if err := json.Unmarshal(out.Bytes(), &files); err != nil {
		t.Fatalf("%v: %s%s", err, out.String(), talk.String())
	}
	verdicts := map[string]string{}
	for _, f := range files {
		name := f.File[strings.LastIndexByte(f.File, '/')+1:]
		verdicts[name] = f.Verdict
		t.Logf("%s: %s %s", f.File, f.Verdict, f.Why)
		if name == "Release" && f.Verdict != "there" {
			t.Skipf("Debian's mirror is not reached: %s", f.Why)
		}
		if f.Verdict == "gone" || f.Verdict == "unchecked" && f.Why == "" {
			t.Errorf("%s is %s: %s", f.File, f.Verdict, f.Why)
		}
	}
	if status != 0 || len(verdicts) != 3 || verdicts["linux"] == "" || verdicts["initrd.gz"] == "" {
		t.Errorf("status %d, %v\n%s", status, verdicts, talk.String())
	}
}
