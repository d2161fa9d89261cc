package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/daemon/store"
)

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func all(t *testing.T, b store.Bucket) map[string]string {
	t.Helper()
	got := map[string]string{}
	if err := b.Each(func(k, v []byte) error { got[string(k)] = string(v); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestValuesOutliveTheStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if got := all(t, s.Bucket("a")); len(got) != 0 {
		t.Errorf("a new bucket has %v", got)
	}
	if err := s.Bucket("a").Update(map[string][]byte{"x": []byte("1"), "y": []byte("2")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Bucket("a").Update(map[string][]byte{"x": nil, "z": []byte("3"), "never was": nil}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if info, err := os.Stat(filepath.Join(dir, store.File)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	s = open(t, dir)
	if diff := cmp.Diff(map[string]string{"y": "2", "z": "3"}, all(t, s.Bucket("a"))); diff != "" {
		t.Error(diff)
	}
	if got := all(t, s.Bucket("b")); len(got) != 0 {
		t.Errorf("another bucket has %v", got)
	}
}

func TestASecondProcessIsToldOfTheFirst(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if _, err := store.Open(dir); err == nil || !strings.Contains(err.Error(), "another pixiecore has it open") {
		t.Errorf("got %v", err)
	}
}

func TestADamagedFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	big := map[string][]byte{}
	for i := range 200 {
		big[strings.Repeat("k", i+1)] = bytes.Repeat([]byte{byte(i)}, 100)
	}
	if err := s.Bucket("a").Update(big); err != nil {
		t.Fatal(err)
	}
	s.Close()
	path := filepath.Join(dir, store.File)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"no store":     []byte(strings.Repeat("this is a text\n", 1000)),
		"overwritten":  append(bytes.Clone(whole[:8192]), bytes.Repeat([]byte{0xff}, len(whole)-8192)...),
		"without head": append(make([]byte, 8192), whole[8192:]...),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(dir)
		if err == nil {
			err = s.Bucket("a").Each(func(k, v []byte) error { return nil })
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
