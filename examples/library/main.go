// Command library is a program with a network-boot server in it: machines boot what
// the program decides, one by one.
//
//	go run ./examples/library vmlinuz initrd "console=ttyS0 ip=dhcp"
//
// It needs to be root, or to have CAP_NET_BIND_SERVICE.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/pixiecore/pixiecore"
)

// A rack is the machines of the program. It is a pixiecore.Booter.
type rack struct {
	kernel, initrd, cmdline string
}

// BootSpec is asked for each machine, several times in a boot.
func (r *rack) BootSpec(m pixiecore.Machine) (*pixiecore.Spec, error) {
	return &pixiecore.Spec{
		Kernel:  "kernel",
		Initrd:  []pixiecore.ID{"initrd"},
		Cmdline: fmt.Sprintf(`%s mac=%s greeting={{ ID "greeting" }}`, r.cmdline, m.MAC),
		Message: "Booted by a program of its own",
	}, nil
}

// ReadBootFile is asked for whatever name a client may send: these three are all
// that there is.
func (r *rack) ReadBootFile(id pixiecore.ID) (io.ReadCloser, int64, error) {
	switch id {
	case "kernel":
		return open(r.kernel)
	case "initrd":
		return open(r.initrd)
	case "greeting":
		return nil, 0, fmt.Errorf("%q is for writing", id)
	}
	return nil, 0, fmt.Errorf("no file %q", id)
}

// WriteBootFile takes what a machine posts to the greeting's address.
func (r *rack) WriteBootFile(id pixiecore.ID, body io.Reader) error {
	if id != "greeting" {
		return errors.New("not for writing")
	}
	text, err := io.ReadAll(io.LimitReader(body, 1<<10))
	log.Printf("a machine says %q", text)
	return err
}

// open opens a file with its size, by which machines show how far they are.
func open(path string) (io.ReadCloser, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: library KERNEL INITRD CMDLINE")
	}
	s := &pixiecore.Server{
		Booter: &rack{kernel: os.Args[1], initrd: os.Args[2], cmdline: os.Args[3]},
		Log:    func(subsystem, msg string) { log.Printf("[%s] %s", subsystem, msg) },
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, s.Shutdown)
	if err := s.Serve(); err != nil {
		log.Fatal(err)
	}
}
