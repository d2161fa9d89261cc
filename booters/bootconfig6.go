package booters

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// archHTTPClient is the architecture type of an x64 UEFI that boots by HTTP.
const archHTTPClient = 0x10

// StaticBootConfiguration provides values for DHCPv6 options that remain unchanged
// until restart.
type StaticBootConfiguration struct {
	HTTPBootURL   []byte
	IPxeBootURL   []byte
	RecursiveDNS  []net.IP
	Preference    []byte
	UsePreference bool
}

// MakeStaticBootConfiguration creates a new StaticBootConfiguration with provided
// values.
func MakeStaticBootConfiguration(httpBootURL, ipxeBootURL string, preference uint8, usePreference bool, dnsServerAddresses []net.IP) *StaticBootConfiguration {
	return &StaticBootConfiguration{
		HTTPBootURL: []byte(httpBootURL), IPxeBootURL: []byte(ipxeBootURL), RecursiveDNS: dnsServerAddresses,
		Preference: preferenceOf(preference, usePreference), UsePreference: usePreference,
	}
}

func preferenceOf(preference uint8, use bool) []byte {
	if use {
		return []byte{preference}
	}
	return nil
}

// GetBootURL returns Boot File URL, see RFC 5970: HTTPBootURL for an x64 UEFI that
// boots by HTTP, and IPxeBootURL for all others.
func (bc *StaticBootConfiguration) GetBootURL(_ []byte, clientArchType uint16) ([]byte, error) {
	if clientArchType == archHTTPClient {
		return bc.HTTPBootURL, nil
	}
	return bc.IPxeBootURL, nil
}

// GetPreference returns server's Preference, see RFC 8415 §21.8.
func (bc *StaticBootConfiguration) GetPreference() []byte { return bc.Preference }

// GetRecursiveDNS returns list of addresses of recursive DNS servers, see RFC 3646.
func (bc *StaticBootConfiguration) GetRecursiveDNS() []net.IP { return bc.RecursiveDNS }

// APIBootConfiguration retrieves the Boot File URL from an external server, by
// client ID and architecture type: GET URLPrefix/boot/ID/ARCH, of which the answer
// is the URL as text.
type APIBootConfiguration struct {
	Client        *http.Client
	URLPrefix     string
	RecursiveDNS  []net.IP
	Preference    []byte
	UsePreference bool
}

// MakeAPIBootConfiguration creates a new APIBootConfiguration initialized with
// provided values.
func MakeAPIBootConfiguration(url string, timeout time.Duration, preference uint8, usePreference bool, dnsServerAddresses []net.IP) *APIBootConfiguration {
	return &APIBootConfiguration{
		Client: &http.Client{Timeout: timeout}, URLPrefix: strings.TrimSuffix(url, "/") + "/v1", RecursiveDNS: dnsServerAddresses,
		Preference: preferenceOf(preference, usePreference), UsePreference: usePreference,
	}
}

// GetBootURL returns Boot File URL, see RFC 5970. A relative one counts from
// URLPrefix. The error is a sentence for the operator.
func (bc *APIBootConfiguration) GetBootURL(id []byte, clientArchType uint16) ([]byte, error) {
	at := fmt.Sprintf("%s/boot/%x/%d", bc.URLPrefix, id, clientArchType)
	base, err := url.Parse(bc.URLPrefix)
	if err != nil {
		return nil, fmt.Errorf("API %q: %w", redact(bc.URLPrefix), bareURL(err))
	}
	resp, err := bc.Client.Get(at)
	if err != nil {
		return nil, fmt.Errorf("API %q: %w: see that it runs, and that this host reaches it", redact(at), bareURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("API %q: it answers %s", redact(at), resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSource+1))
	if err != nil {
		return nil, fmt.Errorf("API %q: %w", redact(at), bareURL(err))
	}
	text := strings.TrimSpace(string(body))
	u, err := base.Parse(text)
	if err != nil || text == "" || len(body) > maxSource {
		return nil, fmt.Errorf("API %q: its answer is not one URL of at most %d bytes", redact(at), maxSource)
	}
	return []byte(u.String()), nil
}

// GetPreference returns server's Preference, see RFC 8415 §21.8.
func (bc *APIBootConfiguration) GetPreference() []byte { return bc.Preference }

// GetRecursiveDNS returns list of addresses of recursive DNS servers, see RFC 3646.
func (bc *APIBootConfiguration) GetRecursiveDNS() []net.IP { return bc.RecursiveDNS }
