//go:build race

package dhcp4

// raced is whether the race detector watches: pools forget then, so that it tells their
// users apart.
const raced = true
