package httpboot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// known is a boot.Verified, which says so the given number of times.
type known struct {
	f    *os.File
	raw  *os.File // the same, with an offset of its own
	same int      // 0: always
	read int      // bytes, by Read
}

func (k *known) Read(b []byte) (int, error) {
	n, err := k.f.Read(b)
	k.read += n
	return n, err
}
func (k *known) Seek(off int64, whence int) (int64, error) { return k.f.Seek(off, whence) }
func (k *known) Raw() *os.File                             { return k.raw }
func (k *known) Same() error {
	if k.same--; k.same == 0 {
		return errors.New("it was changed")
	}
	return nil
}
func (k *known) Offset() int64 { at, _ := k.f.Seek(0, io.SeekCurrent); return at }
func (k *known) Close() error  { return k.f.Close() }

func TestAVerifiedFile(t *testing.T) {
	content := make([]byte, 4*pieceSize+12345)
	rand.NewChaCha8([32]byte{}).Read(content)
	path := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	pieces := (len(content) - heldBack + pieceSize - 1) / pieceSize
	for _, tc := range []struct {
		name, wanted string
		same         int // the call of Same that fails; 0: none
		status       int
		want         []byte // nil: it is cut
	}{
		{"the whole", "", 0, 200, content},
		{"a part", "bytes=7-", 0, 206, content[7:]},
		{"a small part", "bytes=7-99", 0, 206, content[7:100]},
		{"changed at once", "", 1, 200, nil},
		{"changed when all but the last was sent", "", pieces, 200, nil},
		{"changed before that was acknowledged", "", pieces + 1, 200, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.want == nil && !canTellAcknowledged {
				t.Skip("here it is read, and Same is not asked")
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			k := &known{f: f, raw: raw, same: tc.same}
			s := newServer(t, booter{files: map[boot.ID]func() (io.ReadCloser, int64, error){
				"kernel": func() (io.ReadCloser, int64, error) { return k, int64(len(content)), nil },
			}})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s.Listener = Listener(l)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			req, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/_/file?name=kernel&type=kernel&mac="+mac.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.wanted != "" {
				req.Header.Set("Range", tc.wanted)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			switch {
			case resp.StatusCode != tc.status:
				t.Errorf("got %s, want %d", resp.Status, tc.status)
			case tc.want == nil && (err == nil || len(got) > len(content)-heldBack):
				t.Errorf("got %d bytes, %v; want less than the whole and an error", len(got), err)
			case tc.want != nil && (err != nil || !bytes.Equal(got, tc.want)):
				t.Errorf("got %d bytes, %v; want the %d that the file has", len(got), err, len(tc.want))
			}
			const sniffed = 512 // by net/http
			if canTellAcknowledged && k.read > heldBack+sniffed {
				t.Errorf("%d bytes were read, want at most %d", k.read, heldBack)
			}
		})
	}
}
