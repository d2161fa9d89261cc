//go:build !embed_ipxe

package loaders

func embedded() map[string][]byte { return nil }
