package booters

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Whether a source can be served is known without fetching it.
func TestLook(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodHead:
			t.Errorf("a %s of %s", r.Method, r.URL)
		case r.URL.Path == "/none":
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/no-head":
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	}))
	defer srv.Close()
	there := filepath.Join(t.TempDir(), "linux")
	if err := os.WriteFile(there, []byte("kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := NewSources()
	defer s.Close()
	for _, tc := range []struct{ source, want string }{
		{there, ""},
		{there + ".none", "no such file"},
		{Source{At: there, SHA256: boot.Digest{1}}.String(), "must have 01"},
		{srv.URL + "/linux", ""},
		{srv.URL + "/no-head", ""},
		{srv.URL + "/none", "the server answers 404 Not Found"},
		{"http://127.0.0.1:1/linux", "connection refused"},
		{"ftp://192.0.2.1/linux", `the scheme "ftp" is neither http nor https`},
	} {
		err := s.Look(t.Context(), tc.source)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.source, err, tc.want)
		}
	}
}
