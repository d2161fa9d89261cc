//go:build embed_ipxe

package loaders

import (
	"embed"
	"io/fs"
)

// firmware is what `make firmware` has staged, its copyright file included.
//
//go:embed firmware
var firmware embed.FS

func embedded() fs.FS { return firmware }
