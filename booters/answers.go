package booters

import (
	"container/list"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Bounds of what APIs are asked, and of what is kept of their answers.
const (
	maxAnswer  = 256 << 10 // bytes of one answer
	maxInitrds = 64        // of one answer
	// maxAsked is how many requests may be under way, of which connsPerAPI have a
	// connection and the others wait for one.
	maxAsked    = 1024
	connsPerAPI = 64
	idleAPI     = 30 * time.Second // a connection is kept for the next request
	maxAnswers  = 4096             // machines whose last answer is kept
	maxKept     = 64 << 20         // bytes of these answers
	// sameBoot is how long an answer serves for which nobody waited any more: a
	// ROM repeats its DISCOVER after 4, 8 and 16 seconds.
	sameBoot = 20 * time.Second
)

// answers are what APIs have answered, and what they are being asked. They
// outlive generations.
type answers struct {
	client *http.Client
	now    func() time.Time
	ctx    context.Context // of the requests, which outlive those who wait for them
	stop   context.CancelFunc
	asking sync.WaitGroup

	mu       sync.Mutex
	requests int // under way
	kept     int // bytes
	machines map[machineKey]*list.Element
	recent   *list.List // of *told; who was asked about last is in front
}

type machineKey struct{ api, mac string }

// told is what an API has told of one machine.
type told struct {
	machineKey
	under *question // being asked; nil: none
	late  *question // answered when nobody waited any more: the next who asks is given it
	last  *reply    // the last that is no error
}

// A question is a request to an API.
type question struct {
	at      string
	waiting int           // for it, under answers.mu
	done    chan struct{} // closed when what follows is set
	when    time.Time
	reply   *reply
	err     error
}

// A reply is what an API answered. It is never modified.
type reply struct {
	at      string
	when    time.Time
	spec    *boot.Spec // nil: it refuses
	refusal string
	notice  string
	size    int
}

// newAnswers makes answers whose requests go the way of a Sources' client.
func newAnswers(like *http.Client) *answers {
	t := like.Transport.(*http.Transport).Clone()
	// As in the original: answers are small, and machines are switched on by the rack.
	t.DisableKeepAlives, t.DisableCompression = false, false
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.IdleConnTimeout = connsPerAPI, connsPerAPI, idleAPI
	ctx, stop := context.WithCancel(context.Background())
	return &answers{
		client: &http.Client{Transport: t, CheckRedirect: like.CheckRedirect}, now: time.Now, ctx: ctx, stop: stop,
		machines: make(map[machineKey]*list.Element), recent: list.New(),
	}
}

// close ends the requests that are under way, and waits for them.
func (t *answers) close() {
	t.stop()
	t.asking.Wait()
	t.client.CloseIdleConnections()
}

// ask is the API's answer about m. Who asks while it is being asked gets the same
// answer; who comes later asks again, unless the answer came too late for
// whoever asked first, or may still be another when iPXE has reported.
func (t *answers) ask(ctx context.Context, a *API, m boot.Machine) (*reply, error) {
	start, at, shown := t.now(), a.opts.Address(m), a.shown+m.MAC.String()
	for {
		t.mu.Lock()
		k := t.told(machineKey{a.opts.prefix(), m.MAC.String()})
		if k.under == nil {
			if q := k.late; q != nil {
				k.late = nil
				if q.at == at && start.Sub(q.when) < sameBoot {
					r, err := k.answer(q, a.opts.Stale, start)
					t.mu.Unlock()
					return r, err
				}
			}
			if r := k.last; a.provisional(m) && r != nil && r.at == at && start.Sub(r.when) < sameBoot {
				t.mu.Unlock()
				return r, nil
			}
			if t.requests >= maxAsked {
				t.mu.Unlock()
				return nil, fmt.Errorf("API %q: %d requests to APIs are under way, and that is the most: see why they are slow", shown, maxAsked)
			}
			t.begin(a, k, at, shown)
		}
		q := k.under
		q.waiting++
		t.mu.Unlock()

		select {
		case <-ctx.Done():
			t.mu.Lock()
			q.waiting--
			t.mu.Unlock()
			if ctx.Err() != context.DeadlineExceeded {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("API %q: no answer within %v: it is waited for, and will serve the machine's next request; where that is the rule, see the API's log", shown, t.now().Sub(start).Round(time.Millisecond))
		case <-q.done:
		}
		if q.at == at { // else it was about other facts of the machine
			t.mu.Lock()
			defer t.mu.Unlock()
			return k.answer(q, a.opts.Stale, t.now())
		}
	}
}

// begin starts a request. The caller holds t.mu.
func (t *answers) begin(a *API, k *told, at, shown string) {
	q := &question{at: at, done: make(chan struct{})}
	k.under = q
	t.requests++
	t.asking.Go(func() {
		r, err := a.get(t.ctx, at, shown)
		t.mu.Lock()
		defer t.mu.Unlock()
		defer close(q.done)
		t.requests--
		k.under = nil
		q.reply, q.err, q.when = r, err, t.now()
		if q.waiting == 0 {
			k.late = q
		}
		if err == nil {
			r.at, r.when = at, q.when
			t.keep(k, r)
		}
	})
}

// answer is what came of a question, or what stands in for it, if the operator
// wants that. The caller holds answers.mu.
func (k *told) answer(q *question, stale time.Duration, now time.Time) (*reply, error) {
	if q.err == nil || k.last == nil || k.last.spec == nil || now.Sub(k.last.when) > stale {
		return q.reply, q.err
	}
	r := *k.last
	r.notice = fmt.Sprintf("%v; its answer of %s stands in", q.err, r.when.Format(time.RFC3339))
	return &r, nil
}

// told finds or makes what is known of a machine. The caller holds t.mu.
func (t *answers) told(key machineKey) *told {
	if e, ok := t.machines[key]; ok {
		t.recent.MoveToFront(e)
		return e.Value.(*told)
	}
	k := &told{machineKey: key}
	t.machines[key] = t.recent.PushFront(k)
	t.shrink()
	return k
}

// keep makes r the machine's last answer. The caller holds t.mu.
func (t *answers) keep(k *told, r *reply) {
	if e, ok := t.machines[k.machineKey]; !ok || e.Value != k {
		return // it was pushed out meanwhile
	}
	if k.last != nil {
		t.kept -= k.last.size
	}
	k.last = r
	t.kept += r.size
	t.shrink()
}

// shrink forgets the machines that were asked about longest ago, until what is
// kept has its bounds. The caller holds t.mu.
func (t *answers) shrink() {
	for t.recent.Len() > maxAnswers || t.kept > maxKept {
		e := t.recent.Back()
		k := e.Value.(*told)
		if k.last != nil {
			t.kept -= k.last.size
		}
		delete(t.machines, k.machineKey)
		t.recent.Remove(e)
	}
}
