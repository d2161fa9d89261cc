package httpboot

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var mac = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}

// booter is a Source and the Booter in it.
type booter struct {
	verdict func(boot.Machine) (*boot.Verdict, error)
	files   map[boot.ID]func() (io.ReadCloser, int64, error)
	gen     *uint64 // nil: always 5
}

func (b booter) Current() *boot.Snapshot {
	gen := uint64(5)
	if b.gen != nil {
		gen = *b.gen
	}
	return &boot.Snapshot{Gen: gen, Booter: b, Loaders: map[boot.Firmware][]byte{boot.FirmwareEFI64: []byte("snponly")}}
}
func (b booter) Decide(_ context.Context, m boot.Machine) (*boot.Verdict, error) { return b.verdict(m) }
func (booter) BootSpec(boot.Machine) (*boot.Spec, error)                         { return nil, nil }
func (booter) WriteBootFile(boot.ID, io.Reader) error                            { return boot.ErrNotFound }
func (b booter) ReadBootFile(id boot.ID) (io.ReadCloser, int64, error) {
	if open, ok := b.files[id]; ok {
		return open()
	}
	return nil, 0, fmt.Errorf("%q: %w", id, boot.ErrNotFound)
}

func newServer(t testing.TB, b booter) *Server {
	t.Helper()
	key, err := boot.NewTokenKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &Server{Tree: bootfiles.Tree{Boots: &boots.Memory{Source: b}, Tokens: key}, Events: events.New(), Log: zap.NewNop()}
}

func (s *Server) token(typ boot.ArchType) string {
	return s.Tree.Tokens.Seal(boot.Token{MAC: [6]byte(mac), Type: typ, Time: time.Unix(1700000000, 0)})
}

func get(t testing.TB, s *Server, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "http://192.0.2.1:80/", nil)
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r.URL, r.RequestURI = u, target
	s.ServeHTTP(w, r)
	return w
}

// byArch boots x64 machines and ignores others.
func byArch(m boot.Machine) (*boot.Verdict, error) {
	if !m.ArchCertain() {
		return &boot.Verdict{Action: boot.Probe}, nil
	}
	if m.Arch == boot.ArchX64 {
		return &boot.Verdict{Action: boot.Boot, Rule: "x64", Spec: &boot.Spec{Kernel: "kernel-of-" + boot.ID(m.Firmware.String()), Cmdline: "quiet"}}, nil
	}
	return &boot.Verdict{Action: boot.Ignore}, nil
}

