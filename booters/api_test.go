package booters

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

var (
	_ boot.Booter        = (*API)(nil)
	_ boot.ContextBooter = (*API)(nil)
	_ boot.Decider       = (*API)(nil)
)

var node = boot.Machine{MAC: net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}

// newTestAPI makes an API booter of a server, which serve answers for.
func newTestAPI(t testing.TB, serve http.HandlerFunc, change ...func(*APIOptions)) *API {
	t.Helper()
	srv := httptest.NewServer(serve)
	t.Cleanup(srv.Close)
	return apiAt(t, srv.URL+"/netboot", change...)
}

func apiAt(t testing.TB, url string, change ...func(*APIOptions)) *API {
	t.Helper()
	seal, err := NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	o := APIOptions{URL: url}
	for _, c := range change {
		c(&o)
	}
	src := NewSources()
	t.Cleanup(src.Close) // before the server's, which waits for connections
	a, err := NewAPI(seal, src, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// says answers everybody the same.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// opened is a Spec with its IDs opened again.
func opened(t *testing.T, a *API, spec *boot.Spec) boot.Spec {
	t.Helper()
	open := func(id boot.ID) boot.ID {
		source, err := a.seal.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		return boot.ID(strings.ReplaceAll(source, strings.TrimSuffix(a.opts.URL, "/netboot"), "http://api"))
	}
	out := *spec
	if out.Kernel != "" {
		out.Kernel = open(out.Kernel)
	}
	out.Initrd = nil
	for _, id := range spec.Initrd {
		out.Initrd = append(out.Initrd, open(id))
	}
	var line strings.Builder
	for part := range strings.SplitAfterSeq(spec.Cmdline, "}}") {
		text, marker, found := strings.Cut(part, "{{ ID \"")
		line.WriteString(text)
		if found {
			fmt.Fprintf(&line, "<%s>", open(boot.ID(strings.TrimSuffix(marker, "\" }}"))))
		}
	}
	out.Cmdline = line.String()
	return out
}

func TestTheRequestIsThatOfTheOriginal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			close(heard)
			return
		}
		defer c.Close()
		var request bytes.Buffer
		for r := bufio.NewReader(c); !strings.HasSuffix(request.String(), "\r\n\r\n"); {
			line, err := r.ReadString('\n')
			request.WriteString(line)
			if err != nil {
				break
			}
		}
		heard <- request.String()
		io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	}()
	if _, err := apiAt(t, "http://"+l.Addr().String()+"/netboot/").Ask(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	want := "GET /netboot/v1/boot/52:54:00:aa:00:01 HTTP/1.1\r\nHost: " + l.Addr().String() + "\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n"
	if diff := cmp.Diff(want, <-heard); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhatAnAPIAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       boot.Spec
		refused    string
	}{
		{"relative URLs are those of the API", `{"kernel": "/linux", "initrd": ["initrd", "http://other/i"], "message": "Hello"}`,
			boot.Spec{Kernel: "http://api/linux", Initrd: []boot.ID{"http://api/netboot/initrd", "http://other/i"}, Message: "Hello"}, ""},
		{"a file of this host", `{"kernel": "file:///srv/../srv/linux", "initrd": ["file://localhost/i%20d"]}`, boot.Spec{Kernel: "/srv/linux", Initrd: []boot.ID{"/i d"}}, ""},
		{"a command line", `{"kernel": "/k", "cmdline": "a=b url={{ URL \"preseed\" }} c"}`, boot.Spec{Kernel: "http://api/k", Cmdline: "a=b url=<http://api/netboot/preseed> c"}, ""},
		{"one as an object", `{"kernel": "/k", "cmdline": {"z": true, "quiet": false, "a": "b c", "ks": {"url": "/ks"}}}`,
			boot.Spec{Kernel: "http://api/k", Cmdline: `a="b c" ks=<http://api/ks> quiet z`}, ""},
		{"none", `{"kernel": "/k", "cmdline": null}`, boot.Spec{Kernel: "http://api/k"}, ""},
		{"a script, beside which nothing counts", `{"kernel": "gopher://x", "message": "m", "ipxe-script": "#!ipxe\nshell"}`, boot.Spec{IpxeScript: "#!ipxe\nshell"}, ""},
		{"more than this version knows", `{"kernel": "/k", "else": 1}`, boot.Spec{Kernel: "http://api/k"}, ""},

		{"no JSON", `<html>`, boot.Spec{}, "it is not the JSON of the v1 boot API: invalid character '<'"},
		{"half of it", `{"kernel": "/k"`, boot.Spec{}, "unexpected end of JSON input"},
		{"nothing to boot", `{}`, boot.Spec{}, "it names neither kernel nor ipxe-script"},
		{"no script", `{"ipxe-script": "shell"}`, boot.Spec{}, "ipxe-script does not begin with #!ipxe"},
		{"a scheme that is not fetched", `{"kernel": "ftp://x/k"}`, boot.Spec{}, `kernel: URL "ftp://x/k": the scheme "ftp" is neither http nor https`},
		{"the clouds' credentials", `{"kernel": "http://169.254.169.254/k"}`, boot.Spec{}, "link-local"},
		{"a file of another host", `{"kernel": "file://srv/linux"}`, boot.Spec{}, "a file of this host is named by file:///PATH"},
		{"a command line that is a number", `{"kernel": "/k", "cmdline": 7}`, boot.Spec{}, "cmdline is neither a text nor an object"},
		{"a number in one", `{"kernel": "/k", "cmdline": {"a": 7}}`, boot.Spec{}, `cmdline: "a" is neither true, a text nor {"url": …}`},
		{"an object without a URL", `{"kernel": "/k", "cmdline": {"a": {"uri": "/x"}}}`, boot.Spec{}, `cmdline: "a" is an object without the text "url"`},
		{"the other function", `{"kernel": "/k", "cmdline": "{{ ID \"x\" }}"}`, boot.Spec{}, `function "ID" not defined`},
		{"a command line without an end", `{"kernel": "/k", "cmdline": "{{ range 1000000000000 }}{{ end }}"}`, boot.Spec{}, `only {{ URL "…" }} has a meaning there`},
		{"one that is too long", `{"kernel": "/k", "cmdline": "{{ printf \"%999999d\" 1 }}"}`, boot.Spec{}, "it makes more than 65536 bytes"},
		{"several lines", `{"kernel": "/k", "cmdline": "a\nb"}`, boot.Spec{}, "cmdline: it has more than one line"},
		{"too many initrds", `{"kernel": "/k", "initrd": [` + strings.Repeat(`"/i",`, maxInitrds) + `"/i"]}`, boot.Spec{}, "it has 65 initrds, of at most 64"},
		{"too much", `{"message": "` + strings.Repeat("x", maxAnswer) + `"}`, boot.Spec{}, "its answer is larger than 262144 bytes: is it the v1 boot API?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newTestAPI(t, says(http.StatusOK, tc.body))
			v, err := a.Ask(t.Context(), node)
			if tc.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tc.refused) || !strings.Contains(err.Error(), "/netboot/v1/boot/52:54:00:aa:00:01") {
					t.Fatalf("got %v, want %q", err, tc.refused)
				}
				return
			}
			if err != nil || v.Action != boot.Boot {
				t.Fatalf("got %v, %v", v.Action, err)
			}
			if diff := cmp.Diff(tc.want, opened(t, a, v.Spec)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestAnAPIRefusesOrIsAtFault(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusNoContent: "refused", http.StatusForbidden: "refused", http.StatusNotFound: "refused", http.StatusGone: "refused",
		http.StatusUnauthorized: "at fault", http.StatusTooManyRequests: "at fault", http.StatusInternalServerError: "at fault", http.StatusNotModified: "at fault",
	} {
		a := newTestAPI(t, says(status, ""))
		v, err := a.Ask(t.Context(), node)
		said, got := v.Reason, "refused"
		if err != nil {
			said, got = err.Error(), "at fault"
		}
		if got != want || v.Action != boot.Ignore || !strings.Contains(said, fmt.Sprint(status, " ", http.StatusText(status))) {
			t.Errorf("%d: %s by %q (%v), want %s", status, got, said, v.Action, want)
		}
		if spec, err := a.BootSpec(node); spec != nil || err == nil {
			t.Errorf("%d, as the original's Booter: %v, %v", status, spec, err)
		}
	}
}

