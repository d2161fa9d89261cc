//go:build systemd

package systemd

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

const (
	architecture = runtime.GOARCH
	machineLimit = 60 * time.Second // for a machine to boot, a restart of the daemon included
	roleVariable = "PIXIECORE_ROLE"
)

// TestMain is also the machines of the tests: started again in the namespace of
// the client, where all its sockets then are.
func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithTimeout(context.Background(), machineLimit)
	defer cancel()
	if err := roles[role](ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

var roles = map[string]func(context.Context) error{
	"boot": boot,
}

// boot is a machine with UEFI. It prints the command line of its kernel.
func boot(ctx context.Context) error {
	profile, err := pxeclient.ProfileByName("efi-x64")
	if err != nil {
		return err
	}
	c := pxeclient.Client{
		Profile:  profile,
		MAC:      net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1},
		LongMode: true,
		Address:  clientAddr,
		Ports:    pxeclient.StandardPorts(),
		Wait:     machineLimit,
	}
	transcript, err := c.Boot(ctx)
	if err != nil {
		return err
	}
	fmt.Println(transcript.Outcome.Cmdline)
	return nil
}
