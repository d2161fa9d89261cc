package booters

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestAnAPIDecidesTheURLByClient(t *testing.T) {
	answers := map[string]string{
		"/netboot/v1/boot/525400000001/7":  "http://192.0.2.1/a.efi\n",
		"/netboot/v1/boot/525400000001/16": "b.efi",
		"/netboot/v1/boot/ff/0":            "",
		"/netboot/v1/boot/fe/0":            strings.Repeat("x", 5000),
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.RequestURI]
		if !ok {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, text)
	}))
	defer srv.Close()
	c := MakeAPIBootConfiguration(srv.URL+"/netboot", time.Second, 7, true, nil)
	defer c.Client.CloseIdleConnections()
	mac := []byte{0x52, 0x54, 0, 0, 0, 1}
	for _, tc := range []struct {
		id   []byte
		arch uint16
		want string
	}{
		{mac, 7, "http://192.0.2.1/a.efi"}, {mac, 16, srv.URL + "/netboot/b.efi"}, {mac, 9, ""}, {[]byte{0xff}, 0, ""}, {[]byte{0xfe}, 0, ""},
	} {
		got, err := c.GetBootURL(tc.id, tc.arch)
		if string(got) != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%x/%d: got %q, %v, want %q", tc.id, tc.arch, got, err, tc.want)
		}
	}
	if p := c.GetPreference(); len(p) != 1 || p[0] != 7 {
		t.Errorf("preference %v", p)
	}
	static := MakeStaticBootConfiguration("http://h", "tftp://i", 7, false, nil)
	for arch, want := range map[uint16]string{0x10: "http://h", 7: "tftp://i", 0: "tftp://i"} {
		if got, _ := static.GetBootURL(nil, arch); string(got) != want {
			t.Errorf("%d: got %s", arch, got)
		}
	}
	if static.GetPreference() != nil {
		t.Error("a preference that nobody asked for")
	}
}
