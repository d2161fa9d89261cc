package cli_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/pixiecore/pixiecore/config"
)

// The configuration in the README can be served as it stands there.
func TestTheREADMEsConfigurationIsValid(t *testing.T) {
	src, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllSubmatch(src, -1)
	if len(blocks) == 0 {
		t.Fatal("no ```hcl in the README")
	}
	for _, b := range blocks {
		_, report := config.Parse("README.hcl", b[1])
		for _, p := range report.Problems() {
			t.Errorf("%s: %s", p, p.Detail)
		}
	}
}
