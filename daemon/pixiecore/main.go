// Pixiecore boots machines from the network.
package main

import (
	"os"

	"github.com/pixiecore/pixiecore/daemon/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
