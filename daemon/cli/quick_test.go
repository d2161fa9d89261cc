package cli_test

import (
	"bytes"
	"encoding/json"
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
		if r.Method != http.MethodHead {
			t.Errorf("%s %s, want HEAD", r.Method, r.URL)
		}
		w.WriteHeader(answers[r.URL.Path])
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
