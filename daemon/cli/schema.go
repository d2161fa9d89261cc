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

"version" is that of the form of the document. It is raised when a name in it
goes or means something else; names may be added without it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failed(writeJSON(cmd.OutOrStdout(), config.Language()))
		},
	}
}