func TestAnAPIThatIsDown(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	a := apiAt(t, strings.Replace(srv.URL, "http://", "http://user:secret@", 1))
	_, err := a.Ask(t.Context(), node)
	if err == nil || !strings.Contains(err.Error(), "connection refused: see that it runs") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestAnAPIThatDoesNotFinish(t *testing.T) {
	for name, begin := range map[string]string{"says nothing": "", "drips": `{"kernel": `} {
		end := make(chan struct{})
		a := newTestAPI(t, func(w http.ResponseWriter, _ *http.Request) {
			if begin != "" {
				io.WriteString(w, begin)
				w.(http.Flusher).Flush()
			}
			<-end
		}, func(o *APIOptions) { o.Limit = 20 * time.Millisecond })
		_, err := a.Ask(t.Context(), node)
		if err == nil || !strings.Contains(err.Error(), "no whole answer within 20ms") {
			t.Errorf("%s: got %v", name, err)
		}
		close(end)
	}
}

func TestRedirectsOfAnAPIAreBounded(t *testing.T) {
	a := newTestAPI(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	if _, err := a.Ask(t.Context(), node); err == nil || !strings.Contains(err.Error(), "more than 5 redirects") {
		t.Errorf("got %v", err)
	}
	a = newTestAPI(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	})
	if _, err := a.Ask(t.Context(), node); err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Errorf("got %v", err)
	}
}

