package dhcp4

import (
	"context"
	"errors"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// A Judgement is what a Server makes of one request.
type Judgement struct {
	Client   Client // without a Machine: the request is none of a machine that boots
	Decision boots.Decision
	Offering string         // what kind of answer it is; empty: there is none
	Answer   *dhcpv4.DHCPv4 // nil: there is none
	Asks     bool           // somebody else has to be asked, and was not
	Err      error          // why there is no answer
}

// ErrStranger is the Err of a request that is of no machine that boots.
var ErrStranger = errors.New("not of a machine that boots from the network")

// Judge says what the server would make of a datagram, and sends nothing. It decides
// as Run does, and the Memory and the Chains go on by it; ask is whether an API that
// has the last word is asked. It is for one goroutine, of a Server that does not run.
func (s *Server) Judge(ctx context.Context, d netio.Datagram, ask bool) Judgement {
	a, err := s.handle(ctx, d)
	if err == nil && a.later != nil {
		if !ask {
			return Judgement{Client: a.client, Decision: a.decision, Asks: true}
		}
		a, err = a.later(ctx)
	}
	j := Judgement{Client: a.client, Decision: a.decision, Err: err}
	if a.client.Machine.MAC == nil && err != nil {
		j.Err = errors.Join(ErrStranger, err)
	}
	if err != nil || len(a.datagram.Data) == 0 {
		return j
	}
	j.Offering = a.offering.String()
	j.Answer, j.Err = dhcpv4.FromBytes(a.datagram.Data)
	return j
}

// now is the time by which the server decides.
func (s *Server) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	return time.Now()
}
