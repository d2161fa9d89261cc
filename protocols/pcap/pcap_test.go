package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	client = [6]byte{0x52, 0x54, 0, 0, 0, 1}
	server = [6]byte{0x52, 0x54, 0, 0, 0, 2}
	all    = []Datagram{
		{noon, "eth0", ap("0.0.0.0:68"), ap("255.255.255.255:67"), client, [6]byte{}, []byte("discover")},
		{noon.Add(time.Millisecond), "eth0", ap("192.0.2.1:67"), ap("192.0.2.9:68"), server, client, []byte("odd")},
		{noon.Add(time.Second), "", ap("[fe80::1]:546"), ap("[ff02::1:2]:547"), client, [6]byte{}, []byte("solicit")},
		{noon.Add(time.Minute), "eth1", ap("192.0.2.9:1024"), ap("192.0.2.1:69"), client, server, nil},
	}
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func write(t testing.TB, all []Datagram) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, "pixiecore test")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if err := w.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func read(file []byte) (got []Datagram, err error) {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	for {
		d, err := r.Next()
		if err != nil {
			return got, err
		}
		got = append(got, d)
	}
}

var compare = []cmp.Option{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(bytes.Equal),
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	got, err := read(write(t, all))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	want := append([]Datagram(nil), all...)
	want[0].ToMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	want[2].ToMAC = [6]byte{0x33, 0x33, 0, 1, 0, 2}
	if diff := cmp.Diff(want, got, compare...); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	w, _ := NewWriter(io.Discard, "")
	for _, d := range []Datagram{
		{From: ap("192.0.2.1:1"), To: ap("[::1]:2")}, {To: ap("[::1]:2")},
		{From: ap("192.0.2.1:1"), To: ap("192.0.2.2:1"), Data: make([]byte, MaxData+1)},
	} {
		if err := w.Write(d); err == nil {
			t.Errorf("%v was written", d)
		}
	}
	if err := w.Write(Datagram{From: ap("192.0.2.1:1"), To: ap("192.0.2.2:1"), Data: make([]byte, MaxData)}); err != nil {
		t.Errorf("the largest: %v", err)
	}
}

// tcpdump reads a capture as what was put into it, and finds no wrong checksum. What
// it writes in the older format is read.
func TestTcpdump(t *testing.T) {
	path, err := exec.LookPath("tcpdump")
	if err != nil {
		if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs tcpdump (apt install tcpdump)")
	}
	file := filepath.Join(t.TempDir(), "all.pcapng")
	if err := os.WriteFile(file, write(t, all), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "-n", "-e", "-vv", "-r", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"52:54:00:00:00:01 > ff:ff:ff:ff:ff:ff", "0.0.0.0.68 > 255.255.255.255.67", "ff02::1:2.547", "udp sum ok"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "bad") || strings.Contains(string(out), "truncated-ip") {
		t.Errorf("tcpdump finds fault:\n%s", out)
	}
	old := filepath.Join(t.TempDir(), "all.pcap")
	if out, err := exec.Command(path, "-r", file, "-w", old).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(b)
	if !errors.Is(err, io.EOF) || len(got) != len(all) || got[1].From != all[1].From || got[1].Time.Truncate(time.Microsecond).Sub(noon.Truncate(time.Microsecond)) != time.Millisecond {
		t.Errorf("pcap: %v, %v", got, err)
	}
}

// Captures of other programs and hosts: of the other byte order, with VLANs, of the
// interface "any", of tunnels.
func TestOtherCaptures(t *testing.T) {
	frame, _ := all[1].frame()
	ip := frame[ethernetHeader:]
	pcap := func(order binary.ByteOrder, magic, kind uint32, data []byte) []byte {
		b := make([]byte, 24, 1000)
		order.PutUint32(b, magic)
		order.PutUint32(b[20:], kind)
		b = append(b, make([]byte, 16)...)
		order.PutUint32(b[24:], uint32(noon.Unix()))
		order.PutUint32(b[32:], uint32(len(data)))
		return append(b, data...)
	}
	vlan := append(append(append([]byte{}, frame[:12]...), 0x81, 0, 0, 7), frame[12:]...)
	for name, file := range map[string][]byte{
		"big-endian":     pcap(binary.BigEndian, magicMicro, linkEthernet, frame),
		"nanoseconds":    pcap(binary.LittleEndian, magicNano, linkEthernet, frame),
		"VLAN":           pcap(binary.LittleEndian, magicMicro, linkEthernet, vlan),
		"raw":            pcap(binary.LittleEndian, magicMicro, linkRaw, ip),
		"IPv4":           pcap(binary.LittleEndian, magicMicro, linkIPv4, ip),
		"loopback":       pcap(binary.LittleEndian, magicMicro, linkNull, append([]byte{2, 0, 0, 0}, ip...)),
		"any":            pcap(binary.LittleEndian, magicMicro, linkSLL, append(append(make([]byte, 14), 8, 0), ip...)),
		"any, version 2": pcap(binary.LittleEndian, magicMicro, linkSLL2, append(append([]byte{8, 0}, make([]byte, 18)...), ip...)),
	} {
		got, err := read(file)
		if !errors.Is(err, io.EOF) || len(got) != 1 || got[0].From != all[1].From || string(got[0].Data) != "odd" || got[0].Time.Unix() != noon.Unix() {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestWhatIsNoCapture(t *testing.T) {
	file := write(t, all)
	large := append([]byte(nil), file...)
	binary.LittleEndian.PutUint32(large[4:], MaxBlock+4)
	for name, tc := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":         {nil, "not a capture"},
		"a text":          {[]byte("listener"), "not a capture"},
		"cut short":       {file[:len(file)-5], "unexpected EOF"},
		"a large block":   {large, "malformed block"},
		"a cut header":    {[]byte{0xd4, 0xc3, 0xb2, 0xa1, 0}, "not a capture"},
		"a strange order": {append([]byte{0x0a, 0x0d, 0x0d, 0x0a}, make([]byte, 40)...), "malformed block"},
	} {
		if _, err := read(tc.file); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// Whatever a file holds, it is read in bounded time and memory, and what is read can
// be written.
func FuzzReader(f *testing.F) {
	file := write(f, all)
	f.Add(file)
	f.Add(file[:100])
	f.Add(append([]byte{0xd4, 0xc3, 0xb2, 0xa1}, make([]byte, 60)...))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := read(file)
		if err == nil {
			t.Fatal("no end")
		}
		for i := range got {
			got[i].Time = noon
		}
		write(t, got)
	})
}
