package booters

import (
	"context"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// What is chosen keeps the rule that decided, for holds and for the log, and nothing of
// what that says of arms.
func TestChoose(t *testing.T) {
	of := func(name string) Action {
		return Action{Do: boot.Boot, Boot: name, Spec: &boot.Spec{Kernel: boot.ID("/" + name)}}
	}
	rules := []Rule{{Name: "lab", Pos: "f:1", Action: of("live"), Once: &boot.Once{Spent: boot.Local}}}
	tab, err := NewTable(sealer(t), NewSources(), nil, rules,
		Choice{Action: of("live")}, Choice{Action: of("rescue")}, Choice{Action: of("debian"), Installs: true},
		Choice{Action: Action{Do: boot.Boot, Boot: "api", API: &APIOptions{URL: "http://127.0.0.1:1/"}}})
	if err != nil {
		t.Fatal(err)
	}
	v := &boot.Verdict{Action: boot.Local, Rule: "all", Pos: "f:9", Offer: boot.StyleBINL}
	for name, refused := range map[string]string{"live": "", "rescue": "", "debian": "writes disks", "gone": "there is no boot.gone"} {
		got, err := tab.Choose(v, name)
		if refused != "" {
			if err == nil || !strings.Contains(err.Error(), refused) {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		if err != nil || got.Action != boot.Boot || got.Boot != name || got.Rule != "all" || got.Pos != "f:9" || got.Offer != v.Offer || got.Once != nil || !got.Chosen || got.Spec == nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	got, err := tab.Choose(v, "api")
	if err != nil || got.Ask == nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	if got, err = got.Ask(context.Background(), boot.Machine{MAC: []byte{2, 0, 0, 0, 0, 1}}); err == nil || got.Rule != "all" || !got.Chosen {
		t.Errorf("what the API says: %+v, %v", got, err)
	}
	if _, err := NewTable(sealer(t), NewSources(), nil, nil, Choice{Action: of("")}, Choice{Action: Action{Do: boot.Boot, Boot: "bad", Spec: &boot.Spec{Kernel: "ftp://x"}}}); err == nil || !strings.HasPrefix(err.Error(), "boot.") {
		t.Errorf("got %v", err)
	}
}