func TestScriptOfABoot(t *testing.T) {
	s := newServer(t, booter{verdict: byArch})
	for _, tc := range []struct {
		name, query string
		status      int
		want        string // a line of the body
	}{
		{"the first request gets the stub", "token=" + s.token(0), 200, "cpuid --ext 29 && set cpu x64 ||"},
		{"a BIOS with a 64-bit CPU", "token=" + s.token(0) + "&facts=1&cpu=x64", 200, "kernel --name kernel http://192.0.2.1:80/_/file?name=kernel-of-bios&type=kernel&mac=52%3A54%3A00%3A12%3A34%3A56&token=" + s.token(0)},
		{"a BIOS without", "token=" + s.token(0) + "&facts=1&cpu=ia32", 200, "echo pixiecore: no rule of the server boots 52:54:00:12:34:56 (ia32, bios)"},
		{"UEFI needs no CPU", "token=" + s.token(7) + "&facts=1&cpu=", 200, "boot kernel quiet"},
		{"a CPU says nothing of UEFI", "token=" + s.token(11) + "&facts=1&cpu=x64", 200, "echo pixiecore: no rule of the server boots 52:54:00:12:34:56 (arm64, efi-arm64)"},
		{"the original's parameters", "arch=1&mac=52:54:00:12:34:56", 200, "chain --replace --autofree http://192.0.2.1:80/_/ipxe?mac=52%3A54%3A00%3A12%3A34%3A56&arch=1&facts=1&cpu=${cpu}&platform=${platform}&buildarch=${buildarch}&ip=${netX/ip}&uuid=${uuid}&serial=${serial:uristring}&manufacturer=${manufacturer:uristring}&product=${product:uristring}&asset=${asset:uristring}&hostname=${hostname:uristring} ||"},
		{"the original's parameters with facts", "arch=0&mac=52:54:00:12:34:56&facts=1&cpu=x64", 200, "boot kernel quiet"},
		{"from boot.ipxe", "mac=52:54:00:12:34:56&facts=1&platform=efi&buildarch=x86_64", 200, "kernel --name kernel http://192.0.2.1:80/_/file?name=kernel-of-efi64&type=kernel&mac=52%3A54%3A00%3A12%3A34%3A56"},
		{"a forged token", "token=" + strings.Repeat("a", boot.TokenLen), 400, "unknown token"},
		{"no machine", "", 400, "missing or invalid mac"},
		{"a MAC that is none", "arch=0&mac=hello", 400, "missing or invalid mac"},
		{"a MAC of eight bytes", "arch=0&mac=00:11:22:33:44:55:66:77", 400, "missing or invalid mac"},
		{"no architecture", "mac=52:54:00:12:34:56", 400, "missing or invalid arch"},
		{"an unknown one", "arch=7&mac=52:54:00:12:34:56", 400, "missing or invalid arch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := get(t, newServer(t, booter{verdict: byArch}), "GET", "/_/ipxe?"+tc.query)
			if w.Code != tc.status || !strings.Contains("\n"+w.Body.String(), "\n"+tc.want+"\n") {
				t.Errorf("got %d, %s\nwant %d, %s", w.Code, w.Body, tc.status, tc.want)
			}
		})
	}
}

func TestWhatGoesWrongIsShownOnTheScreen(t *testing.T) {
	s := newServer(t, booter{verdict: func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{}, errors.New("inventory is down") }})
	w := get(t, s, "GET", "/_/ipxe?facts=1&token="+s.token(7))
	for _, want := range []string{"echo pixiecore: no script for this machine: inventory is down", "chain --replace --autofree http://192.0.2.1:80/_/ipxe?token=" + s.token(7) + " ||"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %s\nwant in it %s", w.Body, want)
		}
	}
}

func TestAnArchitectureThatIPXECannotTellIsSaid(t *testing.T) {
	s := newServer(t, booter{verdict: func(m boot.Machine) (*boot.Verdict, error) {
		return &boot.Verdict{Action: boot.Boot, Spec: &boot.Spec{Kernel: boot.ID(m.Arch.Name())}}, nil
	}})
	body := get(t, s, "GET", "/_/ipxe?facts=1&cpu=unknown&token="+s.token(0)).Body.String()
	for _, want := range []string{"cannot ask the CPU, so the machine counts as ia32", "name=ia32&"} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s\nwant in it %s", body, want)
		}
	}
}

func TestLocalAndIgnored(t *testing.T) {
	for _, tc := range []struct {
		v    *boot.Verdict
		typ  boot.ArchType
		want string
		kind events.Kind
	}{
		{&boot.Verdict{Action: boot.Local}, 0, "sanboot --no-describe --drive 0x80 ||", events.Local},
		{&boot.Verdict{Action: boot.Local}, 7, "exit 1", events.Local},
		{&boot.Verdict{Action: boot.Ignore, Rule: "printers"}, 7, `echo pixiecore: the rule "printers" ignores 52:54:00:12:34:56 (x64, efi64)`, events.Ignored},
	} {
		s := newServer(t, booter{verdict: func(boot.Machine) (*boot.Verdict, error) { return tc.v, nil }})
		w := get(t, s, "GET", "/_/ipxe?facts=1&cpu=x64&serial=X1&token="+s.token(tc.typ))
		if !strings.Contains(w.Body.String(), tc.want+"\n") {
			t.Errorf("%v: got %s, want in it %s", tc.v.Action, w.Body, tc.want)
		}
		m := s.Events.Machines()
		if len(m) != 1 || m[0].Facts.Serial != "X1" || m[0].Events()[len(m[0].Events())-1].Kind != tc.kind {
			t.Errorf("%v: events %+v", tc.v.Action, m)
		}
	}
}

