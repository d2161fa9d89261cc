package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// secureSettings are those of a secure_boot block, in the scope that they are written
// in, with what they are once that is known.
type secureSettings map[string]*secureSetting

type secureSetting struct {
	*setting
	known bool
	value *phrase
}

// phrase evaluates the setting once, for all boots that go by it.
func (s *secureSetting) phrase() *phrase {
	if s == nil {
		return nil
	}
	if !s.known {
		s.known, s.value = true, s.checked(s.setting.phrase(s.Name, s.Expr, "a path or a URL in quotes", pathMembers), source)
	}
	return s.value
}

// evaluate looks at all of them, also at what no boot goes by.
func (all secureSettings) evaluate() {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		all[name].phrase()
	}
}

// secureBoot is the global block.
func (d *decoder) secureBoot(b *hclsyntax.Block) {
	if d.single(b, "in a file") {
		d.secure = d.secureSettings(b, d.in(b.TypeRange))
		d.secure.evaluate()
	}
}

// secureSettings are those of a block, which is nil where there is none.
func (d *decoder) secureSettings(b *hclsyntax.Block, s *scope) secureSettings {
	if b == nil {
		return nil
	}
	all := make(secureSettings)
	body := d.names(&secureBootSchema, b.Body)
	for name, a := range body.Attributes {
		all[name] = &secureSetting{setting: &setting{a, s}}
	}
	if all["grub"] == nil && len(body.Attributes) == len(b.Body.Attributes) {
		d.errorf(b.DefRange(), sumMissing, "A secure_boot block names the shim, and the GRUB that the shim trusts. Write shim = \"…\" and grub = \"…\", paths or URLs of files like shimx64.efi.signed and grubnetx64.efi.signed of Debian.")
	}
	return all
}

// secureBlock is the one secure_boot block of a boot, if it has one.
func (d *decoder) secureBlock(body *hclsyntax.Body) (first *hclsyntax.Block) {
	for _, b := range body.Blocks {
		switch {
		case b.Type != "secure_boot":
		case first != nil:
			d.errorf(b.TypeRange, sumSecondBlock, "A boot has one secure_boot block. Put the settings of both into one.").other = first.TypeRange
		default:
			if first = b; len(b.Labels) > 0 {
				d.errorf(b.LabelRanges[0], sumLabel, "A secure_boot block has no label: write secure_boot { … }.")
			}
		}
	}
	return first
}

// loaderWord is the loader setting of a boot.
func (b *bootBlock) loaderWord() (l boot.Loader) {
	s := b.settings["loader"]
	if s == nil {
		return boot.LoaderAuto
	}
	t, ok := s.text(s.Attribute, "a loader in quotes, like \"shim\"")
	if !ok {
		return boot.LoaderAuto
	}
	l, err := boot.ParseLoader(t.s)
	if err != nil {
		s.unknownWord(t, "loader", boot.LoaderNames())
	}
	return l
}

// besideAlone refuses another loader, and a secure_boot block, beside a script or an
// API. global says that there is a block for all boots, which is not for these.
func (b *bootBlock) besideAlone(l boot.Loader, what string, at hcl.Range) {
	if s := b.settings["loader"]; s != nil && !l.IPXE() {
		b.errorf(s.Expr.Range(), sumLoader, "Only iPXE can run %s, and loader = %q loads none. Leave one of the two out.", what, l).other = at
	}
	if b.secureAt != nil {
		b.errorf(*b.secureAt, sumLoader, "Only iPXE can run %s, which a shim and GRUB do not load. Leave the secure_boot block out; a script can load a shim itself.", what).other = at
	}
}

