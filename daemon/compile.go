package daemon

import (
	"fmt"
	"slices"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cache"
	"github.com/pixiecore/pixiecore/booters/loaders"
	"github.com/pixiecore/pixiecore/config"
)

// Compiled is a configuration with everything made that can fail.
type Compiled struct {
	Config  *config.Config
	Table   *booters.Table
	Loaders *loaders.Set
	Missing []loaders.Missing // platforms for which no loader was found
	Sources *booters.Sources  // from which its files come, by the fetch block

	cache    *cache.Cache     // that its Sources use; may be nil
	problems []config.Problem // that its report has: warnings
}

// Compile makes the rule table and reads the loaders, and the certificates of the
// fetch block. Its error is one for the operator: a file that the configuration names
// cannot be read, or a rule cannot be prepared.
func Compile(cfg *config.Config, seal *booters.Sealer, sources *booters.Sources) (*Compiled, error) {
	if cfg.Fetch != (config.Fetch{}) {
		conf, err := fetchTLS(cfg.Fetch)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		sources = sources.WithTLS(conf)
	}
	table, err := booters.NewTable(seal, sources, cfg.Inventory, cfg.Rules, cfg.Boots...)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if cfg.LoaderData != nil {
		set, missing := loaders.Given(cfg.LoaderData)
		return &Compiled{Config: cfg, Table: table, Loaders: set, Missing: missing, Sources: sources}, nil
	}
	set, missing, err := loaders.Load(cfg.Loaders, loaders.Dirs())
	if err != nil {
		return nil, fmt.Errorf("loaders: %w", err)
	}
	return &Compiled{Config: cfg, Table: table, Loaders: set, Missing: missing, Sources: sources}, nil
}

// booter decides for machines.
func (c *Compiled) booter() boot.Booter {
	if c.Config.Booter != nil {
		return c.Config.Booter
	}
	return c.Table
}

// MissingNeeded are the platforms without a loader that matter: see needed.
func (c *Compiled) MissingNeeded() []loaders.Missing {
	needed := c.needed()
	return slices.DeleteFunc(slices.Clone(c.Missing), func(m loaders.Missing) bool { return !slices.Contains(needed, m.Firmware) })
}

// needed are the platforms of a PC, which every network has, and those that a
// rule singles out. A rule for all of UEFI names some that nobody has.
func (c *Compiled) needed() []boot.Firmware {
	if len(c.Config.Listeners) == 1 && c.Config.Listeners[0].DHCP6.URL != nil {
		return nil // who is told a URL loads nothing from here
	}
	needed := []boot.Firmware{boot.FirmwareX86PC, boot.FirmwareEFI64}
	for _, r := range c.Config.Rules {
		if r.Action.Do == boot.Ignore {
			continue
		}
		if len(r.Match.Firmwares) == 1 {
			needed = append(needed, r.Match.Firmwares[0])
		}
		for _, a := range r.Match.Archs {
			if a == boot.ArchIA32 || a == boot.ArchX64 {
				continue // a PC, or an ia32 UEFI, of which there are few
			}
			for _, f := range boot.Platforms() {
				if f.UEFI() && boot.Possible(a, f) {
					needed = append(needed, f)
				}
			}
		}
	}
	return needed
}
