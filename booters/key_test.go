package booters

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestTheKeyIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url.key")
	first, created, err := LoadKey(path)
	if err != nil || !created || len(first) != 32 {
		t.Fatalf("got %d bytes, created %v, %v", len(first), created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	second, created, err := LoadKey(path)
	if err != nil || created || !bytes.Equal(first, second) {
		t.Errorf("the second time: the same %v, created %v, %v", bytes.Equal(first, second), created, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("beside the key stand %v", left)
	}
	if other, _, _ := LoadKey(filepath.Join(t.TempDir(), "url.key")); bytes.Equal(first, other) {
		t.Error("two servers have the same key")
	}
}

func TestProcessesThatRaceGetOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url.key")
	var (
		wg      sync.WaitGroup
		secrets [16][]byte
		created [16]bool
		start   = make(chan struct{})
	)
	for i := range secrets {
		wg.Go(func() {
			<-start
			var err error
			if secrets[i], created[i], err = LoadKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	n := 0
	for i := range secrets {
		if !bytes.Equal(secrets[i], secrets[0]) {
			t.Errorf("%d and 0 differ", i)
		}
		if created[i] {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d made the key, want 1", n)
	}
}

func TestAKeyFileThatIsNoSecretIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(path string) error
		want string
	}{
		{"group", func(p string) error { return writeMode(p, 32, 0o640) }, "(mode 0640), so it may be known: remove it"},
		{"world", func(p string) error { return writeMode(p, 32, 0o604) }, "chmod 600"},
		{"empty", func(p string) error { return writeMode(p, 0, 0o600) }, "its length of 0 bytes is not between 32 and 4096: remove it"},
		{"short", func(p string) error { return writeMode(p, 31, 0o600) }, "its length of 31 bytes"},
		{"huge", func(p string) error { return writeMode(p, 4097, 0o600) }, "its length of 4097 bytes"},
		{"directory", func(p string) error { return os.Mkdir(p, 0o700) }, "it is a directory, not a regular file"},
		{"fifo", func(p string) error { return syscall.Mkfifo(p, 0o600) }, "it is a FIFO, not a regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "url.key")
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			secret, _, err := LoadKey(path)
			if err == nil || secret != nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), `URL key "`+path) {
				t.Errorf("got %d bytes, %v, want an error with %q", len(secret), err, tt.want)
			}
		})
	}
}

func writeMode(path string, size int, mode fs.FileMode) error {
	return errors.Join(os.WriteFile(path, make([]byte, size), mode), os.Chmod(path, mode)) // whatever the umask
}

// An operator may bring a key of his own making, such as openssl rand -hex 32.
func TestAKeyOfAnotherFormIsTakenAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url.key")
	want := []byte(strings.Repeat("5a", 32) + "\n")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, created, err := LoadKey(path); !bytes.Equal(got, want) || created || err != nil {
		t.Errorf("got %q, created %v, %v", got, created, err)
	}
}

// A key that the operator has named is read by the same rules, and never made.
func TestAKeyThatIsSharedIsNeverMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it's shared.key")
	_, err := ReadKey(path)
	want := "make the first with `(umask 077; openssl rand -out '" + strings.ReplaceAll(path, "'", `'\''`) + "' 32)`"
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want one with %q", err, want)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was made: %v", err)
	}
	if err := writeMode(path, 32, 0o640); err != nil {
		t.Fatal(err)
	}
	if secret, err := ReadKey(path); secret != nil || err == nil || !strings.Contains(err.Error(), "copy it again") || strings.Contains(err.Error(), "the next start makes") {
		t.Errorf("mode 0640: got %d bytes, %v", len(secret), err)
	}
	if err := writeMode(path, 32, 0o600); err != nil {
		t.Fatal(err)
	}
	shared, err := ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if own, _, err := LoadKey(path); !bytes.Equal(own, shared) || err != nil {
		t.Errorf("LoadKey: %v, want the same secret", err)
	}
}

func TestAKeyWithoutADirectory(t *testing.T) {
	_, _, err := LoadKey(filepath.Join(t.TempDir(), "gone", "url.key"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want one that is fs.ErrNotExist", err)
	}
}
