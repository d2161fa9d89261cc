package booters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	// DefaultAPIWait is how long DHCP waits for an API, and MaxAPIWait the most
	// that it can: iPXE takes a proxy's offer for two seconds after the ordinary
	// one.
	DefaultAPIWait = 1500 * time.Millisecond
	MaxAPIWait     = 1800 * time.Millisecond
	// DefaultAPILimit bounds one request to an API.
	DefaultAPILimit = 5 * time.Second
)

// APIOptions say which API is asked, and how.
type APIOptions struct {
	// URL is the http(s) URL below which v1/boot/MAC is asked for.
	URL   string
	Wait  time.Duration // how long DHCP waits for an answer; 0: DefaultAPIWait
	Limit time.Duration // of one request, to the last byte of its answer; 0: DefaultAPILimit
	// Stale is how old an answer may be that stands in for one which cannot be
	// had. It never stands in for a refusal. 0: none does.
	Stale time.Duration
	// Facts adds what is known of the machine to the URL, as a query with the
	// names of the configuration language. The original sent none.
	Facts bool
}

// Check refuses what cannot be asked.
func (o *APIOptions) Check() error {
	u, err := url.Parse(o.URL)
	if err != nil {
		return fmt.Errorf("API %q: %w", redact(o.URL), bareURL(err))
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("API %q: v1/boot/MAC is appended to it, so it cannot have a query", redactURL(u))
	}
	if err := checkAt(o.URL); err != nil || filepath.IsAbs(o.URL) {
		return errors.Join(err, fmt.Errorf("API %q: not an http or https URL", redactURL(u)))
	}
	return nil
}

// prefix is the URL with a slash at its end.
func (o *APIOptions) prefix() string { return strings.TrimSuffix(o.URL, "/") + "/" }

// Address is what is asked about the machine, with the user and password
// that it may have.
func (o *APIOptions) Address(m boot.Machine) string {
	at := o.prefix() + "v1/boot/" + m.MAC.String()
	if o.Facts {
		if q := factQuery(m).Encode(); q != "" {
			at += "?" + q
		}
	}
	return at
}

