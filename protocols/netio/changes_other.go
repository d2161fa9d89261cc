//go:build !linux

package netio

import (
	"errors"
	"os"
)

// A changes is what only Linux has: see changes_linux.go.
type changes struct{ *os.File }

func subscribe() (changes, error) { return changes{}, errors.ErrUnsupported }

func (changes) wait() error { return errors.ErrUnsupported }
