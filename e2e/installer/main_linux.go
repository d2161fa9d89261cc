// Command installer is the first and only process of a machine that a test of package
// e2e installs: it loads the drivers that lie beside it, takes the address that the
// kernel's command line tells, writes what it fetches from there onto the first disk,
// says that it has done so, and starts the machine anew. The words of the command line:
//
//	ip=192.0.2.33       its own address, in a network of 24 bits
//	image=http://…      what is written onto the disk
//	done=http://…       what is asked for afterwards; without it, it breaks off there
//	nonce=…             what it prints
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What an installation may take, and how often it is looked whether a device is there.
const (
	limit = 60 * time.Second
	again = 50 * time.Millisecond
)

func main() {
	if err := install(); err != nil {
		fmt.Println("PIXIECORE-INSTALLER", err)
		time.Sleep(limit) // a machine that starts anew at once would hide it
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		fmt.Println("reboot:", err)
	}
	select {} // an init that ends is a panic of the kernel
}

func install() error {
	for kind, on := range map[string]string{"proc": "/proc", "devtmpfs": "/dev"} {
		if err := unix.Mount(kind, on, kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", on, err)
		}
	}
	words, err := cmdline()
	if err != nil {
		return err
	}
	modules, err := filepath.Glob("/modules/*.ko") // whose names begin with their order
	if err != nil {
		return err
	}
	for _, path := range modules {
		if err := load(path); err != nil {
			return fmt.Errorf("load %s: %w", path, err)
		}
	}
	if err := await("the network", func() error { return address("eth0", words["ip"]) }); err != nil {
		return err
	}
	var disk *os.File
	if err := await("the disk", func() (err error) { disk, err = os.OpenFile("/dev/vda", os.O_WRONLY, 0); return err }); err != nil {
		return err
	}
	defer disk.Close()
	var body io.ReadCloser
	if err := await("the image", func() (err error) { body, err = get(words["image"]); return err }); err != nil {
		return err
	}
	defer body.Close()
	n, err := io.Copy(disk, body)
	if err := errors.Join(err, disk.Sync()); err != nil {
		return fmt.Errorf("write the disk: %w", err)
	}
	fmt.Printf("PIXIECORE-INSTALLED %d bytes, %s\n", n, words["nonce"])
	if words["done"] == "" {
		return nil
	}
	home, err := get(words["done"])
	if err != nil {
		return fmt.Errorf("phone home: %w", err)
	}
	fmt.Println("PIXIECORE-DONE", words["nonce"])
	return home.Close()
}

// cmdline is the kernel's, by NAME=VALUE.
func cmdline() (map[string]string, error) {
	text, err := os.ReadFile("/proc/cmdline")
	words := make(map[string]string)
	for _, w := range bytes.Fields(text) {
		name, value, _ := strings.Cut(string(w), "=")
		words[name] = value
	}
	return words, err
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

// address gives an interface its address, and switches it on.
func address(name, ip string) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	for _, one := range []struct {
		request uint
		address net.IP
	}{{unix.SIOCSIFADDR, net.ParseIP(ip)}, {unix.SIOCSIFNETMASK, net.IPv4(255, 255, 255, 0)}} {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = r.SetInet4Addr(one.address.To4())
		}
		if err == nil {
			err = unix.IoctlIfreq(s, one.request, r)
		}
		if err != nil {
			return err
		}
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}

func get(url string) (io.ReadCloser, error) {
	client := http.Client{Timeout: limit, Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext}}
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp.Body, nil
}

// await tries what needs a device until that is there.
func await(what string, try func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(again) {
		err := try()
		switch {
		case err == nil:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}
