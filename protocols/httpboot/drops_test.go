package httpboot

import (
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/drops"
)

// Each request that is not served is counted, and one that is, is not.
func TestWhatIsNotServedIsCounted(t *testing.T) {
	verdict := func(v *boot.Verdict, err error) func(boot.Machine) (*boot.Verdict, error) {
		return func(boot.Machine) (*boot.Verdict, error) { return v, err }
	}
	boots := verdict(&boot.Verdict{Action: boot.Boot, Rule: "lab", Spec: &boot.Spec{Kernel: "k"}}, nil)
	ignores, fails := verdict(&boot.Verdict{Rule: "printers"}, nil), verdict(&boot.Verdict{}, errors.New("the inventory is down"))
	const file, script = "/_/file?type=kernel&name=", "/_/ipxe?facts=1&token="
	for _, tc := range []struct {
		name, method, target string
		verdict              func(boot.Machine) (*boot.Verdict, error)
		held                 bool
		want                 map[drops.Reason]uint64
	}{
		{"a script", "GET", script + "TOKEN", boots, false, nil},
		{"a loader", "GET", "/TOKEN/ipxe.efi", boots, false, nil},
		{"a write", "DELETE", "/boot.ipxe", boots, false, map[drops.Reason]uint64{drops.Malformed: 1}},
		{"a forged token", "GET", script + "x", boots, false, map[drops.Reason]uint64{drops.Malformed: 1}},
		{"no name", "GET", file, boots, false, map[drops.Reason]uint64{drops.Malformed: 1}},
		{"an ID that is not ours", "GET", file + "x", boots, false, map[drops.Reason]uint64{drops.NotFound: 1}},
		{"a source that fails", "GET", file + "down", boots, false, map[drops.Reason]uint64{drops.Failed: 1}},
		{"no such path", "GET", "/favicon.ico", boots, false, map[drops.Reason]uint64{drops.NotFound: 1}},
		{"a script of a machine that is ignored", "GET", script + "TOKEN", ignores, false, map[drops.Reason]uint64{drops.Ignored: 1}},
		{"its loader", "GET", "/TOKEN/ipxe.efi", ignores, false, map[drops.Reason]uint64{drops.Ignored: 1}},
		{"its kernel", "GET", file + "k&token=TOKEN", ignores, false, map[drops.Reason]uint64{drops.Ignored: 1}},
		{"a script on hold", "GET", script + "TOKEN", boots, true, map[drops.Reason]uint64{drops.Held: 1}},
		{"a loader on hold", "GET", "/TOKEN/ipxe.efi", boots, true, map[drops.Reason]uint64{drops.Held: 1}},
		{"a kernel on hold", "GET", file + "k&token=TOKEN", boots, true, map[drops.Reason]uint64{drops.Held: 1}},
		{"one without a token", "GET", file + "k", boots, true, map[drops.Reason]uint64{drops.Held: 1}},
		{"a script that cannot be made", "GET", script + "TOKEN", fails, false, map[drops.Reason]uint64{drops.Failed: 1}},
		{"a loader that cannot be decided on", "GET", "/TOKEN/ipxe.efi", fails, false, map[drops.Reason]uint64{drops.Failed: 1}},
	} {
		s := newServer(t, booter{verdict: tc.verdict, files: map[boot.ID]func() (io.ReadCloser, int64, error){
			"down": func() (io.ReadCloser, int64, error) { return nil, 0, errors.New("upstream: 503") },
		}})
		s.Drops = &drops.Counts{}
		s.Tree.Boots.Held = func(string) string {
			if tc.held {
				return "rain"
			}
			return ""
		}
		get(t, s, tc.method, strings.ReplaceAll(tc.target, "TOKEN", s.token(7)))
		got := maps.Collect(s.Drops.All())
		if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.name, diff)
		}
	}
}