// Shown is Address as people may see it: without the password.
func (o *APIOptions) Shown(m boot.Machine) string {
	u, err := url.Parse(o.Address(m))
	if err != nil {
		return redact(o.URL)
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	return u.String()
}

// factQuery is what is known of the machine, by the configuration's words. What
// it is known not to have is left out, as is the architecture of a BIOS which
// iPXE has not asked yet.
func factQuery(m boot.Machine) url.Values {
	q := url.Values{"firmware": {m.Firmware.String()}}
	if m.ArchCertain() {
		q.Set("arch", m.Arch.Name())
	}
	f := m.Facts
	if f == nil {
		return q
	}
	for fact, text := range map[boot.Fact]string{
		boot.FactTransport: f.Transport, boot.FactIPXE: strconv.FormatBool(f.IPXE), boot.FactUUID: f.UUID, boot.FactInterface: f.Interface,
		boot.FactListener: f.Listener, boot.FactVendorClass: f.VendorClass, boot.FactUserClass: f.UserClass, boot.FactCircuitID: f.CircuitID,
		boot.FactRemoteID: f.RemoteID, boot.FactSerial: f.Serial, boot.FactManufacturer: f.Manufacturer, boot.FactProduct: f.Product,
		boot.FactAsset: f.Asset, boot.FactHostname: f.Hostname,
	} {
		if f.Knows(fact) && text != "" {
			q.Set(fact.String(), text)
		}
	}
	if f.Knows(boot.FactRelay) && f.Relay.IsValid() {
		q.Set(boot.FactRelay.String(), f.Relay.String())
	}
	if f.Knows(boot.FactIP) && f.IP.IsValid() {
		q.Set(boot.FactIP.String(), f.IP.String())
	}
	if f.Knows(boot.FactSubnets) {
		for _, p := range f.Subnets {
			q.Add(boot.FactSubnets.String(), p.String())
		}
	}
	return q
}

// An API boots machines as a server of the v1 boot API says. It implements
// boot.Booter, boot.ContextBooter and boot.Decider, and may be used by many
// goroutines.
//
// What it answers is sealed like every other source: a machine fetches kernels
// from here and never sees their URL.
type API struct {
	opts  APIOptions
	base  *url.URL // what relative URLs of an answer are resolved against
	shown string   // the address less the machine's, for people
	http  *http.Client
	seal  *Sealer
	src   *Sources
}

// NewAPI makes an API, which is verified, and shown who asks, like the other
// servers of src. What machines were told lies in src too, so that an API which is
// made anew for each generation of a configuration goes on where the one before it
// was.
func NewAPI(seal *Sealer, src *Sources, o APIOptions) (*API, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	base, err := url.Parse(o.prefix() + "v1")
	if err != nil {
		return nil, fmt.Errorf("API %q: %w", redact(o.URL), bareURL(err))
	}
	if o.Wait == 0 {
		o.Wait = DefaultAPIWait
	}
	if o.Limit == 0 {
		o.Limit = DefaultAPILimit
	}
	a := &API{opts: o, base: base, shown: redactURL(base) + "/boot/", http: src.answers.client, seal: seal, src: src}
	if src.opts.TLS != nil {
		t := a.http.Transport.(*http.Transport).Clone()
		t.TLSClientConfig = src.opts.TLS
		a.http = &http.Client{Transport: t, CheckRedirect: a.http.CheckRedirect}
	}
	return a, nil
}

// Decide implements boot.Decider: the API has the last word.
func (a *API) Decide(context.Context, boot.Machine) (*boot.Verdict, error) {
	return &boot.Verdict{Action: boot.Boot, Ask: a.Ask, Wait: a.opts.Wait}, nil
}

// Ask asks the API about a machine. An API that refuses ignores the machine; the
// error is of one that cannot be asked, or whose answer means nothing, and says
// the URL and the way out. There is one request at a time about a machine; it
// goes on when ctx ends, and its answer then serves the machine's next question.
func (a *API) Ask(ctx context.Context, m boot.Machine) (*boot.Verdict, error) {
	r, err := a.src.answers.ask(ctx, a, m)
	switch {
	case err != nil:
		return &boot.Verdict{}, err
	case r.spec == nil:
		return &boot.Verdict{Action: boot.Ignore, Reason: r.refusal}, nil
	}
	return &boot.Verdict{Action: boot.Boot, Spec: r.spec, Provisional: a.provisional(m), Notice: r.notice}, nil
}

// provisional is whether the API may answer otherwise when iPXE has reported:
// whether it will be told of that.
func (a *API) provisional(m boot.Machine) bool { return a.opts.Facts && !m.Probed }

// BootSpec implements boot.Booter. As in the original, an API that refuses is an
// error.
func (a *API) BootSpec(m boot.Machine) (*boot.Spec, error) {
	return a.BootSpecContext(context.Background(), m)
}

// BootSpecContext is BootSpec.
func (a *API) BootSpecContext(ctx context.Context, m boot.Machine) (*boot.Spec, error) {
	v, err := a.Ask(ctx, m)
	if err == nil && v.Spec == nil {
		err = errors.New(v.Reason)
	}
	return v.Spec, err
}

// ReadBootFile opens what an answer named.
func (a *API) ReadBootFile(id boot.ID) (io.ReadCloser, int64, error) {
	return a.ReadBootFileContext(context.Background(), id)
}

// ReadBootFileContext is ReadBootFile; the reader too fails when ctx ends.
func (a *API) ReadBootFileContext(ctx context.Context, id boot.ID) (io.ReadCloser, int64, error) {
	source, err := a.seal.Open(id)
	if err != nil {
		return nil, 0, err
	}
	return a.src.Open(ctx, source)
}

// WriteBootFile posts body to the URL that id was sealed from.
func (a *API) WriteBootFile(id boot.ID, body io.Reader) error {
	return a.WriteBootFileContext(context.Background(), id, body)
}

// WriteBootFileContext is WriteBootFile.
func (a *API) WriteBootFileContext(ctx context.Context, id boot.ID, body io.Reader) error {
	source, err := writable(a.seal, id)
	if err != nil {
		return err
	}
	return a.post(ctx, source, body)
}

// writable is the URL that id was sealed from. A file of this host is read only.
func writable(seal *Sealer, id boot.ID) (string, error) {
	text, err := seal.Open(id)
	if err != nil {
		return "", err
	}
	s, err := ParseSource(text)
	if err == nil && s.Local() {
		err = fmt.Errorf("write boot file: %w", errors.ErrUnsupported)
	}
	return s.At, err
}

// owns reports whether source is on the API's own server.
func (a *API) owns(source string) bool {
	u, err := url.Parse(source)
	return err == nil && u.Scheme == a.base.Scheme && u.Host == a.base.Host
}

// post sends body to a URL. It takes none of the connections that questions need,
// since whoever writes may be slow, and follows no redirect: the body is gone by
// then.
func (a *API) post(ctx context.Context, source string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, source, body)
	if err != nil {
		return fmt.Errorf("post %q: %w", redact(source), bareURL(err))
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	client := *a.src.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("post %q: %w", redact(source), bareURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("post %q: the server answers %s", redact(source), resp.Status)
	}
	return nil
}

// get makes one request. at is Address of the machine. The error is a sentence
// for the operator.
func (a *API) get(ctx context.Context, at, shown string) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, a.opts.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("API %q: %w", shown, bareURL(err))
	}
	fail := func(err error) error {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("no whole answer within %v", a.opts.Limit)
		}
		return fmt.Errorf("API %q: %w: see that it runs, and that this host reaches it", shown, bareURL(err))
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, fail(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNoContent, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return &reply{refusal: fmt.Sprintf("the API at %s answers %s", shown, resp.Status)}, nil
	default:
		return nil, fmt.Errorf("API %q: it answers %s, which neither boots a machine (200) nor refuses it (204, 403, 404, 410): see its log", shown, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fail(err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("API %q: its answer is larger than %d bytes: is it the v1 boot API?", shown, maxAnswer)
	}
	spec, err := a.parse(body)
	if err != nil {
		return nil, fmt.Errorf("API %q: its answer cannot be used: %w", shown, err)
	}
	return &reply{spec: spec, size: len(body)}, nil
}

// v1Answer is the JSON of the v1 boot API.
type v1Answer struct {
	Kernel     string          `json:"kernel"`
	Initrd     []string        `json:"initrd"`
	Cmdline    json.RawMessage `json:"cmdline"` // a text or an object
	Message    string          `json:"message"`
	IPXEScript string          `json:"ipxe-script"`
}

// parse makes a Spec of IDs of an API's answer.
func (a *API) parse(body []byte) (*boot.Spec, error) {
	var v v1Answer
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, fmt.Errorf("it is not the JSON of the v1 boot API: %w", err)
	}
	if v.IPXEScript != "" { // of the rest, nothing counts then
		if !strings.HasPrefix(v.IPXEScript, "#!ipxe") {
			return nil, errors.New("ipxe-script does not begin with #!ipxe, without which iPXE does not take it")
		}
		return &boot.Spec{IpxeScript: v.IPXEScript}, nil
	}
	if v.Kernel == "" {
		return nil, errors.New("it names neither kernel nor ipxe-script")
	}
	if len(v.Initrd) > maxInitrds {
		return nil, fmt.Errorf("it has %d initrds, of at most %d", len(v.Initrd), maxInitrds)
	}
	cmdline, err := v1Cmdline(v.Cmdline)
	if err == nil {
		err = onlyActions(cmdline)
	}
	if err != nil {
		return nil, err
	}
	spec := &boot.Spec{Kernel: boot.ID(v.Kernel), Cmdline: cmdline, Message: v.Message}
	for _, i := range v.Initrd {
		spec.Initrd = append(spec.Initrd, boot.ID(i))
	}
	return prepareSpec(spec, []string{"URL"}, a.issue)
}

