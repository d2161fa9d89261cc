//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A machine is one to be switched on.
type machine struct {
	bootCase
	mac   string
	nonce string // what a boot of it prints
	disk  string // the path of its own disk, which it may write; empty: none, or what makeDisk makes
}

// bootLimit is how long a machine may take from power on to the text that is
// waited for. UEFI takes some 30 s on an idle host, and 100 s where it waits for IPv4
// or IPv6 in vain before; ten times as busy a host takes three times as long.
const bootLimit = 300 * time.Second

// Machines that are on at the same time. Most keep a processor busy each; some wait for
// most of the time.
var (
	busy    = make(chan struct{}, 2)
	waiting = make(chan struct{}, 3)
)

// A board is what a platform is in QEMU.
type board struct {
	program string
	args    []string
	rom     bool   // the NIC has its ROM, iPXE of 2019
	code    string // UEFI firmware
	vars    string // and what its variables are at first

	anyOrder bool // QEMU tells no order in which to boot
}

var boards = map[platform]board{
	seabios: {program: "qemu-system-x86_64", rom: true, args: []string{"-machine", "pc,graphics=off"}}, // SeaBIOS speaks on the serial console
	ovmf: {program: "qemu-system-x86_64", args: []string{"-machine", "q35,graphics=off"},
		code: "/usr/share/OVMF/OVMF_CODE_4M.fd", vars: "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	secured: {program: "qemu-system-x86_64", args: secure, code: "/usr/share/OVMF/OVMF_CODE_4M.ms.fd", vars: "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
	// Debian has it with Secure Boot only; without keys that is off.
	ovmf32: {program: "qemu-system-x86_64", args: secure, code: "/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd", vars: "/usr/share/OVMF/OVMF32_VARS_4M.fd"},
	aavmf: {program: "qemu-system-aarch64", args: []string{"-machine", "virt", "-cpu", "cortex-a57"},
		code: "/usr/share/AAVMF/AAVMF_CODE.fd", vars: "/usr/share/AAVMF/AAVMF_VARS.fd"},
	// The firmware does not find its devices in the order that QEMU tells, and would
	// then leave all of them out.
	riscv: {program: cached("riscv64", "qemu-system-riscv64"), args: []string{"-machine", "virt,acpi=off", "-bios", cached("riscv64", "fw_dynamic.bin")},
		code: cached("riscv64", "RISCV_VIRT_CODE.fd"), vars: cached("riscv64", "RISCV_VIRT_VARS.fd"), anyOrder: true},
}

// secure is a machine whose variables the firmware alone can write, in system
// management mode.
var secure = []string{"-machine", "q35,smm=on,graphics=off", "-global", "driver=cfi.pflash01,property=secure,value=on"}

// memory of a machine in MiB.
const memory = "512"

// A running machine.
type running struct {
	*process
	*capture
	name      string // the test's, for messages
	mac       string
	serverMAC string
	on        time.Time
}

// powerOn starts a machine, as soon as there is a place for it. It is off again when
// the test ends.
func (l *lab) powerOn(t *testing.T, d *daemon, m machine) *running {
	t.Helper()
	place := l.places
	if m.waits {
		place = waiting
	}
	place <- struct{}{}
	t.Cleanup(func() { <-place })
	of := boards[m.platform]
	if _, err := exec.LookPath(of.program); err != nil {
		skip(t, "needs %s: %v; run e2e/setup", m.platform, err)
	}
	tap := l.tap(t)
	args := append([]string{
		"-accel", "tcg", "-m", memory, "-smp", "1", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "stdio", "-monitor", "none",
		"-device", "virtio-rng-pci", // EDK2 of 2024 and later has no network without a source of randomness
	}, of.args...)
	nic := m.nic
	if nic == "" {
		nic = "virtio-net-pci"
	}
	nic += ",netdev=net,mac=" + m.mac
	if !of.anyOrder {
		nic += ",bootindex=0"
	}
	dir, err := os.MkdirTemp(made.dir, "machine") // a name without commas, which QEMU's options end at
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if m.plain {
		args = append(args, "-netdev", l.plainROM(t, tap, dir))
	} else {
		args = append(args, "-netdev", "tap,id=net,script=no,downscript=no,ifname="+tap)
	}
	if of.rom {
		need(t, "the iPXE ROMs of QEMU", "/usr/lib/ipxe/qemu/pxe-virtio.rom")
	} else {
		nic += ",romfile=" // the firmware's own network stack
	}
	if of.code != "" {
		vars := filepath.Join(dir, "vars.fd")
		template, err := os.ReadFile(need(t, "UEFI firmware", of.vars))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vars, template, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+need(t, "UEFI firmware", of.code),
			"-drive", "if=pflash,format=raw,unit=1,file="+vars)
	}
	args = append(args, "-device", nic)
	for _, support := range m.off {
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/"+support+",string=no")
	}
	drive := ""
	switch {
	case m.disk != "":
		drive = "if=none,id=disk,format=raw,file=" + m.disk
	case m.end == disk:
		drive = m.makeDisk(t, dir)
	}
	if drive != "" {
		args = append(args, "-drive", drive, "-device", "virtio-blk-pci,drive=disk,bootindex=1")
	}

	r := &running{name: m.machine, mac: m.mac, serverMAC: l.serverMAC, on: time.Now()}
	r.capture = newCapture(t, l.Switch, tap)
	logged := len(d.String())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: serial console:\n%s", r.name, tail(strings.ToValidUTF8(r.String(), "?"), 4<<10))
			t.Logf("%s: cable:\n%s", r.name, r.summary())
			t.Logf("%s: daemon meanwhile:\n%s", r.name, tail(d.String()[logged:], 8<<10))
		}
	})
	r.process = start(t, l.Switch, exec.Command(of.program, args...))
	return r
}

