package httpboot

import (
	"net/url"
	"testing"
)

func FuzzQuery(f *testing.F) {
	for _, raw := range []string{
		"token=abc&facts=1&cpu=x64", "mac=52%3A54%3A00%3A12%3A34%3A56&arch=0", "serial=a+b&serial=c", "serial=&serial=c", "%6dac=x", "name=%zz&name=y",
		"type=kernel;name=x&mac=1", "&&=&mac", "hostname=%e4",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := parseQuery(raw)
		values, _ := url.ParseQuery(raw)
		for _, key := range []string{
			"token", "mac", "arch", "platform", "buildarch", "facts", "cpu", "ip", "uuid", "serial", "asset", "manufacturer", "product", "hostname", "name", "type",
		} {
			want := ""
			for _, v := range values[key] {
				if want = v; want != "" {
					break
				}
			}
			if got := *got.field(key); got != want {
				t.Errorf("%q: %s is %q, want %q", raw, key, got, want)
			}
		}
	})
}
