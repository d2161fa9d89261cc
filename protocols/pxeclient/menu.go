package pxeclient

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An item is a line of a menu. One without a label is a gap, which cannot be
// chosen.
type item struct {
	label, text string
	first       bool // its option --default: it is chosen unless choose names another
}

// menu makes an empty menu, in place of one of the same name.
func (in *interpreter) menu(o options, title []string) error {
	name := o.value("name", "n")
	delete(in.menus, name)
	if o.has("delete", "d") {
		return nil
	}
	if len(in.menus) >= maxMenus {
		return fmt.Errorf("more than %d menus", maxMenus)
	}
	if in.menus == nil {
		in.menus = make(map[string][]item)
	}
	in.menus[name] = []item{{text: strings.Join(title, " ")}}
	return nil
}

// item adds a line to a menu. The first argument is the label, unless the line
// is a gap; the rest is the text.
func (in *interpreter) item(o options, args []string) error {
	name := o.value("menu", "m")
	items, ok := in.menus[name]
	if !ok {
		return fmt.Errorf("no menu %q", name)
	}
	if len(items) > maxItems {
		return fmt.Errorf("more than %d items", maxItems)
	}
	i := item{first: o.has("default", "d")}
	if !o.has("gap", "g") && len(args) > 0 {
		i.label, args = args[0], args[1:]
	}
	i.text = strings.Join(args, " ")
	in.menus[name] = append(items, i)
	return nil
}

// choose shows a menu and puts the label that is chosen into a setting. Nobody
// is at the keyboard, so that is the default, or the first item, when the time is
// over; without a time limit, or with one of 0, the menu waits for ever
// (https://ipxe.org/cmd/choose).
func (in *interpreter) choose(o options, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	name := o.value("menu", "m")
	items, ok := in.menus[name]
	if !ok {
		return fmt.Errorf("no menu %q", name)
	}
	if !o.has("keep", "k") {
		delete(in.menus, name)
	}
	limit, err := strconv.ParseUint(o.value("timeout", "t"), 0, 32)
	if o.has("timeout", "t") && err != nil {
		return errUsage
	}
	chosen := slices.IndexFunc(items, func(i item) bool { return i.label != "" })
	if chosen < 0 {
		return errors.New("nothing to choose from")
	}
	named := o.has("default", "d") // which overrides that of the items, even if there is none of the name
	for n, i := range items {
		in.say(i.text)
		if i.label != "" && (named && i.label == o.value("default", "d") || !named && i.first) {
			chosen = n
		}
	}
	if limit == 0 {
		in.outcome.Action = ActionShell
		return nil
	}
	return in.settings.set(args[0], items[chosen].label)
}