// makeDisk makes a disk that prints the nonce, as a -drive of QEMU.
func (m machine) makeDisk(t *testing.T, dir string) string {
	t.Helper()
	const drive = "if=none,id=disk,format=raw,readonly=on,file="
	if m.platform == seabios {
		disk := filepath.Join(dir, "disk")
		if err := os.WriteFile(disk, bytes.Join([][]byte{bootSector(m.nonce), make([]byte, 1<<20)}, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		return drive + disk
	}
	// QEMU shows a directory as a disk with a FAT file system.
	esp := filepath.Join(dir, "esp")
	if err := os.MkdirAll(filepath.Join(esp, "EFI", "BOOT"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(esp, "EFI", "BOOT", "BOOTX64.EFI"), efiProgram(m.nonce), 0o600); err != nil {
		t.Fatal(err)
	}
	return drive + "fat:" + esp
}

// gaveUp matches what the firmware says, SeaBIOS and OVMF, when it has nothing
// left to boot.
var gaveUp = regexp.MustCompile(`No bootable device\.|UEFI Interactive Shell|No bootable option or device was found`)

// await waits until the machine prints what the pattern matches, and returns
// the first submatch.
func (r *running) await(t *testing.T, what string, pattern *regexp.Regexp) string {
	t.Helper()
	limit := time.NewTimer(time.Until(r.on.Add(bootLimit)))
	defer limit.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for ended := false; ; {
		if m := pattern.FindStringSubmatch(r.String()); m != nil {
			t.Logf("%s: %s after %.1f s", r.name, what, time.Since(r.on).Seconds())
			return m[1]
		}
		switch {
		case ended:
			t.Fatalf("%s: ended without %s: %v", r.name, what, r.err)
		case gaveUp.MatchString(r.String()):
			t.Fatalf("%s: gave up without %s after %.1f s", r.name, what, time.Since(r.on).Seconds())
		}
		select {
		case <-poll.C:
		case <-r.exited:
			ended = true // what it wrote last is there now
		case <-limit.C:
			t.Fatalf("%s: no %s within %v", r.name, what, bootLimit)
		}
	}
}

// booted matches the whole line that the initial RAM disk prints.
var booted = regexp.MustCompile(regexp.QuoteMeta(cmdlineMark) + `([^\r\n]*)[\r\n]`)

// nonce is the nonce of the command line that the machine has booted with.
func (r *running) nonce(t *testing.T) string {
	t.Helper()
	for word := range strings.FieldsSeq(r.await(t, "kernel", booted)) {
		if n, ok := strings.CutPrefix(word, "nonce="); ok {
			return n
		}
	}
	return ""
}

// awaitDisk waits until the machine's disk prints its text.
func (r *running) awaitDisk(t *testing.T, text string) {
	t.Helper()
	r.await(t, "disk", regexp.MustCompile("("+regexp.QuoteMeta(text)+")"))
}
