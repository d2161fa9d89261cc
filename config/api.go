package config

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pixiecore/pixiecore/booters"
)

// apiSettings are those that a boot with api may have.
var apiSettings = []string{"api", "timeout", "stale", "installs"}

// prepareAPI makes what an API decides of a boot's settings. The result is
// whether it is such a boot.
func (d *decoder) prepareAPI(b *bootBlock) bool {
	var wait, stale time.Duration
	for _, setting := range []struct {
		name    string
		example string
		to      *time.Duration
		most    time.Duration
		because string
	}{
		{"timeout", "1500ms", &wait, booters.MaxAPIWait, "A machine's iPXE waits two seconds for its offer"},
		{"stale", "1h", &stale, maxStale, "An inventory that is down for longer is no inventory"},
	} {
		s := b.settings[setting.name]
		if s == nil {
			continue
		}
		if b.settings["api"] == nil {
			s.value(s.Expr)
			b.errorf(s.NameRange, sumNotHere, "%s is for a boot that asks an API, and this one does not. Leave it out.", setting.name)
			continue
		}
		at := s.Expr.Range()
		v, ok := s.duration(s.Attribute, setting.example)
		switch {
		case ok && v < 0:
			s.errorf(at, sumDuration, "%s cannot be negative. Write one like %q.", setting.name, setting.example)
		case ok && v > setting.most:
			s.errorf(at, sumDuration, "%s, so %s is at most %s.", setting.because, setting.name, brief(setting.most))
		case ok && v == 0 && setting.name == "timeout":
			s.errorf(at, sumDuration, "With no time at all, no API can answer. Write timeout = %q, or leave the line out for that.", setting.example)
		}
		*setting.to = v
	}
	s := b.settings["api"]
	if s == nil {
		return false
	}
	b.api = &booters.APIOptions{Wait: wait, Stale: stale, Facts: true}
	if t, ok := s.text(s.Attribute, `the URL of an API in quotes, like "http://inventory.lan/netboot"`); ok {
		b.api.URL = t.s
		if why := checkAPI(t.s); why != "" {
			s.errorf(t.at, sumURL, "The URL %s. Write http://HOST/PATH or https://HOST/PATH, below which v1/boot/MAC is asked for.", why)
		}
	}
	others := slices.Clone(b.cmdline)
	for _, name := range slices.Sorted(maps.Keys(b.settings)) {
		if !slices.Contains(apiSettings, name) {
			others = append(others, b.settings[name])
		}
	}
	for _, other := range others {
		b.errorf(other.NameRange, sumAPIAlone, "The API says all that is booted, so %s beside it has no effect. Leave one of the two out.", other.Name).other = s.NameRange
	}
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		b.errorf(b.files[name].DefRange(), sumAPIAlone, "The API says all that is booted, so no machine is given the address of file %q beside it. Leave one of the two out.", name).other = s.NameRange
	}
	return true
}

// maxStale bounds stale.
const maxStale = 30 * 24 * time.Hour

// checkAPI says what is wrong with the URL of an API. It may hold a password, so
// that none of it is repeated.
func checkAPI(s string) string {
	if s == "" {
		return "is empty"
	}
	if len(s) > maxSource/2 {
		return "is too long"
	}
	if !scheme.MatchString(s) {
		return "does not begin with http:// or https://"
	}
	if why := checkURL(s); why != "" {
		return why
	}
	if u, err := url.Parse(s); err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "has a query or a fragment, which cannot stand before a path"
	}
	return ""
}

// duration is the value of a setting that takes a text like "1500ms".
func (s *scope) duration(a *hclsyntax.Attribute, example string) (time.Duration, bool) {
	t, ok := s.text(a, "a duration in quotes, like \""+example+"\"")
	if !ok {
		return 0, false
	}
	v, err := time.ParseDuration(t.s)
	if err != nil {
		s.errorf(t.at, sumDuration, "%q is no duration. Write a number with a unit (ms, s, m, h), like %q.", t.s, example)
		return 0, false
	}
	return v, true
}

// brief is a duration as people write it: "720h", not "720h0m0s".
func brief(v time.Duration) string {
	s := v.String()
	for _, zero := range []string{"0s", "0m"} {
		if rest, found := strings.CutSuffix(s, zero); found && strings.HasSuffix(rest, map[string]string{"0s": "m", "0m": "h"}[zero]) {
			s = rest
		}
	}
	return s
}