// prepareLoader says by what a boot with a kernel, or an EFI program, is loaded.
func (d *decoder) prepareLoader(b *bootBlock, word boot.Loader) {
	r, efi, kernel := &b.recipe, b.settings["efi"], b.settings["kernel"]
	at := b.family.at
	if s := b.settings["loader"]; s != nil {
		at = s.Expr.Range()
	}
	secure := b.secure
	if secure == nil {
		secure = d.secure
	}
	r.loader = word
	b.secure.evaluate()
	if efi != nil {
		r.kernel = efi.checked(efi.phrase("efi", efi.Expr, "a path or a URL in quotes", pathMembers), source)
		if kernel != nil {
			b.errorf(efi.NameRange, sumLoader, "The boot already has a kernel, and a machine starts one of the two. Leave one out, or write a second boot.").other = kernel.NameRange
		}
		if b.secureAt != nil {
			b.errorf(*b.secureAt, sumLoader, "efi is started by the firmware itself, without a shim: under Secure Boot it must be signed for that. Leave the secure_boot block out.").other = efi.NameRange
		}
		switch {
		case word == boot.LoaderAuto:
			r.loader = boot.LoaderNative
		case word == boot.LoaderGRUB, word == boot.LoaderShim:
			b.errorf(at, sumLoader, "efi is started by the firmware, or by iPXE. Write loader = \"native\" or \"ipxe\", or leave the line out.").other = efi.NameRange
		}
		if r.loader == boot.LoaderNative {
			beside := slices.Clone(b.cmdline)
			for _, name := range []string{"initrd", "message"} {
				if s := b.settings[name]; s != nil {
					beside = append(beside, s)
				}
			}
			for _, s := range beside {
				b.errorf(s.NameRange, sumLoader, "Firmware that starts a program gives it no %s. Build it into the program, a unified kernel image, or write loader = \"ipxe\", which can give it.", strings.TrimSuffix(s.Name, "_append")).other = efi.NameRange
			}
		}
		return
	}
	if word == boot.LoaderAuto && secure != nil {
		r.loader = boot.LoaderShim
	}
	switch r.loader {
	case boot.LoaderNative:
		b.errorf(at, sumLoader, "loader = \"native\" is for a boot with efi, an EFI program that the firmware starts itself. Write efi = \"…\" in place of kernel.")
	case boot.LoaderGRUB, boot.LoaderShim:
		needs := []string{"shim", "grub"}
		if r.loader == boot.LoaderGRUB {
			needs = needs[1:]
		}
		for _, name := range needs {
			if secure[name] == nil && b.whole {
				b.errorf(at, sumLoader, "loader %q needs a %s. Write secure_boot { %[2]s = \"…\" } into the boot, or for all boots, with its path or URL.", r.loader, name)
			}
		}
		r.grub = secure["grub"].phrase()
		if r.loader == boot.LoaderShim {
			r.shim = secure["shim"].phrase()
		}
		for i, p := range r.cmdline {
			if p != nil && !p.late && strings.Contains(p.s, "${") {
				b.warn(p.e.Range(), sumLoader, fmt.Sprintf("${…} is iPXE's, and GRUB, by which UEFI loads this boot, hands it to the kernel as it stands. Write machine.mac or machine.bootif, as ${machine.bootif}, in place of %s.", b.cmdline[i].Name))
			}
			if c := p.literally(`'\`); c != "" {
				b.warn(p.e.Range(), sumLoader, fmt.Sprintf("GRUB, by which UEFI loads this boot, cannot hand a %s to a kernel, and machines would show that in place of booting. Leave it out of %s, or write loader = \"ipxe\".", c, b.cmdline[i].Name))
			}
		}
	default:
		if b.secureAt != nil {
			b.errorf(*b.secureAt, sumLoader, "loader = %q loads no shim, so this has no effect. Leave one of the two out.", r.loader).other = at
		}
	}
}

// programs are those that one machine is given. The errors say all that is missing.
func (r *recipe) programs(req booters.Request) (p boot.Programs, err error) {
	var errs []error
	for _, one := range [...]struct {
		*phrase
		to *boot.ID
	}{{r.shim, &p.Shim}, {r.grub, &p.GRUB}} {
		if one.phrase == nil {
			continue
		}
		s, err := one.text(req)
		if err == nil && one.late {
			var refused *refusal
			if s, _, refused = source(one.dir, s); refused == nil {
				s, refused = one.locked(s)
			}
			if refused != nil {
				err = errors.New(refused.detail)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("boot %s: %s: %w", r.name, one.name, err))
		}
		*one.to = boot.ID(s)
	}
	return p, errors.Join(errs...)
}

// warnLoaders warns of rules whose machines cannot be loaded by what their boot asks
// for.
func (d *decoder) warnLoaders() {
	for i, r := range d.cfg.Rules {
		l := r.Action.Loader
		if r.Action.Do != boot.Boot || l.IPXE() {
			continue
		}
		if r.Match.Needs()&boot.IPXEFacts != 0 && l != boot.LoaderNative {
			d.warn(d.ruleAt[i], sumLoader, fmt.Sprintf("Rule %q asks for what only iPXE knows, so its machines load iPXE, and never the %s of boot %s: under Secure Boot they do not boot. Ask for what DHCP tells, or for names and labels of machine blocks.", r.Name, l, r.Action.Boot))
		}
		if l == boot.LoaderNative && len(r.Match.Firmwares) > 0 && !slices.ContainsFunc(r.Match.Firmwares, boot.Firmware.UEFI) {
			d.warn(d.ruleAt[i], sumLoader, fmt.Sprintf("Boot %s is an EFI program, and none of the machines of rule %q has UEFI: their screens say so, and they boot nothing.", r.Action.Boot, r.Name))
		}
	}
}

// mergeSecure is base with what own says.
func mergeSecure(base, own secureSettings) secureSettings {
	if base == nil || own == nil {
		return map[bool]secureSettings{true: base, false: own}[own == nil]
	}
	all := maps.Clone(base)
	maps.Copy(all, own)
	return all
}