// pipe is a source that is no file, as one from upstream.
type pipe struct{ io.Reader }

func (pipe) Close() error { return nil }

func TestFile(t *testing.T) {
	content := strings.Repeat("0123456789", 1000)
	path := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, booter{files: map[boot.ID]func() (io.ReadCloser, int64, error){
		"local": func() (io.ReadCloser, int64, error) {
			f, err := os.Open(path)
			return f, int64(len(content)), err
		},
		"upstream": func() (io.ReadCloser, int64, error) {
			return pipe{strings.NewReader(content)}, int64(len(content)), nil
		},
		"unsized": func() (io.ReadCloser, int64, error) { return pipe{strings.NewReader(content)}, -1, nil },
		"down":    func() (io.ReadCloser, int64, error) { return nil, 0, errors.New("upstream: 503") },
	}})
	for _, tc := range []struct {
		name, method, id, byteRange string
		status                      int
		body, length                string
	}{
		{"a local file", "GET", "local", "", 200, content, "10000"},
		{"its size", "HEAD", "local", "", 200, "", "10000"},
		{"a part of it", "GET", "local", "bytes=5-9", 206, "56789", "5"},
		{"its end", "GET", "local", "bytes=-3", 206, "789", "3"},
		{"beyond it", "GET", "local", "bytes=10000-", 416, "invalid range: failed to overlap\n", ""},
		{"a file from upstream", "GET", "upstream", "", 200, content, "10000"},
		{"its size", "HEAD", "upstream", "", 200, "", "10000"},
		{"a file of unknown size", "GET", "unsized", "", 200, content, ""},
		{"upstream fails", "GET", "down", "", 502, "couldn't get file\n", ""},
		{"an ID that is not ours", "GET", "forged", "", 404, "no such file\n", ""},
		{"no ID", "GET", "", "", 400, "missing name\n", ""},
		{"a write to a file that is not ours", "POST", "local", "", 404, "no such file\n", ""},
		{"something else", "DELETE", "local", "", 405, "only GET and HEAD\n", ""},
	} {
		t.Run(tc.method+" "+tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(tc.method, "/_/file?type=kernel&mac=52:54:00:12:34:56&name="+tc.id, nil)
			if tc.byteRange != "" {
				r.Header.Set("Range", tc.byteRange)
			}
			s.ServeHTTP(w, r)
			if w.Code != tc.status || w.Body.String() != tc.body {
				t.Errorf("got %d, %d bytes; want %d, %d bytes", w.Code, w.Body.Len(), tc.status, len(tc.body))
			}
			if got := w.Header().Get("Content-Length"); tc.length != "" && got != tc.length {
				t.Errorf("Content-Length: got %q, want %q", got, tc.length)
			}
		})
	}
}

func TestOnlyAWholeFileIsAnEvent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kernel")
	os.WriteFile(path, []byte("0123456789"), 0o644)
	s := newServer(t, booter{files: map[boot.ID]func() (io.ReadCloser, int64, error){
		"local": func() (io.ReadCloser, int64, error) { f, err := os.Open(path); return f, 10, err },
	}})
	do := func(method, byteRange string) {
		r := httptest.NewRequest(method, "/_/file?type=kernel&mac=52:54:00:12:34:56&name=local", nil)
		if byteRange != "" {
			r.Header.Set("Range", byteRange)
		}
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	do("HEAD", "")
	do("GET", "bytes=0-3")
	if got := s.Events.Machines(); len(got) != 0 {
		t.Errorf("a probe and a part are events: %+v", got)
	}
	do("GET", "")
	if got := s.Events.Machines(); len(got) != 1 || got[0].Events()[0].Kind != events.Kernel {
		t.Errorf("a whole file: got %+v", got)
	}
}