func TestAnAPIThatCannotBeMeant(t *testing.T) {
	for url, want := range map[string]string{
		"": "no path or URL is given", "/srv": "not an http or https URL", "ftp://x": `the scheme "ftp"`, "http:///x": "it names no host",
		"http://x/?token=secret": "it cannot have a query", "http://169.254.169.254/": "link-local", "http://x/\x00": "invalid control character",
	} {
		_, err := NewAPI(nil, NewSources(), APIOptions{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", url, err, want)
		}
	}
}

// The answer comes after DHCP has given up waiting, and serves the machine's next
// request.
func TestALateAnswerServesTheNextQuestion(t *testing.T) {
	answer := make(chan int)
	var requests atomic.Int32
	a := newTestAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		says(<-answer, `{"kernel": "/k"}`)(w, nil)
	})
	waited, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for _, status := range []int{http.StatusOK, http.StatusNotFound, http.StatusInternalServerError} {
		m := boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(status)}}
		if _, err := a.Ask(waited, m); err == nil || !strings.Contains(err.Error(), "will serve the machine's next request") {
			t.Fatalf("at first: %v", err)
		}
		answer <- status
		v, err := a.Ask(t.Context(), m)
		if got := v.Action == boot.Boot; got != (status == http.StatusOK) || (err != nil) != (status == http.StatusInternalServerError) {
			t.Errorf("%d: got %v, %v", status, v.Action, err)
		}
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("%d requests, want one for each machine", n)
	}
}

