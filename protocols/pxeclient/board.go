package pxeclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"
)

// What a board does in place of running a network boot program: it reads a
// configuration and loads the kernel that this names. It is told by what is
// published of both (Raspberry Pi's documentation of its bootloader, U-Boot's
// doc/README.pxe), not measured.

// piID is option 97 of a Raspberry Pi from the 4 on, made of the machine's MAC
// address and the last four bytes of its UUID as the serial number.
func piID(mac net.HardwareAddr, uuid [16]byte) (id [16]byte) {
	copy(id[:], "RPi4\x11\x31\xc0\x00") // revision c03111
	copy(id[8:], mac[2:])
	copy(id[12:], uuid[12:])
	return id
}

// piDirectory is where a Raspberry Pi looks for its files: the serial number, which
// on models until 3 ends as the MAC address does.
func (m *machine) piDirectory() string {
	if m.profile.bare {
		return fmt.Sprintf("9f%x", []byte(m.MAC[3:]))
	}
	id := piID(m.MAC, onWire(m.UUID))
	return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(id[12:]))
}

// board boots by the configuration at the address that DHCP told.
func (m *machine) board(ctx context.Context) error {
	var err error
	if m.profile.family == raspberryPi {
		err = m.bootPi(ctx)
	} else {
		err = m.bootExtlinux(ctx)
	}
	if err == nil && m.transcript.Outcome.Action == ActionNone {
		err = errors.New("the configuration names no kernel")
	}
	return err
}

func (m *machine) bootPi(ctx context.Context) error {
	at := func(name string) *url.URL {
		return m.bootFile.ResolveReference(&url.URL{Path: "/" + m.piDirectory() + "/" + name})
	}
	// What it has not found in its directory, it would look for without one.
	if _, err := m.fetch(ctx, at("start4.elf")); err != nil {
		return err
	}
	config, err := m.text(ctx, at("config.txt"))
	if err != nil {
		return err
	}
	var kernel, initrd string
	cmdline := "cmdline.txt"
	for l := range strings.Lines(config) {
		l = strings.TrimSpace(l)
		if v, ok := strings.CutPrefix(l, "kernel="); ok {
			kernel = v
		}
		if v, ok := strings.CutPrefix(l, "cmdline="); ok {
			cmdline = v
		}
		if v, ok := strings.CutPrefix(l, "initramfs "); ok {
			initrd, _, _ = strings.Cut(v, " ")
		}
	}
	line, err := m.text(ctx, at(cmdline))
	if err != nil || kernel == "" {
		return err
	}
	return m.load(ctx, at, kernel, initrd, strings.TrimSpace(line))
}

func (m *machine) bootExtlinux(ctx context.Context) error {
	beside := m.bootFile
	if m.bootFile.Scheme == "tftp" {
		// pxe get: beside the boot file, first of all by the MAC address.
		beside = m.bootFile.ResolveReference(&url.URL{Path: "pxelinux.cfg/01-" + strings.ReplaceAll(m.MAC.String(), ":", "-")})
	}
	config, err := m.text(ctx, beside)
	if err != nil {
		return err
	}
	at := func(name string) *url.URL {
		if !strings.HasPrefix(name, "/") {
			name = path.Join(path.Dir(m.bootFile.Path), name)
		}
		return m.bootFile.ResolveReference(&url.URL{Path: name})
	}
	said := map[string]string{}
	for l := range strings.Lines(config) {
		word, rest, _ := strings.Cut(strings.TrimSpace(l), " ")
		switch word {
		case "say":
			m.transcript.Outcome.Messages = append(m.transcript.Outcome.Messages, rest)
		case "localboot":
			m.transcript.Outcome.Action = ActionExit
			return nil
		default:
			said[word] = rest
		}
	}
	if said["kernel"] == "" {
		return nil
	}
	return m.load(ctx, at, said["kernel"], said["initrd"], said["append"])
}

// load fetches what a configuration names, and starts it.
func (m *machine) load(ctx context.Context, at func(string) *url.URL, kernel, initrd, cmdline string) error {
	o := &m.transcript.Outcome
	var err error
	if initrd != "" {
		img, err := m.fetch(ctx, at(initrd))
		if err != nil {
			return err
		}
		img.Name = path.Base(initrd)
		o.Initrds = append(o.Initrds, *img)
	}
	if o.Kernel, err = m.fetch(ctx, at(kernel)); err != nil {
		return err
	}
	o.Kernel.Name = path.Base(kernel)
	o.Action, o.Cmdline = ActionBoot, cmdline
	return nil
}

// text fetches a configuration.
func (m *machine) text(ctx context.Context, u *url.URL) (string, error) {
	var b bytes.Buffer
	s := Step{Kind: StepFetch, URL: u.String(), Start: m.now()}
	err := m.fetchTo(ctx, u, &limitWriter{w: &b, left: maxScript})
	sum := sha256.Sum256(b.Bytes())
	s.Took, s.Size = m.now()-s.Start, int64(b.Len())
	if err == nil {
		s.SHA256 = hex.EncodeToString(sum[:])
	}
	m.done(s, err)
	return b.String(), err
}
