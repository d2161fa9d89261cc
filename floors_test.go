package pixiecore_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pixiecore/pixiecore"

// A floor says what a package may import of this module. Patterns are of
// path.Match; "dir/..." is the folder with everything below it. The first floor
// whose name matches a package is its own.
type floor struct {
	name string
	may  []string
}

var floors = []floor{
	{"booters/boot", nil},
	{"booters/*", []string{"booters/boot"}},
	{"booters", []string{"booters/*"}},
	{"protocols/netio", nil},
	{"protocols/netio/netlab", nil},
	{"protocols/events", []string{"booters/boot"}},
	{"protocols/drops", nil},
	{"protocols/once", []string{"booters/boot"}},
	{"protocols/pcap", nil},
	{"protocols/boots", []string{"booters/boot", "protocols/events", "protocols/once"}},
	{"protocols/strategy", []string{"booters/boot"}},
	{"protocols/bootfiles", []string{"booters/boot", "protocols/boots", "protocols/drops", "protocols/events", "protocols/strategy"}},
	{"protocols/leases", nil},
	{"protocols/*", []string{"booters/boot", "protocols/netio", "protocols/pcap", "protocols/leases", "protocols/events", "protocols/drops", "protocols/boots", "protocols/bootfiles", "protocols/strategy"}},
	{"systemd", nil},
	// What can be the name of a file in an archive is said where archives are made.
	{"config", []string{"booters", "booters/boot", "booters/cpio"}},
	// The original's command line may name a recipe.
	{"config/importers", []string{"config", "config/recipes", "booters", "booters/boot"}},
	{"config/*", []string{"config", "booters", "booters/boot"}},
	{"daemon/store", []string{"booters/boot"}},
	{"daemon/status", []string{"booters/...", "config/...", "protocols/...", "systemd"}},
	// The control socket tells the document that the status listener tells.
	{"daemon/control", []string{"booters/...", "config/...", "protocols/...", "systemd", "daemon/status"}},
	// Pages and JSON are made of the document, and of what explain says of a machine.
	{"daemon/page", []string{"booters/...", "config/...", "protocols/...", "systemd", "daemon/status", "daemon/control"}},
	{"daemon/metrics", []string{"daemon/status", "protocols/events"}},
	{"daemon/ports", nil},
	{"daemon/classic", nil},
	{"daemon/pixiecore", []string{"daemon/cli"}},
	{"daemon/cli/docs", []string{"daemon/cli", "config"}},
	// The status document holds machines of protocols/events, which status shows;
	// snippet names the loaders as protocols/bootfiles does.
	{"daemon/cli", []string{"daemon/...", "config", "config/recipes", "config/importers", "booters", "booters/boot", "protocols/events", "protocols/bootfiles", "protocols/pxeclient", "protocols/dhcp6"}},
	{"daemon", []string{"booters/...", "config/...", "protocols/...", "systemd", "daemon/status", "daemon/control", "daemon/page", "daemon/metrics", "daemon/ports", "daemon/store"}},
	{"e2e", []string{"protocols/..."}},
	{"examples/api-server", nil},
	{"e2e/systemd", nil},
	{"e2e/library", []string{".", "protocols/dhcp6"}},
	{"e2e/bench", nil},
	{"e2e/upstream", nil},
	{"e2e/bench/profiled", []string{"daemon/cli"}},
	{"e2e/init", nil},
	{"e2e/installer", nil},
	{"examples/library", []string{"."}},
	{".", []string{"daemon", "daemon/classic", "config", "booters", "booters/boot", "protocols/dhcp6"}},
}

// exclusive are libraries with one home.
var exclusive = map[string]string{
	"github.com/hashicorp/hcl":     "config/...",
	"github.com/zclconf/go-cty":    "config/...",
	"github.com/fsnotify/fsnotify": "daemon",
	"github.com/coreos/go-systemd": "systemd",
	"github.com/spf13/cobra":       "daemon/cli/...",
}

func matches(pattern, pkg string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == dir || strings.HasPrefix(pkg, dir+"/")
	}
	ok, _ := path.Match(pattern, pkg)
	return ok
}

// No import goes up a floor. Tests may look further, so they are left out.
func TestFloors(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(file, "go.mod")); d.IsDir() && file != "." && err == nil {
			return fs.SkipDir // a module of its own
		}
		if d.IsDir() || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(file))
		i := slices.IndexFunc(floors, func(f floor) bool { return matches(f.name, pkg) })
		if i < 0 {
			t.Errorf("%s: package %s has no floor: add it to the table", file, pkg)
			return nil
		}
		seen[floors[i].name] = true
		src, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range src.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			for lib, home := range exclusive {
				if strings.HasPrefix(imported, lib) && !matches(home, pkg) {
					t.Errorf("%s imports %s, which only %s may", file, imported, home)
				}
			}
			own, ok := strings.CutPrefix(imported, module+"/")
			if imported == module {
				own, ok = ".", true
			}
			if !ok {
				if pkg == "booters/boot" && strings.Contains(imported, ".") {
					t.Errorf("%s imports %s; booters/boot has the standard library only", file, imported)
				}
				continue
			}
			if !slices.ContainsFunc(floors[i].may, func(p string) bool { return matches(p, own) }) {
				t.Errorf("%s imports %s; a package of floor %q may import only %v", file, own, floors[i].name, floors[i].may)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, must := range []string{"booters/boot", "protocols/*", "daemon", "config"} {
		if !seen[must] {
			t.Errorf("no package of floor %q was found: is the test looking in the right folder?", must)
		}
	}
}