// An error that nobody waited for is told to the next who asks, and then the API
// is asked again.
func TestALateErrorIsToldOnce(t *testing.T) {
	answer := make(chan int)
	a := newTestAPI(t, func(w http.ResponseWriter, _ *http.Request) { says(<-answer, `{"kernel": "/k"}`)(w, nil) })
	waited, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := a.Ask(waited, node); err == nil {
		t.Fatal("no error at first")
	}
	answer <- http.StatusBadGateway
	for key := (machineKey{a.opts.prefix(), node.MAC.String()}); ; runtime.Gosched() {
		a.src.answers.mu.Lock()
		late := a.src.answers.told(key).late
		a.src.answers.mu.Unlock()
		if late != nil {
			break
		}
	}
	if _, err := a.Ask(t.Context(), node); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("got %v, want that of the request before", err)
	}
	done := make(chan error)
	go func() {
		_, err := a.Ask(t.Context(), node)
		done <- err
	}()
	answer <- http.StatusOK
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What a machine boots is asked for each boot; whoever keeps boots keeps it. While
// iPXE has not reported, an API that is told of facts only says whether it will.
func TestWhenAnAPIIsAskedAgain(t *testing.T) {
	for _, facts := range []bool{false, true} {
		var requests atomic.Int32
		a := newTestAPI(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"kernel": "/%d"}`, requests.Add(1))
		}, func(o *APIOptions) { o.Facts = facts })
		now := time.Now()
		a.src.answers.now = func() time.Time { return now }
		for _, step := range []struct {
			what            string
			after           time.Duration
			probed          bool
			bare, withFacts int // the request that answers
		}{
			{"the firmware", 0, false, 1, 1},
			{"the firmware once more", sameBoot - 1, false, 2, 1},
			{"iPXE", 0, true, 3, 2},
			{"iPXE once more", 0, true, 4, 3},
			{"the firmware of another boot", time.Minute, false, 5, 4},
		} {
			now = now.Add(step.after)
			m, want := node, step.bare
			if m.Probed = step.probed; m.Probed {
				m.Facts = &boot.Facts{Known: boot.FactSerial, Serial: "7"}
			}
			if facts {
				want = step.withFacts
			}
			v, err := a.Ask(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := opened(t, a, v.Spec).Kernel, boot.ID(fmt.Sprintf("http://api/%d", want)); got != want {
				t.Errorf("facts %t, %s: got %s, want %s", facts, step.what, got, want)
			}
			if want := facts && !m.Probed; v.Provisional != want {
				t.Errorf("facts %t, %s: provisional %t, want %t", facts, step.what, v.Provisional, want)
			}
		}
	}
}

func TestAnOlderAnswerStandsInIfTheOperatorSaysSo(t *testing.T) {
	for _, tc := range []struct {
		name  string
		stale time.Duration
		fails int // the status of the second answer
		after time.Duration
		want  string
	}{
		{"unless said", 0, 500, time.Minute, "at fault"},
		{"young enough", time.Hour, 500, time.Hour, "boots"},
		{"too old", time.Hour, 500, time.Hour + 1, "at fault"},
		{"never for a refusal", time.Hour, 404, time.Minute, "refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status := http.StatusOK
			a := newTestAPI(t, func(w http.ResponseWriter, r *http.Request) { says(status, `{"kernel": "/k"}`)(w, r) }, func(o *APIOptions) { o.Stale = tc.stale })
			now := time.Now()
			a.src.answers.now = func() time.Time { return now }
			if v, err := a.Ask(t.Context(), node); err != nil || v.Notice != "" {
				t.Fatalf("at first: %q, %v", v.Notice, err)
			}
			status, now = tc.fails, now.Add(tc.after)
			v, err := a.Ask(t.Context(), node)
			got := "refused"
			switch {
			case err != nil:
				got = "at fault"
			case v.Action == boot.Boot:
				got = "boots"
				if !strings.Contains(v.Notice, "500 Internal Server Error") || !strings.Contains(v.Notice, "stands in") {
					t.Errorf("the operator is told %q", v.Notice)
				}
			}
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			if tc.fails == 404 { // what was refused is forgotten
				status, now = 500, now.Add(sameBoot)
				if v, err := a.Ask(t.Context(), node); err == nil {
					t.Errorf("after a refusal: %v", v.Action)
				}
			}
		})
	}
}

func TestARackAtOnce(t *testing.T) {
	const machines = 1000
	var requests, at, most atomic.Int32
	a := newTestAPI(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		for n := at.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		defer at.Add(-1)
		fmt.Fprintf(w, `{"kernel": "%s"}`, r.URL.Path)
	}, func(o *APIOptions) { o.Limit = time.Minute }) // however slow this host is
	var all sync.WaitGroup
	for i := range machines {
		all.Go(func() {
			m := boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}}
			v, err := a.Ask(t.Context(), m)
			if err != nil {
				t.Error(err)
				return
			}
			if got, want := opened(t, a, v.Spec).Kernel, boot.ID("http://api/netboot/v1/boot/"+m.MAC.String()); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	all.Wait()
	if n := requests.Load(); n != machines {
		t.Errorf("%d requests, want one for each of %d machines", n, machines)
	}
	if n := most.Load(); n > connsPerAPI {
		t.Errorf("%d at a time, want at most %d", n, connsPerAPI)
	}
}

func TestOneRequestAtATimeIsAboutAMachine(t *testing.T) {
	const askers = 50
	release := make(chan struct{})
	var requests atomic.Int32
	a := newTestAPI(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		<-release
		says(200, `{"kernel": "/k"}`)(w, r)
	})
	var all sync.WaitGroup
	for range askers {
		all.Go(func() {
			if _, err := a.Ask(t.Context(), node); err != nil {
				t.Error(err)
			}
		})
	}
	for key := (machineKey{a.opts.prefix(), node.MAC.String()}); ; runtime.Gosched() {
		a.src.answers.mu.Lock()
		q := a.src.answers.told(key).under
		all := q != nil && q.waiting == askers
		a.src.answers.mu.Unlock()
		if all {
			break
		}
	}
	close(release)
	all.Wait()
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestRequestsToAPIsAreBounded(t *testing.T) {
	end := make(chan struct{})
	a := newTestAPI(t, func(w http.ResponseWriter, _ *http.Request) { <-end }, func(o *APIOptions) { o.Limit = time.Minute })
	defer close(end)
	waited, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for i := range maxAsked + 1 {
		_, err := a.Ask(waited, boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}})
		if said := "1024 requests to APIs are under way"; strings.Contains(err.Error(), said) != (i == maxAsked) {
			t.Fatalf("request %d: %v", i+1, err)
		}
	}
	a.src.Close() // which ends them
	if n := a.src.answers.requests; n != 0 {
		t.Errorf("%d requests outlive their owner", n)
	}
}

func TestWhatIsKeptOfAnswersIsBounded(t *testing.T) {
	big := strings.Repeat("x", maxAnswer-100)
	a := newTestAPI(t, says(200, `{"kernel": "/k", "message": "`+big+`"}`))
	for i := range maxKept/maxAnswer + 10 {
		if _, err := a.Ask(t.Context(), boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	k := a.src.answers
	if k.kept > maxKept || k.kept < maxKept/2 {
		t.Errorf("%d bytes are kept, of at most %d", k.kept, maxKept)
	}
	for i := range 2 * maxAnswers {
		k.mu.Lock()
		k.told(machineKey{"api", fmt.Sprint(i)})
		k.mu.Unlock()
	}
	if k.recent.Len() != maxAnswers || len(k.machines) != maxAnswers || k.kept != 0 {
		t.Errorf("%d machines with %d bytes are kept, of at most %d", k.recent.Len(), k.kept, maxAnswers)
	}
}

func TestFactsThatAnAPIIsTold(t *testing.T) {
	bios := boot.Machine{MAC: node.MAC}
	full := node
	full.Probed = true
	full.Facts = &boot.Facts{
		Known: boot.DHCPFacts | boot.IPXEFacts, Transport: "pxe", UUID: "4c4c4544-0042-3510-8053-b4c04f463433", Relay: netip.MustParseAddr("10.1.0.1"),
		Subnets: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/32")}, VendorClass: "PXEClient", Serial: "a&b=c", Asset: "",
	}
	for _, tc := range []struct {
		name string
		m    boot.Machine
		want string
	}{
		{"of a BIOS, whose CPU nobody has asked", bios, "?firmware=bios"},
		{"of a UEFI", node, "?arch=x64&firmware=efi64"},
		{"of one that iPXE has reported from", full, "?arch=x64&firmware=efi64&ipxe=false&relay=10.1.0.1&serial=a%26b%3Dc&subnet=10.1.0.1%2F32&transport=pxe&uuid=4c4c4544-0042-3510-8053-b4c04f463433&vendor_class=PXEClient"},
	} {
		o := APIOptions{URL: "http://user:secret@api", Facts: true}
		if diff := cmp.Diff("http://user:secret@api/v1/boot/52:54:00:aa:00:01"+tc.want, o.Address(tc.m)); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.name, diff)
		}
		if got := o.Shown(tc.m); strings.Contains(got, "secret") || !strings.HasSuffix(got, tc.want) {
			t.Errorf("%s: shown as %s", tc.name, got)
		}
	}
}

// A rule whose boot is an API's matter keeps the API's word, and hands out the
// files that it named.
func TestARuleThatAsksAnAPI(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "linux"), []byte("kernel"), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Bool
	api := newTestAPI(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(true)
		if strings.HasSuffix(r.URL.Path, ":02") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"kernel": "file://%s/linux"}`, dir)
	})
	tab, err := NewTable(api.seal, api.src, nil, []Rule{
		{Name: "inventory", Pos: "f:1", Action: Action{Do: boot.Boot, Boot: "api", API: &api.opts}},
		{Name: "the others", Action: Action{Do: boot.Local}},
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := tab.Decide(t.Context(), node)
	if err != nil || v.Ask == nil || v.Wait != DefaultAPIWait || asked.Load() || v.Rule != "inventory" {
		t.Fatalf("a decision is a lookup: %+v, %v", v, err)
	}
	tab.Explain(node)
	if asked.Load() {
		t.Error("an explanation has asked the API")
	}
	if v, err = boot.Decide(t.Context(), tab, node); err != nil || v.Rule != "inventory" || v.Pos != "f:1" || v.Boot != "api" {
		t.Fatalf("got %+v, %v", v, err)
	}
	f, n, err := tab.ReadBootFile(v.Spec.Kernel)
	if err != nil || n != 6 {
		t.Fatalf("kernel: %d, %v", n, err)
	}
	f.Close()
	other := boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}
	if v, err = boot.Decide(t.Context(), tab, other); err != nil || v.Action != boot.Ignore || v.Rule != "inventory" || v.Reason == "" {
		t.Errorf("a refusal: %+v, %v; want the rule's, never the next rule's", v, err)
	}
	if _, err := NewTable(api.seal, api.src, nil, []Rule{{Name: "bad", Action: Action{Do: boot.Boot, API: &APIOptions{URL: "x"}}}}); err == nil {
		t.Error("an API that cannot be asked was taken")
	}
}

