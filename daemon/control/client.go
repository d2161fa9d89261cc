package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/pixiecore/pixiecore/daemon/status"
)

// maxAnswer bounds what a Client reads: the status of every machine that a
// daemon remembers has some megabytes.
const maxAnswer = 64 << 20

// ErrNoDaemon is wrapped by the errors of a Client that found nobody at its
// socket.
var ErrNoDaemon = errors.New("no daemon answers")

// A Refusal is the error of a daemon that could do what it is asked, and does
// not: its sentence.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// tellTimeout is how long the daemon may take to say what it knows already.
const tellTimeout = 10 * time.Second

// A Client speaks to the daemon behind one socket. It may be used by many
// goroutines.
type Client struct {
	path string
	http http.Client
}

// NewClient makes a client of the socket at path. Nothing is opened yet.
func NewClient(path string) *Client {
	return &Client{path: path, http: http.Client{
		Timeout: answerTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", path)
			},
		},
	}}
}

// Status asks what the daemon does.
func (c *Client) Status(ctx context.Context) (status.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	var r status.Report
	return r, c.do(ctx, http.MethodGet, "/v1/status", nil, nil, &r)
}

// Picture asks for what is served, and what becomes of the machines that were
// seen, of those of its inventory, and of the others.
func (c *Client) Picture(ctx context.Context, others []Question) (Picture, error) {
	var p Picture
	return p, c.do(ctx, http.MethodPost, "/v1/picture", nil, append([]Question{}, others...), &p)
}

// Seen asks for the machines that were seen, the one heard of last first.
func (c *Client) Seen(ctx context.Context) ([]Seen, error) {
	var all []Seen
	return all, c.do(ctx, http.MethodGet, "/v1/seen", nil, nil, &all)
}

// Explain asks what the configuration that is served makes of a machine. Where an
// API has the last word, the daemon asks it only if ask is set.
func (c *Client) Explain(ctx context.Context, q Question, ask bool) (Explanation, error) {
	var x Explanation
	return x, c.do(ctx, http.MethodPost, "/v1/explain", url.Values{"ask": {strconv.FormatBool(ask)}}, q, &x)
}

// Reload makes the daemon read its configuration again, and waits for the
// verdict. The verdict's text is for a terminal of width columns, 0 for none,
// with color or without. A refusal is no error.
func (c *Client) Reload(ctx context.Context, width int, color bool) (Verdict, error) {
	q := url.Values{"width": {strconv.Itoa(min(width, maxColumns))}, "color": {strconv.FormatBool(color)}}
	var v Verdict
	return v, c.do(ctx, http.MethodPost, "/v1/reload", q, nil, &v)
}

// Hold keeps the machines of a rule unanswered, or all machines for "". It
// returns all that is on hold then.
func (c *Client) Hold(ctx context.Context, rule, reason string) ([]status.Hold, error) {
	var holds []status.Hold
	return holds, c.do(ctx, http.MethodPost, "/v1/hold", url.Values{"rule": {rule}, "reason": {reason}}, nil, &holds)
}

// Resume ends the hold of a rule, or every one for "". It returns all that is
// still on hold.
func (c *Client) Resume(ctx context.Context, rule string) ([]status.Hold, error) {
	var holds []status.Hold
	return holds, c.do(ctx, http.MethodPost, "/v1/resume", url.Values{"rule": {rule}}, nil, &holds)
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path+"?"+query.Encode(), sent)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c.refusal(resp)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("control socket %q: %w", c.path, err)
	}
	return nil
}

// refusal is the error that an answer other than 200 is.
func (c *Client) refusal(resp *http.Response) error {
	var no refused
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&no); err != nil || no.Error == "" {
		return fmt.Errorf("control socket %q: %s: is the daemon of another version? A restart makes it this one (`systemctl restart pixiecore`)", c.path, resp.Status)
	}
	if resp.StatusCode == http.StatusConflict {
		return Refusal(no.Error)
	}
	return errors.New(no.Error)
}

// explain says why nobody answered and the way out.
func (c *Client) explain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which nobody has written
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the daemon at %s has taken the question and does not answer: it hangs, or was stopped (`systemctl status pixiecore`); the log says what it did last", c.path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w at %s: there is no such socket; start `pixiecore serve`, or name its socket with --control", ErrNoDaemon, c.path)
	case errors.Is(err, syscall.ECONNREFUSED):
		if st, err := os.Stat(c.path); err == nil && st.Mode()&fs.ModeSocket == 0 {
			return fmt.Errorf("%w at %s: that is no socket; name the daemon's with --control", ErrNoDaemon, c.path)
		}
		return fmt.Errorf("%w at %s: the one that made the socket is gone; start `pixiecore serve`", ErrNoDaemon, c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control socket %s: permission denied: only root and the user that the daemon runs as may use it; use sudo", c.path)
	}
	return fmt.Errorf("control socket %s: %w", c.path, err)
}