func TestTheLastThingThatIPXEFetches(t *testing.T) {
	for _, query := range []string{"mac=52:54:00:12:34:56", "token=TOKEN"} {
		s := newServer(t, booter{verdict: byArch})
		w := get(t, s, "GET", "/_/booting?"+strings.ReplaceAll(query, "TOKEN", s.token(7)))
		m := s.Events.Machines()
		if w.Code != 200 || w.Body.String() != "# Booting\n" || len(m) != 1 || m[0].Events()[0].Kind != events.Booting {
			t.Errorf("%s: got %d, %q, %+v", query, w.Code, w.Body, m)
		}
	}
}

func TestTreeByHTTP(t *testing.T) {
	s := newServer(t, booter{verdict: func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{Action: boot.Boot}, nil }})
	dir := "/" + s.token(16)
	for _, tc := range []struct {
		method, path string
		status       int
		body, media  string
	}{
		{"GET", dir + "/ipxe.efi", 200, "snponly", "application/efi"},
		{"HEAD", dir + "/ipxe.efi", 200, "", "application/efi"},
		{"GET", dir + "//ipxe.efi", 200, "snponly", "application/efi"}, // shim's double slash: no redirect
		{"GET", dir + "/autoexec.ipxe", 200, bootfiles.Autoexec("http://192.0.2.1:80", s.token(16), mac), "text/plain"},
		{"GET", "/boot.ipxe", 200, bootfiles.Stub("http://192.0.2.1:80", bootfiles.Machine{}), "text/plain"},
		{"GET", "/", 404, "no such file\n", "text/plain; charset=utf-8"},
		{"GET", "/_/nothing", 404, "no such file\n", "text/plain; charset=utf-8"},
		{"DELETE", "/boot.ipxe", 405, "only GET and HEAD\n", "text/plain; charset=utf-8"},
	} {
		w := get(t, s, tc.method, tc.path)
		got := []any{w.Code, w.Body.String(), w.Header().Get("Content-Type")}
		if diff := cmp.Diff([]any{tc.status, tc.body, tc.media}, got); diff != "" {
			t.Errorf("%s %s -want +got\n%s", tc.method, tc.path, diff)
		}
		if tc.method == "HEAD" && w.Header().Get("Content-Length") != "7" {
			t.Errorf("HEAD without Content-Length: %v", w.Header())
		}
	}
	refused := newServer(t, booter{verdict: func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{}, nil }})
	if w := get(t, refused, "GET", dir+"/ipxe.efi"); w.Code != 403 {
		t.Errorf("a machine that is ignored by now: got %d", w.Code)
	}
}

