package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/config"
)

func TestFormat(t *testing.T) {
	const src = `# kept
listener "http" {
address="0.0.0.0:80" # and this
    interfaces = ["eth0"]
}
`
	const want = `# kept
listener "http" {
  address    = "0.0.0.0:80" # and this
  interfaces = ["eth0"]
}
`
	got, report := config.Format("x.hcl", []byte(src))
	if diff := cmp.Diff(want, string(got)); diff != "" || report.Err() != nil {
		t.Errorf("%v\n%s", report.Err(), diff)
	}
	if again, _ := config.Format("x.hcl", got); string(again) != want {
		t.Errorf("formatted twice it is another: %s", again)
	}
	// Names are not looked at, for it is about the layout.
	if _, report := config.Format("x.hcl", []byte("no = such\n")); report.Err() != nil {
		t.Error(report.Err())
	}
	for _, name := range []string{"x.json", "standard input"} {
		if got, report := config.Format(name, []byte("{}")); got != nil || len(report.Problems()) != 1 || report.Problems()[0].Summary != "JSON is not laid out" {
			t.Errorf("JSON: got %q, %v", got, report.Problems())
		}
	}
	got, report = config.Format("x.hcl", []byte("listener \"http\" {\n"))
	if got != nil || report.Err() == nil || !strings.HasPrefix(report.Err().Error(), "x.hcl:") {
		t.Errorf("a syntax error: got %q, %v", got, report.Err())
	}
}

func TestReadTakesPathsFromTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg, report := config.Read("standard input", strings.NewReader("listener \"http\" {}\nboot \"b\" {\n  kernel = \"vmlinuz\"\n}\nrule \"all\" {\n  boot = boot.b\n}\n"))
	if cfg == nil || len(report.Problems()) != 1 || report.Problems()[0].String() != "standard input:3:12: warning: no such file" {
		t.Errorf("got %v", report.Problems())
	}
}
