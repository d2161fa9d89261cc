//go:build bench

package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	scriptClients = 8
	handlerText   = 700 // bytes: what a script has, about
)

var httpPort = netip.AddrPortFrom(serverAddr, 80)

// handler is the ceiling for scripts: net/http that writes a fixed text.
func handler() int {
	text := []byte(strings.Repeat("x", handlerText))
	err := http.ListenAndServe(":80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// get asks for a path on a connection, and returns the length of the answer, of
// which nothing but the header has been read.
func get(c net.Conn, r *bufio.Reader, path string) (*http.Response, error) {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: iPXE/1.21.1\r\n\r\n", path, serverAddr); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(r, nil)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return resp, err
}

// drop takes n bytes off a connection without copying them (tcp(7), MSG_TRUNC).
func drop(c net.Conn, n int64) error {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	buf := make([]byte, 1<<20)
	err = raw.Read(func(fd uintptr) bool {
		for n > 0 {
			got, _, err := syscall.Recvfrom(int(fd), buf[:min(n, int64(len(buf)))], syscall.MSG_TRUNC|syscall.MSG_DONTWAIT)
			switch {
			case err == syscall.EAGAIN:
				return false
			case err != nil:
				failed = err
				return true
			case got == 0:
				failed = io.ErrUnexpectedEOF
				return true
			}
			n -= int64(got)
		}
		return true
	})
	if failed != nil {
		return failed
	}
	return err
}

// download has a number of clients fetch the large file for a turn, and returns
// the bytes of whole files, the time and what failed.
func download(t *testing.T, s *subject, path string, clients int, turn time.Duration) tally {
	t.Helper()
	var files atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for range clients {
		c, err := s.dial("tcp", httpPort.String())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer c.Close()
			r := bufio.NewReaderSize(c, 4096)
			for time.Since(began) < turn {
				resp, err := get(c, r, path)
				if err != nil {
					t.Error(s.name, err)
					return
				}
				held, _ := r.Discard(r.Buffered())
				if err := drop(c, resp.ContentLength-int64(held)); err != nil {
					t.Error(s.name, err)
					return
				}
				files.Add(1)
			}
		})
	}
	wg.Wait()
	return tally{answered: int(files.Load()) * largeFile, took: time.Since(began)}
}

// ask has clients fetch a small answer again and again, each on its connection.
func ask(t *testing.T, s *subject, path string, clients int, turn time.Duration) tally {
	t.Helper()
	var n atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for range clients {
		c, err := s.dial("tcp", httpPort.String())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer c.Close()
			r := bufio.NewReader(c)
			for time.Since(began) < turn {
				resp, err := get(c, r, path)
				if err != nil {
					t.Error(s.name, err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return tally{answered: int(n.Load()), took: time.Since(began)}
}

// minimalHandler is the ceiling for scripts, as a subject.
func minimalHandler(t *testing.T) *subject {
	t.Helper()
	s := newSubject(t, "handler", itself(t, "handler"))
	s.until(t, "answer", func() bool { return listens(s) })
	return s
}

// listens reports whether a server takes connections for HTTP.
func listens(s *subject) bool {
	c, err := s.dial("tcp", httpPort.String())
	if err == nil {
		c.Close()
	}
	return err == nil
}

const scriptPath = "/_/ipxe?mac=02:aa:00:00:00:01&facts=1&cpu=x64&platform=pcbios&buildarch=x86_64&ip=192.0.2.50"

// kernelPath is where a script says that the kernel is.
func kernelPath(t *testing.T, s *subject) string {
	t.Helper()
	c, err := s.dial("tcp", httpPort.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	resp, err := get(c, bufio.NewReader(c), scriptPath)
	if err != nil {
		t.Fatal(err)
	}
	script, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(script)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "kernel" {
			_, path, _ := strings.Cut(strings.TrimPrefix(f[len(f)-1], "http://"), "/")
			return "/" + path
		}
	}
	t.Fatalf("no kernel in the script:\n%s", script)
	return ""
}

func nginx(t *testing.T, root string) *subject {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		t.Log("nginx is not installed: its rows are left out")
		return nil
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; master_process off; user root; pid %[1]s/pid; error_log stderr crit;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server { listen 80; root %[2]s; } }
`, dir, root)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newSubject(t, "nginx", exec.Command(path, "-e", "stderr", "-c", conf))
	s.until(t, "answer", func() bool { return listens(s) })
	return s
}

// HTTP: large files beside nginx.
func (b *bench) http(t *testing.T) {
	if b.nginx != nil {
		kernel := kernelPath(t, b.pixiecore)
		for _, clients := range []int{1, 8, 64} {
			got := compare(t, b.rounds, b.turn, []*subject{b.pixiecore, b.nginx}, func(s *subject) tally {
				path := kernel
				if s == b.nginx {
					path = "/large"
				}
				return download(t, s, path, clients, b.turn)
			})
			ours, peer := got["pixiecore"], got["nginx"]
			what := fmt.Sprintf("HTTP 64 MiB, %d clients", clients)
			b.atLeast(what+", times nginx's rate", ours.rate/peer.rate, 1, fmt.Sprintf("%.2f GB/s to %.2f GB/s", ours.rate/1e9, peer.rate/1e9)).
				because("Either server hands a gigabyte to the kernel by some 1,000 calls of sendfile, in which 98 % of the daemon's time passes: so near to one another, runs of a second differ by as much as the two do, and more rounds (PIXIECORE_BENCH_ROUNDS) tell more. A single client has had 0.91 of nginx's rate on an idle host, and more than nginx's on a busy one; how much of that is the goroutine's way to its next call, by Go's poller, is not known.")
		}
		// The time of a byte is less than a nanosecond, so it is taken of whole turns.
		var ours, peer []float64
		for range b.rounds {
			for _, s := range []*subject{b.pixiecore, b.nginx} {
				path := kernel
				if s == b.nginx {
					path = "/large"
				}
				before := s.cpu(t)
				r := download(t, s, path, 8, b.turn)
				perGB := (s.cpu(t) - before).Seconds() / (float64(r.answered) / 1e9)
				if s == b.nginx {
					peer = append(peer, perGB)
				} else {
					ours = append(ours, perGB)
				}
			}
		}
		b.atMost("HTTP 64 MiB, 8 clients, times nginx's CPU per GB", median(ours)/median(peer), 1.2, fmt.Sprintf("%.3f s/GB to %.3f s/GB", median(ours), median(peer)))
	}
}

// Scripts beside a handler that does nothing.
func (b *bench) scripts(t *testing.T) {
	got := compare(t, b.rounds, b.turn, []*subject{b.pixiecore, b.handler}, func(s *subject) tally {
		return ask(t, s, scriptPath, scriptClients, b.turn)
	})
	ours, ceiling := got["pixiecore"], got["handler"]
	b.atLeast("iPXE scripts, times the handler's rate", ours.rate/ceiling.rate, .8, fmt.Sprintf("%.0f/s to %.0f/s", ours.rate, ceiling.rate)).
		because("An answer takes the handler 13 µs of its processor, and the daemon 21, with as many system calls: 5.5 of them are the daemon's own (making the boot for the machine 1.5, the header 1, what is known of the machine 0.8, writing the script 0.7, what is fixed for its boot 0.5, the log of events 0.4), where the other takes 0.9 to find out of what type its text is; 1.7 go to the garbage collector, which each time looks through all that 10,000 rules have in memory, and 2 more to the kernel's write, which wakes a client that sleeps more the later it is answered.")
}
