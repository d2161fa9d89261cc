package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTheDHCPv6ServerKeepsItsIdentifier(t *testing.T) {
	dir := t.TempDir()
	first, err := loadDUID(dir)
	must(t, err)
	again, err := loadDUID(dir)
	must(t, err)
	if !bytes.Equal(first, again) || len(first) != 18 || !bytes.HasPrefix(first, []byte{0, 4}) { // RFC 6355
		t.Errorf("identifier %x, then %x", first, again)
	}
	// What is no identifier is replaced: clients that knew the old one ask anew.
	must(t, os.WriteFile(filepath.Join(dir, duidFile), []byte("damaged"), 0o600))
	if other, err := loadDUID(dir); err != nil || bytes.Equal(other, first) || len(other) != 18 {
		t.Errorf("in place of a damaged one: %x, %v", other, err)
	}
	a, err := loadDUID("")
	must(t, err)
	if b, err := loadDUID(""); err != nil || bytes.Equal(a, b) {
		t.Errorf("two processes that keep nothing have the same identifier %x (%v)", b, err)
	}
}
