// Oci writes a container image of several platforms as an OCI image layout in
// a tar file, from one folder for each platform, into which it puts the certificates of the public
// authorities. It needs no container engine.
//
//	oci -out pixiecore.oci.tar -version v1.2.3 -commit 0123… -ipxe "ipxe 1.21.1" amd64=dist/amd64 arm64=dist/arm64
//
// SOURCE_DATE_EPOCH is the time of everything in it, so that two runs over the
// same folders write the same bytes.
//
// # Decisions
//
// There is no base image: the daemon is static, and reads two files that a
// distribution would bring, its configuration and the certificates of the
// public authorities. The latter are those of golang.org/x/crypto, whose
// digest go.sum holds.
//
// The daemon runs as root in the container. It answers DHCP, so it needs the
// host's network, and there only root, or a capability that engines give to
// nobody else, opens ports below 1024. packaging/README.md says which
// capabilities to leave it.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// authorities is where Go and everybody else on Linux looks for certificates.
const authorities = "etc/ssl/certs/ca-certificates.crt"

func main() {
	out := flag.String("out", "", "the tar `file` to write")
	version := flag.String("version", "", "the `version`, which becomes the image's tag")
	commit := flag.String("commit", "", "the `commit` that was built")
	ipxe := flag.String("ipxe", "", "the `source` of the iPXE binaries inside: GPL-2 asks where it is")
	flag.Parse()
	if err := run(*out, *version, *commit, *ipxe, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "oci:", err)
		os.Exit(1)
	}
}

func run(out, version, commit, ipxe string, trees []string) error {
	if out == "" || len(trees) == 0 {
		return fmt.Errorf("-out and at least one ARCH=FOLDER are needed")
	}
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	created := time.Unix(epoch, 0).UTC()
	// https://specs.opencontainers.org/image-spec/annotations
	labels := map[string]string{
		"org.opencontainers.image.title":       "pixiecore",
		"org.opencontainers.image.description": "Network boot server: ProxyDHCP, PXE, TFTP and HTTP",
		"org.opencontainers.image.source":      "https://github.com/pixiecore/pixiecore",
		"org.opencontainers.image.version":     version,
		"org.opencontainers.image.revision":    commit,
		"org.opencontainers.image.created":     created.Format(time.RFC3339),
		"org.opencontainers.image.licenses":    "Apache-2.0 AND GPL-2.0-or-later",
		"com.github.pixiecore.ipxe.source":     ipxe,
	}

	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arg := range trees {
		arch, dir, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not ARCH=FOLDER", arg)
		}
		img, err := image(arch, dir, labels, created)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}

	dir, err := os.MkdirTemp(filepath.Dir(out), ".oci-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	tag := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": strings.ReplaceAll(version, "+", "_")})
	if err := path.AppendIndex(index, tag); err != nil {
		return err
	}
	written, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return err
	}
	if err := validate.Index(written); err != nil {
		return fmt.Errorf("what was written is not valid: %w", err)
	}

	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := archive(f, dir, created); err != nil {
		return err
	}
	return f.Close()
}

// image makes the image of one platform: one layer, and how to run it.
func image(arch, dir string, labels map[string]string, created time.Time) (v1.Image, error) {
	if err := addCertificates(dir); err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	if err := archive(&layer, dir, created); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{
		Created:   v1.Time{Time: created},
		CreatedBy: "packaging/build oci",
	}})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: created}
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/pixiecore"},
		Cmd:        []string{"serve"},
		Labels:     labels,
		Volumes:    map[string]struct{}{"/var/lib/pixiecore": {}},
		ExposedPorts: map[string]struct{}{
			"67/udp": {}, "4011/udp": {}, "69/udp": {}, "80/tcp": {},
		},
	}
	return mutate.ConfigFile(img, config)
}

// addCertificates puts those into a folder whom browsers trust, the authorities
// excepted that are trusted under conditions: a list of certificates cannot say
// them.
func addCertificates(dir string) error {
	var list bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&list, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes all
		}
	}
	path := filepath.Join(dir, authorities)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, list.Bytes(), 0o644)
}

// archive writes a folder as a tar that depends on names, modes and bytes only:
// in lexical order, of one time, all root's.
func archive(w io.Writer, dir string, at time.Time) error {
	tw := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: name, ModTime: at, Mode: int64(info.Mode().Perm()), Format: tar.FormatUSTAR}
		switch {
		case d.IsDir():
			h.Typeflag, h.Name = tar.TypeDir, name+"/"
			return tw.WriteHeader(h)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", path)
		}
		h.Typeflag, h.Size = tar.TypeReg, info.Size()
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(tw, f)
		return err
	})
	if err != nil {
		return err
	}
	return tw.Close()
}
