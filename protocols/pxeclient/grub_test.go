package pxeclient

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStatementsOfGRUB(t *testing.T) {
	vars := map[string]string{"net_default_mac": "52:54:00:00:00:01", "grub_cpu": "x86_64"}
	for text, want := range map[string][]string{
		"echo 'a; b'  c # no\nboot":                               {"echo|a; b|c", "boot"},
		"configfile /grub/$net_default_mac/${grub_cpu}-$none.cfg": {"configfile|/grub/52:54:00:00:00:01/x86_64-.cfg"},
		`echo "$grub_cpu \"x\"" a\ b 'it'\''s' ''`:                {`echo|x86_64 "x"|a b|it's|`},
		"if [ -e /x ]; then true; fi":                             {"if|[|-e|/x|]", "then|true", "fi"},
		"echo a#b \\":                                             {"echo|a#b|"},
		"echo '":                                                  {"echo|"},
		"echo ${":                                                 {"echo|{"},
		"":                                                        nil,
	} {
		var got []string
		for _, words := range statements(text, vars) {
			if len(words) > 0 {
				got = append(got, strings.Join(words, "|"))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func FuzzStatements(f *testing.F) {
	f.Add("if linux /k 'a b'; then\nboot\nfi\n")
	f.Add("echo \"$a ${b} \\\n'")
	f.Fuzz(func(t *testing.T, text string) {
		if all := statements(text, map[string]string{"a": "b"}); len(all) > maxCommands+1 {
			t.Errorf("%d statements", len(all))
		}
	})
}