// v1Cmdline is the command line as a template, in which URL "…" stands for the
// address of a file. Its form as an object is the original's first one.
func v1Cmdline(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var object map[string]any
	if json.Unmarshal(raw, &object) != nil {
		return "", errors.New("cmdline is neither a text nor an object")
	}
	var args []string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch v := object[key].(type) {
		case bool: // whichever it is, as in the original
			args = append(args, key)
		case string:
			args = append(args, fmt.Sprintf("%s=%q", key, v))
		case map[string]any:
			file, ok := v["url"].(string)
			if !ok {
				return "", fmt.Errorf("cmdline: %q is an object without the text \"url\"", key)
			}
			args = append(args, fmt.Sprintf("%s={{ URL %q }}", key, file))
		default:
			return "", fmt.Errorf("cmdline: %q is neither true, a text nor {\"url\": …}", key)
		}
	}
	return strings.Join(args, " "), nil
}

// onlyActions refuses a template that could compute for ever.
func onlyActions(text string) error {
	t := parse.New("cmdline")
	t.Mode = parse.SkipFuncCheck
	if _, err := t.Parse(text, "", "", make(map[string]*parse.Tree)); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	for _, n := range t.Root.Nodes {
		if n.Type() != parse.NodeText && n.Type() != parse.NodeAction {
			return fmt.Errorf("cmdline: %s: only {{ URL \"…\" }} has a meaning there", n)
		}
	}
	return nil
}

// issue seals what an answer names: relative to the API, or by a URL. file:// is a
// path on this host.
func (a *API) issue(_ fileKind, ref string) (boot.ID, error) {
	if ref == "" {
		return "", checkAt(ref)
	}
	u, err := a.base.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("URL %q: %w", redact(ref), bareURL(err))
	}
	source := u.String()
	if u.Scheme == "file" {
		if u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) { // RFC 8089 §2
			return "", fmt.Errorf("URL %q: a file of this host is named by file:///PATH", redactURL(u))
		}
		source = filepath.Clean(u.Path)
	}
	if err := checkAt(source); err != nil {
		return "", err
	}
	return a.seal.Seal(source), nil
}
