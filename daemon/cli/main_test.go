package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pixiecore/pixiecore/daemon/cli"
	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// withoutSleep lets a program with the race detector end when it ends: it would wait for
// a second, for races of the goroutines that it leaves behind, and the tests run it some
// hundred times.
const withoutSleep = "atexit_sleep_ms=0"

// The test binary is also what the tests run: as `pixiecore` in scripts and in
// network namespaces, and as a PXE client there.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", withoutSleep)
	flag.Set("test.parallel", "8") // unless the command line says another: they wait more than they compute
	testscript.Main(m, map[string]func(){
		"pixiecore":  func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"mirror":     func() { os.Exit(runMirror(os.Args[1], os.Args[2])) },
		"bootkernel": func() { os.Exit(bootKernel(os.Args[1])) },
		"storeboots": func() { os.Exit(storeBoots(os.Args[1], os.Args[2])) },
		"pxeclient":  func() { os.Exit(runClient(os.Args[1], os.Args[2], os.Args[3], os.Args[4])) },
	})
}

// The commands' contract, one file each.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", withoutSleep)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("condition %q: there is only root", cond)
			}
			return os.Geteuid() == 0, nil
		},
	})
}

// storeBoots puts machines, a list of them in a file, into the state directory of a
// daemon that does not run.
func storeBoots(file, dir string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fail(err)
	}
	var all []struct {
		Machine events.Machine `json:"machine"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return fail(err)
	}
	values := map[string][]byte{}
	for _, m := range all {
		if values[net.HardwareAddr(m.Machine.MAC[:]).String()], err = json.Marshal(m); err != nil {
			return fail(err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	s, err := store.Open(dir)
	if err != nil {
		return fail(err)
	}
	if err := errors.Join(s.Bucket("boots").Update(values), s.Close()); err != nil {
		return fail(err)
	}
	return 0
}

// runMirror serves a directory, and writes where to a file.
func runMirror(dir, to string) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = os.WriteFile(to+".tmp", []byte("http://"+l.Addr().String()), 0o600)
	}
	if err == nil {
		err = os.Rename(to+".tmp", to)
	}
	if err == nil {
		err = http.Serve(l, http.FileServer(http.Dir(dir)))
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// bootKernel asks the HTTP server at an address for the script of a machine, and for
// the kernel in it, and prints both.
func bootKernel(address string) int {
	get := func(url string) (string, string) {
		resp, err := http.Get(url)
		if err != nil {
			return err.Error(), ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err.Error(), ""
		}
		return resp.Status, string(body)
	}
	_, script := get("http://" + address + "/_/ipxe?facts=1&platform=efi&buildarch=x86_64&mac=52:54:00:aa:00:01")
	fmt.Println(script)
	if at := regexp.MustCompile(`http://\S*/_/file\S*type=kernel\S*`).FindString(script); at != "" {
		fmt.Println(get(strings.ReplaceAll(at, "${netX/mac:hexhyp}", "52-54-00-aa-00-01")))
	}
	return 0
}

// booted is what the client process prints.
type booted struct {
	pxeclient.Transcript
	Err string
}

// runClient boots a machine that has the address and waits so long for an offer, and
// prints how it went.
func runClient(profile, mac, address, patience string) int {
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
	wait, err := time.ParseDuration(patience)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := pxeclient.Client{
		Profile: p, MAC: hw, UUID: [16]byte{1, 2, 3}, LongMode: true, Facts: map[string]string{"serial": "S/N 1"},
		Address: netip.MustParseAddr(address), Ports: pxeclient.StandardPorts(), Wait: wait,
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
