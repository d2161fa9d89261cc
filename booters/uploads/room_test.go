package uploads

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever claims to be one more machine each time is refused at some time, also with
// files that have nothing in them; those that are known go on.
func TestDirectoriesAreBounded(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "uploads"), Limits{Size: 10, Total: 10})
	if err != nil {
		t.Fatal(err)
	}
	put := func(machine string) error {
		_, err := d.Put(machine, "f", strings.NewReader(""))
		return err
	}
	if err := put("a"); err != nil || d.machines != 1 {
		t.Fatalf("%d directories, %v", d.machines, err)
	}
	d.machines = maxMachines
	if err := put("b"); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(d.path, "b")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("one more has a directory: %v", err)
	}
	if err := put("a"); err != nil {
		t.Errorf("one that is known: %v", err)
	}
}

// Room that somebody makes is found, without a restart.
func TestRoomThatIsMadeIsFound(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "uploads"), Limits{Size: 10, Total: 10})
	if err != nil {
		t.Fatal(err)
	}
	put := func(machine string) error {
		_, err := d.Put(machine, "f", strings.NewReader("0123456789"))
		return err
	}
	if err := put("a"); err != nil {
		t.Fatal(err)
	}
	if err := put("b"); !errors.Is(err, ErrFull) {
		t.Fatalf("beyond what there may be: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(d.path, "a")); err != nil {
		t.Fatal(err)
	}
	d.counted = d.counted.Add(-recount)
	if err := put("b"); err != nil || d.used != 10 {
		t.Errorf("%d bytes, %v", d.used, err)
	}
}
