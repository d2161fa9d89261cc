package booters

import (
	"context"
	"fmt"
	"net/http"
)

// Look says whether a source can be served, without fetching it: a local file is
// opened, and read if it has a digest; the server of a URL is asked with HEAD,
// which tells nothing of a digest. The error is for the operator.
func (s *Sources) Look(ctx context.Context, source string) error {
	src, err := ParseSource(source)
	if err != nil {
		return err
	}
	if src.Local() {
		f, _, err := s.Open(ctx, source)
		if err != nil {
			return err
		}
		return f.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, src.At, nil)
	if err != nil {
		return fmt.Errorf("head %q: %w", redact(src.At), bareURL(err))
	}
	req.Header.Set("User-Agent", "pixiecore")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("head %q: %w", redact(src.At), bareURL(err))
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return nil // RFC 9110 §15.5.6: it is there, and does not take HEAD
	}
	return fmt.Errorf("head %q: the server answers %s", redact(src.At), resp.Status)
}
