package booters

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestASealedIDIsTheSameEachTime(t *testing.T) {
	a, b := sealer(t), sealer(t) // before and after a restart
	id := a.Seal("/srv/linux")
	if again := b.Seal("/srv/linux"); again != id {
		t.Errorf("got %q, then %q", id, again)
	}
	if other := a.Seal("/srv/linuy"); other == id {
		t.Errorf("two sources have the ID %q", id)
	}
	if got, err := b.Open(id); got != "/srv/linux" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// IDs stand in scripts, caches and logs: a change of what they are made of
// breaks the boots that are under way during an upgrade.
func TestTheFormOfIDsIsStable(t *testing.T) {
	const want = boot.ID("epaaGana7mpAbNdMGoHOLD-OCk9lJOQEMqht8A0ZD6J0VVKdows")
	if got := sealer(t).Seal("/srv/linux"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestASealedIDShowsNothingAndNeedsNoQuoting(t *testing.T) {
	id := string(sealer(t).Seal("https://user:hunter2@example.com/kernel"))
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(id) {
		t.Errorf("%q needs quoting in a URL", id)
	}
	if strings.Contains(id, "hunter2") {
		t.Errorf("%q shows its source", id)
	}
}

func TestForgedIDsAreNotFound(t *testing.T) {
	s := sealer(t)
	id := string(s.Seal("/srv/linux"))
	other, err := NewSealer([]byte("another secret of 32 bytes ....."))
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(id)
	flipped[len(id)/2] ^= 1
	for name, forged := range map[string]string{
		"empty":         "",
		"a path":        "/etc/passwd",
		"short":         id[:20],
		"cut":           id[:len(id)-1],
		"changed":       string(flipped),
		"longer":        id + "AAAA",
		"padded":        id + "=",
		"line break":    id[:5] + "\n" + id[5:],
		"another key":   string(other.Seal("/srv/linux")),
		"very long":     strings.Repeat("A", 1<<20),
		"static IDs":    "initrd-0",
		"too long once": string(s.Seal(strings.Repeat("x", maxSealed+1))),
	} {
		if got, err := s.Open(boot.ID(forged)); got != "" || !errors.Is(err, boot.ErrNotFound) {
			t.Errorf("%s: got %q, %v, want boot.ErrNotFound", name, got, err)
		}
	}
	long := strings.Repeat("x", maxSource)
	if got, err := s.Open(s.Seal(long)); got != long || err != nil {
		t.Errorf("the longest source does not open: %v", err)
	}
}

func TestASealerNeedsASecret(t *testing.T) {
	if _, err := NewSealer(make([]byte, 31)); err == nil {
		t.Error("31 bytes are accepted")
	}
}

func FuzzSealedID(f *testing.F) {
	s := sealer(f)
	for _, seed := range []string{"", "kernel", "/srv/linux", "http://example.com/a?b=c", string(s.Seal("/srv/linux")), "\xff\x00", strings.Repeat("A", 40)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if source, err := s.Open(boot.ID(text)); err == nil {
			if s.Seal(source) != boot.ID(text) {
				t.Errorf("%q opens as %q, which is sealed otherwise", text, source)
			}
		} else if !errors.Is(err, boot.ErrNotFound) {
			t.Errorf("%q: got %v, want boot.ErrNotFound", text, err)
		}
		if len(text) > maxSource {
			return
		}
		if got, err := s.Open(s.Seal(text)); got != text || err != nil {
			t.Errorf("%q comes back as %q, %v", text, got, err)
		}
	})
}

// What is remembered is what the Sealer says, and is bounded.
func TestIDsOfScriptsAreKept(t *testing.T) {
	k := &kept{Sealer: sealer(t)}
	for i := range 3 * maxKeptIDs {
		source := fmt.Sprintf("/srv/linux-%d", i%(maxKeptIDs+1))
		id := k.Seal(source)
		if want := k.Sealer.Seal(source); id != want {
			t.Fatalf("%s: got %s, want %s", source, id, want)
		}
		if got, err := k.Open(id); got != source || err != nil {
			t.Fatalf("%s: got %q, %v", source, got, err)
		}
		if len(k.ids) > maxKeptIDs || len(k.sources) > maxKeptIDs {
			t.Fatalf("%d are kept, want at most %d", len(k.ids), maxKeptIDs)
		}
	}
	for _, id := range []boot.ID{"", "hello", k.Seal("/srv/linux") + "\n"} {
		if got, err := k.Open(id); !errors.Is(err, boot.ErrNotFound) {
			t.Errorf("%q: got %q, %v", id, got, err)
		}
	}
	// What is opened need not have been sealed here.
	id := k.Sealer.Seal("/srv/initrd")
	for range 2 {
		if got, err := k.Open(id); got != "/srv/initrd" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
}
