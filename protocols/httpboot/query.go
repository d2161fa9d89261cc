package httpboot

import (
	"net/url"
	"strings"
)

// A query is what the addresses of a script and of a boot file say behind the "?", as
// url.ParseQuery reads it. Of what is said several times, the first that says anything
// counts. No map is made for it: it is read for every script.
type query struct {
	token, mac, arch      string // who asks
	platform, buildarch   string
	facts, cpu            string // what iPXE reports
	ip, uuid              string
	serial, asset         string
	manufacturer, product string
	hostname              string
	name, typ             string // of a file
}

// field is where a key's value goes; nil for a key that says nothing here.
func (q *query) field(key string) *string {
	switch key {
	case "token":
		return &q.token
	case "mac":
		return &q.mac
	case "arch":
		return &q.arch
	case "platform":
		return &q.platform
	case "buildarch":
		return &q.buildarch
	case "facts":
		return &q.facts
	case "cpu":
		return &q.cpu
	case "ip":
		return &q.ip
	case "uuid":
		return &q.uuid
	case "serial":
		return &q.serial
	case "asset":
		return &q.asset
	case "manufacturer":
		return &q.manufacturer
	case "product":
		return &q.product
	case "hostname":
		return &q.hostname
	case "name":
		return &q.name
	case "type":
		return &q.typ
	}
	return nil
}

// parseQuery reads what stands behind the "?". What cannot be read is not there.
func parseQuery(raw string) (q query) {
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if strings.Contains(pair, ";") {
			continue // it may be a separator, or no separator: url.ParseQuery takes neither
		}
		key, value, _ := strings.Cut(pair, "=")
		key, ok := unescape(key)
		to := q.field(key)
		if !ok || to == nil || *to != "" {
			continue
		}
		if value, ok = unescape(value); ok {
			*to = value
		}
	}
	return q
}

// unescape is url.QueryUnescape, which does not allocate where nothing is escaped.
func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	text, err := url.QueryUnescape(s)
	return text, err == nil
}
