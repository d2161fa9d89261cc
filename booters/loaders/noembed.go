//go:build !embed_ipxe

package loaders

import (
	"embed"
	"io/fs"
)

func embedded() fs.FS { return embed.FS{} } // holds no file
