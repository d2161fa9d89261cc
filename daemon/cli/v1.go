package cli

import (
	"errors"
	"flag"
	"io"
	"strconv"
	"strings"
	"time"
)

// v1 translates a command line of the original's first version, which had no
// commands, into one of today. mode is what the original said of it, and empty for
// any other.
//
//	pixiecore -kernel K -initrd A,B -cmdline C      pixiecore boot K A B --cmdline C
//	pixiecore -api URL                              pixiecore api URL
//
// HTTP is on port 70 there, and the log has times.
func v1(args []string) (now []string, mode string, err error) {
	f := flag.NewFlagSet("pixiecore", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	var (
		dhcp    = f.Int("port-dhcp", 67, "")
		pxe     = f.Int("port-pxe", 4011, "")
		tftp    = f.Int("port-tftp", 69, "")
		web     = f.Int("port-http", 70, "")
		listen  = f.String("listen-addr", "", "")
		api     = f.String("api", "", "")
		limit   = f.Duration("api-timeout", 5*time.Second, "")
		kernel  = f.String("kernel", "", "")
		initrd  = f.String("initrd", "", "")
		cmdline = f.String("cmdline", "", "")
		debug   = f.Bool("debug", false, "")
	)
	if f.Parse(args) != nil || f.NArg() > 0 || *kernel == "" && *api == "" {
		return nil, "", nil
	}
	now = []string{
		"boot", "--log-format=" + classicFormat, "--log-timestamps", "--debug=" + strconv.FormatBool(*debug),
		"--port-dhcp=" + strconv.Itoa(*dhcp), "--port-pxe=" + strconv.Itoa(*pxe), "--port-tftp=" + strconv.Itoa(*tftp), "--port=" + strconv.Itoa(*web),
	}
	if *listen != "" {
		now = append(now, "--listen-addr="+*listen)
	}
	if *api == "" {
		now = append(now, "--cmdline="+*cmdline, "--", *kernel)
		if *initrd != "" {
			now = append(now, strings.Split(*initrd, ",")...)
		}
		return now, "static mode", nil
	}
	for name, value := range map[string]string{"kernel": *kernel, "initrd": *initrd, "cmdline": *cmdline} {
		if value != "" {
			err = errors.Join(err, errors.New("cannot provide -"+name+" with -api"))
		}
	}
	now[0] = "api"
	return append(now, "--api-request-timeout="+limit.String(), "--", *api), "API mode, with server " + redacted(*api), err
}
