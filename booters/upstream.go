package booters

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// An Upstream is what a server has at a URL.
type Upstream struct {
	SHA256   boot.Digest
	Size     int64  // bytes
	ETag     string // as the server sent it; empty: it has none
	Modified string // Last-Modified, likewise; empty also where the file was as new as to change within that second
}

// Upstream fetches what the source's server has, past every cache, and calls progress,
// which may be nil, with the bytes that have come and how many there will be, -1 where
// the server does not tell. Where the source has a digest or checksums, another content
// is a *boot.DigestError.
func (s *Sources) Upstream(ctx context.Context, src Source, progress func(done, size int64)) (up Upstream, err error) {
	if src, err = s.Resolve(ctx, src); err != nil {
		return up, err
	}
	resp, err := s.getter(src.At)(ctx, src.At, http.Header{})
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("the server answers %s", resp.Status)
	}
	if err != nil {
		return up, fmt.Errorf("get %q: %w", redact(src.At), err)
	}
	defer resp.Body.Close()
	h, buf := sha256.New(), make([]byte, hashBuffer)
	for {
		n, err := resp.Body.Read(buf)
		h.Write(buf[:n])
		up.Size += int64(n)
		if progress != nil && n > 0 {
			progress(up.Size, resp.ContentLength)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return up, fmt.Errorf("read %q: %w", redact(src.At), err)
		}
	}
	up.SHA256 = boot.Digest(h.Sum(nil))
	up.ETag = resp.Header.Get("ETag")
	// RFC 9110 §8.8.2.2: a file may change twice within the second that it tells.
	modified, none := http.ParseTime(resp.Header.Get("Last-Modified"))
	if date, bad := http.ParseTime(resp.Header.Get("Date")); none == nil && bad == nil && date.Sub(modified) >= time.Minute {
		up.Modified = resp.Header.Get("Last-Modified")
	}
	if !src.SHA256.IsZero() && src.SHA256 != up.SHA256 {
		return up, &boot.DigestError{File: redact(src.At), Want: src.SHA256, Got: up.SHA256, Locked: src.Locked}
	}
	return up, nil
}

// Unchanged looks whether a server still has what it had. The file is fetched only where
// nothing that the server says of it answers that. The error for another content is a
// *boot.DigestError.
func (s *Sources) Unchanged(ctx context.Context, url string, had Upstream) error {
	src := Source{At: url, SHA256: had.SHA256, Locked: true}
	if _, _, image := CutImage(url); !image {
		if resp, err := s.head(ctx, url); err == nil && resp.StatusCode == http.StatusOK {
			// RFC 9110 §8.8. Another validator proves nothing, since a mirror that is
			// several machines has several ETags: then the file itself is asked.
			same := func(now, before string) bool { return now != "" && now == before }
			if resp.ContentLength == had.Size && (same(resp.Header.Get("ETag"), had.ETag) || had.ETag == "" && same(resp.Header.Get("Last-Modified"), had.Modified)) {
				return nil
			}
		}
	}
	_, err := s.Upstream(ctx, src, nil)
	return err
}

// head asks a server about a file.
func (s *Sources) head(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return nil, bareURL(err)
	}
	req.Header.Set("User-Agent", "pixiecore")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, bareURL(err)
	}
	return resp, resp.Body.Close()
}

// Changed reports whether err is that a file is another than it was, and not that it
// could not be looked at, and what it is now.
func Changed(err error) (now boot.Digest, changed bool) {
	var digest *boot.DigestError
	if !errors.As(err, &digest) {
		return now, false
	}
	return digest.Got, true
}
