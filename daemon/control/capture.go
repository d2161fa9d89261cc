package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/protocols/capture"
	"github.com/pixiecore/pixiecore/protocols/pcap"
)

// capture writes the packets of a machine, and goes on with those that come if it is
// to follow.
func (s *Server) capture(w http.ResponseWriter, r *http.Request) {
	mac, err := net.ParseMAC(r.FormValue("mac"))
	if err != nil || len(mac) != 6 {
		refuse(w, http.StatusBadRequest, fmt.Errorf("MAC %q: not an address like 52:54:00:aa:00:01", r.FormValue("mac")))
		return
	}
	ring, follow := s.Daemon.Packets(), r.FormValue("follow") == "true"
	packets := ring.Of(capture.MAC(mac))
	var f *capture.Follower
	if follow {
		if packets, f = ring.Follow(capture.MAC(mac)); f == nil {
			refuse(w, http.StatusConflict, fmt.Errorf("%d captures are followed already; end one", capture.MaxFollowers))
			return
		}
		defer func() {
			if lost := ring.Leave(f); lost > 0 {
				s.Log.Warn("packets lost to a capture, since its reader was slow", zap.Stringer("mac", mac), zap.Int("packets", lost))
			}
		}()
	}
	if len(packets) == 0 && !follow {
		refuse(w, http.StatusConflict, fmt.Errorf("%s: the daemon has no packet of this machine: it has not asked since the daemon was started, or is forgotten", mac))
		return
	}
	w.Header().Set("Content-Type", "application/x-pcapng")
	out, err := pcap.NewWriter(w, "pixiecore "+s.Daemon.Status().Version)
	for _, p := range packets {
		if err == nil {
			err = out.Write(p)
		}
	}
	if !follow || err != nil {
		return
	}
	// What is followed takes as long as its reader wants, and each packet goes out
	// as it comes.
	flow := http.NewResponseController(w)
	for err == nil {
		if err = errors.Join(flow.SetWriteDeadline(time.Now().Add(answerTimeout)), flow.Flush()); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case p := <-f.C:
			err = out.Write(p)
		case <-time.After(answerTimeout / 2): // so that one who has gone is noticed
		}
	}
}

// Capture writes the packets of a machine into w, as pcapng, and with follow goes on
// with those that come until ctx is done. The error is a Refusal where there are none.
func (c *Client) Capture(ctx context.Context, mac net.HardwareAddr, follow bool, w io.Writer) error {
	q := url.Values{"mac": {mac.String()}, "follow": {strconv.FormatBool(follow)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://control/v1/capture?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	endless := http.Client{Transport: c.http.Transport}
	resp, err := endless.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c.refusal(resp)
	}
	_, err = io.Copy(w, resp.Body)
	if ctx.Err() != nil {
		return nil // it was to end
	}
	return err
}
