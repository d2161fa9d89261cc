//go:build !race

package dhcp4

const raced = false
