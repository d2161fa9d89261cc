package booters

import (
	"context"
	"fmt"
	"net/http"

	"github.com/pixiecore/pixiecore/booters/cache"
)

// An AnswerError is a server's answer that a file is not to be had from it.
type AnswerError struct {
	URL    string // without what is secret in it
	Status int    // of HTTP
}

// Error is for the operator.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("head %q: the server answers %d %s", e.URL, e.Status, http.StatusText(e.Status))
}

// Look says whether a source can be served, without fetching it: a local file is
// opened, and read if it has a digest; the server of a URL is asked with HEAD,
// which tells nothing of a digest. The error is for the operator: an *AnswerError
// where a server has answered.
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
	if _, _, ok := CutImage(src.At); ok { // which takes a look into it
		resp, err := s.getMember(ctx, src.At, http.Header{})
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = &cache.AnswerError{Code: resp.StatusCode, Status: resp.Status}
			}
		}
		if err != nil {
			return fmt.Errorf("get %q: %w", redact(src.At), err)
		}
		return nil
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
	return &AnswerError{redact(src.At), resp.StatusCode}
}