// A file goes from the disk through a real connection, with the listener's
// deadlines, and a stop waits for it.
func TestRunFinishesTransfersBeforeItStops(t *testing.T) {
	content := bytes.Repeat([]byte("pixiecore"), 3*pieceSize/9+1)
	path := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, booter{files: map[boot.ID]func() (io.ReadCloser, int64, error){
		"local": func() (io.ReadCloser, int64, error) { f, err := os.Open(path); return f, int64(len(content)), err },
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = Listener(l)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()

	resp, err := http.Get("http://" + l.Addr().String() + "/_/file?name=local")
	if err != nil {
		t.Fatal(err)
	}
	stop() // with most of the body still to come
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes of %d, %v", len(got), len(content), err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConnectionsAreGivenBack(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listener(inner).(*listener)
	defer l.Close()
	for range 3 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if len(l.slots) != 1 {
			t.Errorf("open: got %d, want 1", len(l.slots))
		}
		a.Close()
		a.Close() // net/http does that
		c.Close()
	}
	if len(l.slots) != 0 {
		t.Errorf("after the close: got %d, want 0", len(l.slots))
	}
}

// commands are those that may begin a line of a script of ours. Nothing that a machine
// says of itself makes another, or lets one line have two.
var commands = map[string]bool{
	"": true, "#!ipxe": true, "set": true, "iseq": true, "cpuid": true, "chain": true, "inc": true, "echo": true, "sleep": true, "goto": true, "exit": true,
	"kernel": true, "initrd": true, "imgfetch": true, "imgfree": true, "boot": true, "sanboot": true, ":chain": true, ":nochain": true, ":report": true,
}

// FuzzRequest goes from the bytes of a request, in which TOKEN stands for one that the
// server gave out, to the answer: of its own words a machine gets a script that does what
// it should, and nothing that a terminal obeys is in an answer, or the log.
func FuzzRequest(f *testing.F) {
	s := newServer(f, booter{
		verdict: func(m boot.Machine) (*boot.Verdict, error) {
			v, err := byArch(m)
			if facts := m.Facts; v.Spec != nil && facts != nil {
				v.Spec.Cmdline = "serial=" + facts.Serial + " " + facts.Product
				v.Spec.Message = facts.Hostname + "\n" + facts.Asset
				v.Notice = facts.Manufacturer
			}
			return v, err
		},
		files: map[boot.ID]func() (io.ReadCloser, int64, error){
			"x":    func() (io.ReadCloser, int64, error) { return io.NopCloser(strings.NewReader("file")), 4, nil },
			"seek": func() (io.ReadCloser, int64, error) { return pipe{strings.NewReader("file")}, -1, nil },
			"broken": func() (io.ReadCloser, int64, error) {
				return io.NopCloser(io.LimitReader(strings.NewReader("f"), 1)), 4, nil
			},
		},
	})
	core, logs := observer.New(zap.DebugLevel)
	s.Log = zap.New(core)
	for _, target := range []string{
		"/_/ipxe?arch=0&mac=52:54:00:12:34:56", "/_/ipxe?facts=1&cpu=x64&token=TOKEN", "/_/file?name=x", "/_/file?name=x&token=TOKEN&mac=%c2%9b2J", "/_/file?name=seek", "/_/file?name=broken&mac=%9b",
		"/_/booting?mac=52:54:00:12:34:56", "/TOKEN/ipxe.efi", "/boot.ipxe", "//", "/%00", "/_/f/x/y", "/_/f/",
		"/_/ipxe?facts=1&serial=%1b%5b&mac=52-54-00-12-34-56&arch=1", "/_/ipxe?facts=1&serial=a%20%7c%7c%20shell&product=;%20%23x&asset=-%20%26%26&hostname=--&manufacturer=%26%26%20reboot&mac=52-54-00-12-34-56&arch=1",
	} {
		f.Add([]byte("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	f.Add([]byte("GET /_/file?name=x HTTP/1.0\r\nRange: bytes=1-\r\nIf-Range: x\r\n\r\n"))
	f.Add([]byte("POST /_/file?name=x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"))
	f.Add([]byte("PUT /_/f/x/y HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"))
	f.Add([]byte("HEAD /TOKEN/ipxe.efi HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.ReplaceAll(raw, []byte("TOKEN"), []byte(s.token(7))))))
		if err != nil || r.URL == nil {
			return
		}
		r.Host, r.RemoteAddr = "192.0.2.1", "192.0.2.50:1024" // what net/http has looked at
		w := httptest.NewRecorder()
		func() {
			defer func() {
				if p := recover(); p != nil && p != http.ErrAbortHandler {
					panic(p)
				}
			}()
			s.ServeHTTP(w, r.WithContext(t.Context()))
		}()
		if r.Method == http.MethodGet && w.Code == 200 && r.URL.Path == bootfiles.ScriptPath {
			if !strings.HasPrefix(w.Body.String(), "#!ipxe\n") {
				t.Errorf("%q: no script: %q", raw, w.Body)
			}
			for line := range strings.Lines(w.Body.String()) {
				words := strings.Fields(line)
				if len(words) > 0 && !commands[words[0]] {
					t.Errorf("%q: a script with %q: %q", raw, words[0], w.Body)
				}
				if len(words) > 0 && slices.Contains([]string{"echo", "kernel", "initrd", "boot"}, words[0]) && slices.ContainsFunc(words[1:], func(w string) bool { return w == "||" || w == "&&" || w == ";" || w[0] == '#' }) {
					t.Errorf("%q: a line that is more than one command: %q", raw, line)
				}
			}
		}
		for _, r := range w.Body.String() {
			if r < 0x20 && r != '\n' {
				t.Errorf("%q: control character %q in the answer %q", raw, r, w.Body)
			}
		}
		for _, line := range logs.TakeAll() {
			if text := fmt.Sprint(line.ContextMap()); strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q: %q in the log", raw, text)
			}
		}
	})
}

// What UEFI HTTP Boot does with the image of a disk: HEAD and GET on one connection, of
// the name that it was told, which together with the media type says what it is (UEFI
// 2.10 §24.7.3.2).
func TestADiskImageByHTTPBoot(t *testing.T) {
	image := strings.Repeat("disk", 100_000)
	b := booter{
		verdict: func(boot.Machine) (*boot.Verdict, error) {
			return &boot.Verdict{Action: boot.Boot, Rule: "all", Boot: "live", Loader: boot.LoaderNative, Image: boot.ISOImage, Spec: &boot.Spec{Kernel: "iso"}}, nil
		},
		files: map[boot.ID]func() (io.ReadCloser, int64, error){"iso": func() (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader(image)), int64(len(image)), nil
		}},
	}
	s := newServer(t, b)
	srv := httptest.NewServer(s)
	defer srv.Close()
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	connections := map[string]bool{}
	for _, method := range []string{"HEAD", "GET", "GET"} {
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(c httptrace.GotConnInfo) { connections[c.Conn.LocalAddr().String()] = true },
		}), method, srv.URL+"/"+s.token(16)+"//bootx64.iso", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := map[string]string{"GET": image}[method]; err != nil || resp.StatusCode != 200 || string(body) != want {
			t.Errorf("%s: got %s, %d bytes, %v; want %d", method, resp.Status, len(body), err, len(want))
		}
		if resp.ContentLength != int64(len(image)) || resp.Header.Get("Content-Type") != "application/vnd.efi-iso" {
			t.Errorf("%s: got %d, %v", method, resp.ContentLength, resp.Header)
		}
	}
	if len(connections) != 1 {
		t.Errorf("%d connections; firmware keeps one", len(connections))
	}
	// A machine that comes by PXE is told on its screen what it takes.
	if w := get(t, s, "GET", "/_/ipxe?facts=1&token="+s.token(7)); !strings.Contains(w.Body.String(), "only UEFI HTTP Boot makes a RAM disk") {
		t.Errorf("by PXE: got %s", w.Body)
	}
}

// The length of a script stands in the header, be it short or long.
func TestScriptsSayTheirLength(t *testing.T) {
	for _, size := range []int{7, shortText, shortText + 1, 64 << 10} {
		script := strings.Repeat("x", size)
		s := newServer(t, booter{verdict: func(boot.Machine) (*boot.Verdict, error) {
			return &boot.Verdict{Action: boot.Boot, Spec: &boot.Spec{IpxeScript: script}}, nil
		}})
		resp, err := http.Get("http://" + serve(t, s) + "/_/ipxe?" + scriptQuery)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != script || resp.ContentLength != int64(size) || resp.Header.Get("Content-Type") != "text/plain" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d bytes: got %d of %d bytes, %v, %v", size, len(got), resp.ContentLength, resp.Header, err)
		}
	}
}
