package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pixiecore/pixiecore/daemon/cli"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// The test binary is also what the tests run: as `pixiecore` in scripts and in
// network namespaces, and as a PXE client there.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"pixiecore": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"pxeclient": func() { os.Exit(runClient(os.Args[1], os.Args[2], os.Args[3])) },
	})
}

// The commands' contract, one file each.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true,
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("condition %q: there is only root", cond)
			}
			return os.Geteuid() == 0, nil
		},
	})
}

// booted is what the client process prints.
type booted struct {
	pxeclient.Transcript
	Err string
}

// runClient boots a machine that has the address, and prints how it went.
func runClient(profile, mac, address string) int {
	p, err := pxeclient.ProfileByName(profile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	hw, err := net.ParseMAC(mac)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := pxeclient.Client{
		Profile: p, MAC: hw, UUID: [16]byte{1, 2, 3}, LongMode: true, Facts: map[string]string{"serial": "S/N 1"},
		Address: netip.MustParseAddr(address), Ports: pxeclient.StandardPorts(), Wait: 3 * time.Second,
	}
	var b booted
	if b.Transcript, err = c.Boot(ctx); err != nil {
		b.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(b); err != nil {
		return 1
	}
	return 0
}
