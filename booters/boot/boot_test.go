package boot

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// plain is a Booter as a program of the original has it.
type plain struct {
	spec *Spec
	err  error
}

func (p plain) BootSpec(Machine) (*Spec, error) { return p.spec, p.err }
func (p plain) ReadBootFile(ID) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader("plain")), 5, p.err
}
func (p plain) WriteBootFile(ID, io.Reader) error { return p.err }

// withContext can be cancelled.
type withContext struct{ plain }

func (withContext) BootSpecContext(ctx context.Context, _ Machine) (*Spec, error) {
	return nil, ctx.Err()
}
func (withContext) ReadBootFileContext(ctx context.Context, _ ID) (io.ReadCloser, int64, error) {
	return nil, 0, ctx.Err()
}
func (withContext) WriteBootFileContext(ctx context.Context, _ ID, _ io.Reader) error {
	return ctx.Err()
}

// decider says more.
type decider struct{ plain }

func (decider) Decide(context.Context, Machine) (*Verdict, error) {
	return &Verdict{Action: Local}, nil
}

func TestDecideKnowsEveryKindOfBooter(t *testing.T) {
	spec, down := &Spec{Kernel: "k"}, errors.New("down")
	for _, tc := range []struct {
		name string
		b    Booter
		want Action
		err  error
	}{
		{"a spec", plain{spec: spec}, Boot, nil},
		{"no spec", plain{}, Ignore, nil},
		{"an error", plain{err: down}, Ignore, down},
		{"a decider", decider{plain{spec: spec}}, Local, nil},
	} {
		now, err := DecideNow(t.Context(), tc.b, Machine{})
		if _, atOnce := tc.b.(Decider); err != nil || atOnce != (now.Ask == nil) {
			t.Errorf("%s: at once got %v, %v", tc.name, now, err)
		}
		v, err := Decide(t.Context(), tc.b, Machine{})
		if v.Ask != nil || v.Action != tc.want || !errors.Is(err, tc.err) || v.Action == Boot && v.Spec != spec {
			t.Errorf("%s: got %v, %v; want %v, %v", tc.name, v, err, tc.want, tc.err)
		}
	}
}

func TestABooterThatTakesAContextIsGivenIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := withContext{plain{spec: &Spec{}}}
	_, err1 := SpecFor(ctx, b, Machine{})
	_, _, err2 := OpenFile(ctx, b, "x")
	err3 := PutFile(ctx, b, "x", nil)
	_, err4 := Decide(ctx, b, Machine{})
	for i, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d: got %v", i+1, err)
		}
	}
	if f, n, err := OpenFile(ctx, plain{}, "x"); err != nil || n != 5 {
		t.Errorf("one that takes none: %d, %v", n, err)
	} else {
		f.Close()
	}
}

func TestTheLoaderOfABIOSThatIsAnIPXE(t *testing.T) {
	card := &Facts{Known: FactIPXE, IPXE: true}
	snap := &Snapshot{Loaders: map[Firmware][]byte{FirmwareX86PC: []byte("undionly"), FirmwareX86Ipxe: []byte("ipxe.pxe"), FirmwareEFI64: []byte("snponly")}}
	for _, tc := range []struct {
		name string
		m    Machine
		want string
	}{
		{"a ROM's PXE", Machine{Facts: &Facts{Known: FactIPXE}}, "undionly"},
		{"of which nothing is known", Machine{}, "undionly"},
		{"an iPXE in the card", Machine{Facts: card}, "ipxe.pxe"},
		{"an iPXE in a card, under UEFI", Machine{Firmware: FirmwareEFI64, Facts: card}, "snponly"},
	} {
		if got := string(snap.Loader(tc.m, LoaderAuto)); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	delete(snap.Loaders, FirmwareX86Ipxe)
	if got := string(snap.Loader(Machine{Facts: card}, LoaderAuto)); got != "undionly" {
		t.Errorf("without one of its own: got %q", got)
	}
}
