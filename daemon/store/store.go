// Package store keeps what must outlive the process, by name and key, in one file
// of the state directory.
//
//	leases.Leases ── Save ──▶ Bucket "dhcp6 leases" ─┐
//	                          Bucket "dhcp leases" ──┼─▶ state.db (bbolt, 0600)
//	                          Bucket "…" ────────────┘
//
// # Decisions
//
// A Bucket is all that its users see, and is small, so that an engine which
// several servers share can be another implementation.
//
// What Update returned without an error is on the disk: bbolt writes a page before
// it refers to it, and ends each transaction with fdatasync. So a caller gathers
// what belongs together.
//
// bbolt panics where the pages of a file do not fit together. Here that is an error
// like any other, which says which file: what it means that nothing is known is for
// the caller to decide, and never for this package.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// File is the name of the file in the state directory.
const File = "state.db"

// lockWait is how long another process may still have the file, as one that is
// being replaced by this one does.
const lockWait = 2 * time.Second

// A Bucket is the values of one kind.
type Bucket interface {
	// Each calls f with every key and value, in the order of the keys, and ends at
	// its first error. They must not be kept or changed.
	Each(f func(key, value []byte) error) error
	// Update stores values durably, all or none; a nil value removes the key.
	Update(map[string][]byte) error
}

// A Store is an open file. It is safe for concurrent use.
type Store struct {
	path string
	db   *bbolt.DB
}

// Open opens the file in a directory, or makes it, with mode 0600.
func Open(dir string) (_ *Store, err error) {
	path := filepath.Join(dir, File)
	defer caught(path, &err)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: another pixiecore has it open; give this one a state directory of its own", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w; run as the user that %s belongs to", err, dir)
	case err != nil:
		return nil, damaged(path, err)
	}
	return &Store{path, db}, nil
}

// Close gives up the file.
func (s *Store) Close() error { return s.db.Close() }

// Bucket is the one of that name, which need not exist yet.
func (s *Store) Bucket(name string) Bucket { return bucket{s, []byte(name)} }

type bucket struct {
	*Store
	name []byte
}

func (b bucket) Each(f func(key, value []byte) error) (err error) {
	defer caught(b.path, &err)
	return b.db.View(func(tx *bbolt.Tx) error {
		all := tx.Bucket(b.name)
		if all == nil {
			return nil
		}
		return all.ForEach(f)
	})
}

func (b bucket) Update(changed map[string][]byte) (err error) {
	defer caught(b.path, &err)
	err = b.db.Update(func(tx *bbolt.Tx) error {
		all, err := tx.CreateBucketIfNotExists(b.name)
		if err != nil {
			return err
		}
		for key, value := range changed {
			if value == nil {
				err = all.Delete([]byte(key))
			} else {
				err = all.Put([]byte(key), value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", b.path, err)
	}
	return nil
}

// caught makes an error of a panic of bbolt.
func caught(path string, err *error) {
	if p := recover(); p != nil {
		*err = damaged(path, fmt.Errorf("%v", p))
	}
}

func damaged(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w; make room there", path, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: %w; mount it for writing, or name another state directory", path, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w; it must belong to the user that the daemon runs as", path, err)
	}
	if info, statErr := os.Stat(path); statErr == nil && info.Mode().IsRegular() {
		return fmt.Errorf("%s cannot be used: %w; move it away, and pixiecore makes a new one, which knows nothing of what was", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}