func TestWhatAMachineWritesIsPosted(t *testing.T) {
	var got string
	status := http.StatusOK
	a := newTestAPI(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), body)
		w.WriteHeader(status)
	})
	id := a.seal.Seal(a.opts.URL + "/log")
	if err := a.WriteBootFile(id, strings.NewReader("done")); err != nil || got != "POST /netboot/log application/octet-stream done" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, status = range []int{http.StatusInternalServerError, http.StatusFound, http.StatusNoContent} {
		err := a.WriteBootFile(id, strings.NewReader("done"))
		if refused := err != nil && strings.Contains(err.Error(), fmt.Sprint(status)); refused != (status != http.StatusNoContent) {
			t.Errorf("%d: got %v", status, err)
		}
	}
	// A table hands it on to the API's own server only.
	tab, err := NewTable(a.seal, a.src, nil, []Rule{{Name: "api", Action: Action{Do: boot.Boot, API: &a.opts}}})
	if err != nil {
		t.Fatal(err)
	}
	got, status = "", http.StatusOK
	if err := tab.WriteBootFile(id, strings.NewReader("again")); err != nil || !strings.HasSuffix(got, " again") {
		t.Errorf("by a table: got %q, %v", got, err)
	}
	if err := tab.WriteBootFile(a.seal.Seal("http://mirror.example.org/linux"), nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a mirror: got %v", err)
	}
	if err := a.WriteBootFile("forged", nil); !errors.Is(err, boot.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := a.WriteBootFile(a.seal.Seal("/srv/linux"), nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a local file: got %v", err)
	}
}

