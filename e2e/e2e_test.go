//go:build e2e

package e2e

import (
	"crypto/rand"
	"regexp"
	"strings"
	"testing"
)

// oddWords stand in every command line and message. iPXE would take them for
// its syntax if they were not written so that it puts them together again.
const oddWords = "a || b ; c && d  #e"

// nonce is a word that nothing else prints.
func nonce() string { return strings.ToLower(rand.Text()) }

// A machine boots what the file says now: an edit is served, and one with an error
// in it is not.
func TestEdits(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := settings[0]
	bios := machine{bootCase: bootCase{machine: "BIOS", platform: seabios, on: s.network, end: kernel}, mac: "52:54:00:00:00:01", nonce: nonce()}
	d := l.serve(t, s.config(t, l, []machine{bios}))
	bios.nonce = nonce()
	edited := s.config(t, l, []machine{bios})
	d.save(t, edited)
	d.save(t, edited+"\nrule \"half\" {\n")
	l.powerOn(t, d, bios).proves(t, d, bios)
}

// Without a file and a kernel, every machine is shown the rule that would name
// it, and goes on to its disk.
func TestEmbeddedDefault(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.run(t, "boot")
	bios := machine{bootCase: bootCase{machine: "BIOS", platform: seabios, end: disk}, mac: "52:54:00:00:00:07", nonce: nonce()}
	r := l.powerOn(t, d, bios)
	r.await(t, "rule to paste", regexp.MustCompile(`match \{ (mac = \["`+bios.mac+`"\]) \}`))
	r.awaitDisk(t, bios.nonce)
	for _, want := range []string{"architecture x64", "firmware   bios", "address    192.0.2.1"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("the screen does not show %q", want)
		}
	}
}
