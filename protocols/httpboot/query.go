package httpboot

import "net/url"

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
		// One look at each byte: where the pair and its key end, and what else is in it.
		end, equals, escaped, refused := len(raw), -1, false, false
	pair:
		for i := range len(raw) {
			switch raw[i] {
			case '&':
				end = i
				break pair
			case '=':
				if equals < 0 {
					equals = i
				}
			case '%', '+':
				escaped = true
			case ';': // it may separate or not: url.ParseQuery takes neither
				refused = true
			}
		}
		key, value := raw[:end], ""
		if equals >= 0 {
			key, value = raw[:equals], raw[equals+1:end]
		}
		raw = raw[min(end+1, len(raw)):]
		if refused {
			continue
		}
		if escaped {
			var bad, worse error
			key, bad = url.QueryUnescape(key)
			value, worse = url.QueryUnescape(value)
			if bad != nil || worse != nil {
				continue
			}
		}
		if to := q.field(key); to != nil && *to == "" {
			*to = value
		}
	}
	return q
}
