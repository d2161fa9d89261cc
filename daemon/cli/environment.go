package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// variable is the name of the environment variable for a flag.
func variable(flag string) string {
	return "PIXIECORE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment sets the flags of cmd that are not given by their variables. A
// flag that is set so counts as given.
func fromEnvironment(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		text := os.Getenv(variable(f.Name))
		if f.Changed || text == "" {
			return
		}
		if err := cmd.Flags().Set(f.Name, text); err != nil {
			errs = append(errs, fmt.Errorf("%s in the environment: %w", variable(f.Name), err))
		}
	})
	return errors.Join(errs...)
}
