package importers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A group says which machines get which profile, as matchbox reads it.
type group struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Profile  string            `json:"profile"`
	Selector map[string]string `json:"selector"`
	Metadata map[string]any    `json:"metadata"`
}

type profile struct {
	ID       string `json:"id"`
	Ignition string `json:"ignition_id"`
	Cloud    string `json:"cloud_id"`
	Generic  string `json:"generic_id"`
	Boot     struct {
		Kernel string   `json:"kernel"`
		Initrd []string `json:"initrd"`
		Args   []string `json:"args"`
	} `json:"boot"`
}

// matchbox reads groups and profiles.
func (d *draft) matchbox(fsys fs.FS, dir string) error {
	profiles, err := each[profile](d, fsys, path.Join(dir, "profiles"))
	if err != nil {
		return err
	}
	groups, err := each[group](d, fsys, path.Join(dir, "groups"))
	if err != nil {
		return err
	}
	d.standard("", 80, false, nil)
	boots := map[string]string{}
	own := false
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		p := profiles[name]
		p.ID = cmp.Or(p.ID, name)
		b := bootDraft{kernel: ofMatchbox(p.Boot.Kernel)}
		why := unusable(p.Boot.Kernel)
		for _, initrd := range p.Boot.Initrd {
			// "--name main URL" is for the imgs of matchbox's own script.
			fields := strings.Fields(initrd)
			if len(fields) == 3 && fields[0] == "--name" {
				initrd = fields[2]
			}
			why = cmp.Or(why, unusable(initrd))
			b.initrd = append(b.initrd, ofMatchbox(initrd))
		}
		var args []string
		for _, a := range p.Boot.Args {
			if strings.HasPrefix(a, "initrd=") {
				continue // pixiecore writes them by itself
			}
			args = append(args, a)
		}
		b.cmdline = strings.Join(args, " ")
		switch {
		case p.Boot.Kernel == "":
			why = "it has no kernel"
		case !oneLine(b.cmdline) || strings.Contains(b.cmdline, "{{"):
			why = "its args are no command line"
		}
		if why != "" {
			d.leave("profiles/%s: %s.", name, why)
			continue
		}
		for _, s := range append([]string{b.kernel}, b.initrd...) {
			own = own || strings.HasPrefix(s, matchboxRoot)
		}
		if p.Ignition != "" || p.Cloud != "" || p.Generic != "" {
			d.leave("profiles/%s: its Ignition, cloud or generic configuration: matchbox goes on serving it, where the command line asks for it.", name)
		}
		boots[p.ID] = d.boot(p.ID, b)
	}
	if own {
		d.listeners.WriteString("\n# Where matchbox serves its assets: put its own address here.\nlocals {\n  matchbox = \"http://matchbox.example.com:8080\"\n}\n")
		d.leave("The address of matchbox, which is not in its files: see locals.")
	}

	// The group with the most selectors wins.
	order := slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(groups[b].Selector), len(groups[a].Selector)), cmp.Compare(a, b))
	})
	everybody := false
	for _, file := range order {
		g := groups[file]
		id, ok := boots[g.Profile]
		if !ok {
			d.leave("groups/%s: its profile %q is not there, or not carried over.", file, g.Profile)
			continue
		}
		conditions, early, why := selectors(g.Selector)
		if why == "" && len(conditions) == 0 && everybody {
			why = "another group is for all machines already"
		}
		if why != "" {
			d.leave("groups/%s: %s. Its machines are left to the rules of other groups.", file, why)
			continue
		}
		everybody = everybody || len(conditions) == 0
		if len(g.Metadata) > 0 {
			d.leave("groups/%s: its metadata, which are for matchbox's templates.", file)
		}
		outcome := "boot = boot." + id
		if len(conditions) > 0 && !early {
			outcome += "\nprobe = true" // only iPXE knows these; matchbox had everybody load it, too
		}
		d.rule(cmp.Or(g.Name, g.ID, file), conditions, outcome)
	}
	if d.rules.Len() == 0 {
		return errNothing
	}
	return nil
}

// ofMatchbox marks a path as one of matchbox's server, as all of its paths are.
func ofMatchbox(s string) string {
	if strings.HasPrefix(s, "/") {
		return matchboxRoot + s
	}
	return s
}

// selectors are conditions, and whether one of them is known before iPXE is
// loaded; or why there are none.
func selectors(all map[string]string) (conditions []string, early bool, why string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		value := all[key]
		switch key {
		case "mac":
			mac, ok := macOf(value)
			if !ok {
				return nil, false, fmt.Sprintf("the MAC address %q is none", value)
			}
			conditions, early = append(conditions, "mac = "+quote(mac)), true
		case "uuid":
			if _, err := boot.ParseUUID(value); err != nil {
				return nil, false, fmt.Sprintf("the UUID %q is none", value)
			}
			conditions, early = append(conditions, "uuid = "+quote(value)), true
		case "serial", "hostname":
			if value == "" || strings.ContainsAny(value, "*?\\[") || !oneLine(value) {
				return nil, false, fmt.Sprintf("%s %q cannot be a condition", key, value)
			}
			conditions = append(conditions, key+" = "+quote(value))
		default:
			return nil, false, fmt.Sprintf("selector %s: machines are told apart by mac, uuid, serial and hostname, or by labels of machine blocks", key)
		}
	}
	return conditions, early, ""
}

// each reads all *.json of a directory, by their names without the ending.
func each[T any](d *draft, fsys fs.FS, dir string) (map[string]T, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("%s has more than %d files", dir, maxFiles)
	}
	all := map[string]T{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || e.IsDir() {
			continue
		}
		src, err := read(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(src, &v); err != nil {
			d.leave("%s/%s: %v.", path.Base(dir), e.Name(), err)
			continue
		}
		all[name] = v
	}
	return all, nil
}
