//go:build embed_ipxe

package loaders

import _ "embed"

// What `make firmware` has staged, each file by itself: an embed.FS would hand out
// copies. The licence goes where the programs go.
var (
	//go:embed firmware/undionly.kpxe
	undionly []byte
	//go:embed firmware/snponly.efi
	snponly []byte
	//go:embed firmware/ipxe-arm64.efi
	arm64 []byte
	//go:embed firmware/ipxe-riscv64.efi
	riscv64 []byte
	//go:embed firmware/ipxe-loong64.efi
	loong64 []byte
	//go:embed firmware/copyright
	copyright []byte
	//go:embed firmware/SOURCE
	source []byte
)

func embedded() map[string][]byte {
	return map[string][]byte{
		"undionly.kpxe":    undionly,
		"snponly.efi":      snponly,
		"ipxe-arm64.efi":   arm64,
		"ipxe-riscv64.efi": riscv64,
		"ipxe-loong64.efi": loong64,
		"copyright":        copyright,
		"SOURCE":           source,
	}
}
