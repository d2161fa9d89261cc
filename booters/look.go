package booters

import (
	"context"
	"fmt"
	"net/http"
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
