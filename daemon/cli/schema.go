package cli

import (
	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/config"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print what the configuration language has, as JSON",
		Long: `Print every block, setting, function and value of the machine that the
configuration language of this version has, as JSON: types, defaults, examples
and a sentence each, for editors and for programs that write configurations.

In the document, "blocks" has the file itself first, then each block with its
"attributes" and the names of the "blocks" in it, and under "later" what is part
of the language but not of this version. "machine" has the members of machine.*,
"functions" the functions with an example that yields "result", "architectures"
and "firmwares" the words for these. "stage" is "ipxe" for what only iPXE knows.

"version" is that of the form of the document. It is raised when a name in it
goes or means something else; names may be added without it.`,
		Example: "  pixiecore schema | jq '.blocks[].name'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failed(writeJSON(cmd.OutOrStdout(), config.Language()))
		},
	}
}
