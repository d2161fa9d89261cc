package config

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1B": 1, "20GiB": 20 << 30, "20 GiB": 20 << 30, "1.5KiB": 1536, "500MB": 500e6, "1TB": 1e12, "3TiB": 3 << 40, "2kB": 2000, "7MiB": 7 << 20,
	} {
		if n, why := parseSize(text); n != want || why != "" {
			t.Errorf("%s: got %d, %q, want %d", text, n, why, want)
		}
	}
	for text, want := range map[string]string{
		"":                                   "it does not begin with a number",
		"GiB":                                "it does not begin with a number",
		"many GiB":                           "it does not begin with a number",
		"-1GiB":                              "it does not begin with a number",
		"1e9B":                               "it does not begin with a number",
		"1/2GiB":                             "it does not begin with a number",
		"20":                                 "it has no unit",
		"20G":                                `there is no unit "G"`,
		"20KB":                               `there is no unit "KB"`,
		"0B":                                 "it is 0 bytes",
		"0.5B":                               "it is 0 bytes",
		"1.2.3GiB":                           "it does not begin with a number",
		"000000000000000000000000000000001B": "it is too long",
		"99999999999999999999TiB":            "it is 109951162777599999998900488372224 bytes",
	} {
		if n, why := parseSize(text); why != want {
			t.Errorf("%q: got %d, %q, want %q", text, n, why, want)
		}
	}
}
