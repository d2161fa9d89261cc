package booters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Static boots all machines with the same Spec.
//
// IDs in spec are sources: local paths, relative ones to the directory that
// the process is in now, or http(s) URLs. Machines see the IDs "kernel",
// "initrd-N" and, for the files that {{ ID "…" }} names in the command line,
// "other-N", each counting from 0.
func Static(spec *boot.Spec) (boot.Booter, error) {
	s := &static{src: NewSources(), files: make(map[boot.ID]string)}
	var err error
	if s.spec, err = prepareSpec(spec, []string{"ID"}, s.issue); err != nil {
		return nil, fmt.Errorf("static booter: %w", err)
	}
	return s, nil
}

type static struct {
	spec  *boot.Spec
	src   *Sources
	files map[boot.ID]string
}

func (s *static) issue(kind fileKind, source string) (boot.ID, error) {
	if kind == rpiFiles {
		return "", errors.New("a static booter has no directory: use a table of rules")
	}
	src, err := splitSource(source)
	if err != nil {
		return "", err
	}
	if src.At != "" && !strings.Contains(src.At, "://") {
		if src.At, err = filepath.Abs(src.At); err != nil {
			return "", err
		}
	}
	if err := checkAt(src.At); err != nil {
		return "", err
	}
	id := boot.ID(kind) // there is one kernel, so it needs no number
	for n := 0; kind != kernelFile; n++ {
		id = boot.ID(fmt.Sprintf("%s-%d", kind, n))
		if _, taken := s.files[id]; !taken {
			break
		}
	}
	s.files[id] = src.String()
	return id, nil
}

func (s *static) BootSpec(m boot.Machine) (*boot.Spec, error) {
	return s.BootSpecContext(context.Background(), m)
}

func (s *static) BootSpecContext(context.Context, boot.Machine) (*boot.Spec, error) {
	return s.spec, nil
}

// Decide implements boot.Decider: nobody is waited for.
func (s *static) Decide(context.Context, boot.Machine) (*boot.Verdict, error) {
	return &boot.Verdict{Action: boot.Boot, Spec: s.spec}, nil
}

func (s *static) ReadBootFile(id boot.ID) (io.ReadCloser, int64, error) {
	return s.ReadBootFileContext(context.Background(), id)
}

func (s *static) ReadBootFileContext(ctx context.Context, id boot.ID) (io.ReadCloser, int64, error) {
	source, ok := s.files[id]
	if !ok {
		return nil, 0, fmt.Errorf("no file with ID %q: %w", id, boot.ErrNotFound)
	}
	return s.src.Open(ctx, source)
}

func (s *static) WriteBootFile(id boot.ID, body io.Reader) error {
	return s.WriteBootFileContext(context.Background(), id, body)
}

// WriteBootFileContext discards the file, as the original did.
func (s *static) WriteBootFileContext(context.Context, boot.ID, io.Reader) error {
	return nil
}
