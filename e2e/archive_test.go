//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"testing"
)

// Linux unpacks what cpio() makes over an initrd that all machines share.
func TestAnArchiveForOneMachine(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bios := machine{bootCase: bootCase{machine: "BIOS", platform: seabios, end: kernel}, mac: "52:54:00:00:00:08", nonce: nonce()}
	d := l.serve(t, fmt.Sprintf(`%s
listener "tftp" { address = "[::]:69" }
listener "http" { address = "[::]:80" }
machine "db1" {
  mac    = %q
  labels = { word = %q }
}
boot "linux" {
  kernel  = "%[4]s/x64/linux"
  initrd  = ["%[4]s/x64/initrd", cpio({ "/etc/pixiecore/file" = file.word })]
  cmdline = %[5]q
  file "word" {
    content = "${machine.name} ${machine.labels.word}"
    secret  = true
  }
}
rule "all" { boot = boot.linux }
`, settings[0].listeners, bios.mac, bios.nonce, l.files, cmdline("ttyS0", "other")))
	r := l.powerOn(t, d, bios)
	r.await(t, "file of the archive", regexp.MustCompile("PIXIECORE-FILE (db1 "+regexp.QuoteMeta(bios.nonce)+")"))
}