// An API is verified as the other servers are, and shown the same certificate.
func TestAnAPIWithItsOwnCA(t *testing.T) {
	srv := httptest.NewUnstartedServer(says(200, `{"kernel": "/k"}`))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	ca := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for _, tc := range []struct {
		name string
		conf *tls.Config
		want string // of the error
	}{
		{"nothing", nil, "certificate signed by unknown authority"},
		{"the CA alone", &tls.Config{RootCAs: ca}, "certificate required"},
		{"a client's certificate too", &tls.Config{RootCAs: ca, Certificates: srv.TLS.Certificates}, ""},
	} {
		src := NewSources()
		a, err := NewAPI(apiAt(t, srv.URL).seal, src.With(SourceOptions{TLS: tc.conf}), APIOptions{URL: srv.URL})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Ask(t.Context(), node); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
		src.Close()
	}
}

func FuzzAPIAnswer(f *testing.F) {
	f.Add([]byte(`{"kernel": "/k", "initrd": ["i"], "cmdline": "a {{ URL \"x\" }}", "message": "m"}`))
	f.Add([]byte(`{"kernel": "file:///k", "cmdline": {"a": true, "b": "c", "d": {"url": "x"}}}`))
	f.Add([]byte(`{"kernel": "k", "cmdline": "{{ printf \"%*d\" 99 1 }}"}`))
	f.Add([]byte(`{"ipxe-script": "#!ipxe\n"}`))
	a := apiAt(f, "http://api/netboot")
	f.Fuzz(func(t *testing.T, body []byte) {
		spec, err := a.parse(body)
		if err != nil {
			return
		}
		if (spec.Kernel == "") == (spec.IpxeScript == "") {
			t.Fatalf("neither kernel nor script: %+v", spec)
		}
		for _, id := range append([]boot.ID{spec.Kernel}, spec.Initrd...) {
			if source, err := a.seal.Open(id); id != "" && (err != nil || checkAt(source) != nil) {
				t.Errorf("an ID of %q: %v", source, err)
			}
		}
		if len(spec.Cmdline) > 8*maxCmdline || strings.ContainsAny(spec.Cmdline, "\r\n") {
			t.Errorf("cmdline %q", spec.Cmdline)
		}
	})
}
