package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandLinesOfVersion1(t *testing.T) {
	const usual = "--log-format=classic --log-timestamps --debug=false --port-dhcp=67 --port-pxe=4011 --port-tftp=69 --port=70 "
	for line, want := range map[string]string{
		"-kernel k -initrd a,b -cmdline x":  "boot " + usual + "--cmdline=x -- k a b",
		"--kernel=k -listen-addr 192.0.2.1": "boot " + usual + "--listen-addr=192.0.2.1 --cmdline= -- k",
		"-api http://api -api-timeout 2s -port-http 80 -debug": "api " + strings.NewReplacer("--port=70", "--port=80", "debug=false", "debug=true").Replace(usual) +
			"--api-request-timeout=2s -- http://api",
		"-api http://api -kernel k": "cannot provide -kernel with -api",
	} {
		now, mode, err := v1(strings.Fields(line))
		got := strings.Join(now, " ")
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" || mode == "" {
			t.Errorf("%s: %q (-want +got)\n%s", line, mode, diff)
		}
	}
	for _, line := range []string{"", "boot k", "-debug", "serve --config x", "-kernel k serve", "--help", "boot --cmdline -kernel"} {
		if now, mode, _ := v1(strings.Fields(line)); mode != "" {
			t.Errorf("%q is taken for version 1: %q", line, now)
		}
	}
}
