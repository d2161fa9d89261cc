package booters

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cache"
	"github.com/pixiecore/pixiecore/booters/cpio"
	"github.com/pixiecore/pixiecore/booters/iso9660"
	"github.com/pixiecore/pixiecore/booters/uploads"
)

const (
	// secretFor is how long the address of a secret file is good, unless it says
	// otherwise: as long as a boot may take.
	secretFor = 2 * time.Hour
	// uploadFor is how long a machine may send files: an installation takes less.
	uploadFor = 24 * time.Hour
	// secretSkew is how far in the future an address may have been made, by the
	// clock of another server with the same key.
	secretSkew = 5 * time.Minute
)

// What is sealed begins with a byte that says what it is, unless it is a source:
// an absolute path begins with "/", and a URL with a letter.
const (
	assetLink = "\x01" // the directory, NUL, and the path in it
	fileLink  = "\x02" // a file of a boot: see fileRef
	homeLink  = "\x03" // likewise, without a file: see Target.PhoneHome
	boundLink = "\x06" // likewise, behind the address that it is for: its length in a byte, and its bytes
	putLink   = "\x05" // likewise, with the name of what the machine sends: see Target.Upload
	imageLink = "\x04" // the path or URL of an image, NUL, and the path in it
)

// A File is one that machines fetch while they boot, from an address that stands
// in their command line, script or another file.
type File struct {
	Name    string
	Kind    FileKind
	Members []string // the names in a tree or an archive, in order; nil for others
	Secret  bool     // whether it is shown to nobody but the machine
	// AnyAddress is whether a Secret is served to another address, too, than that
	// which the machine asked for the script from.
	AnyAddress bool
	// Expires is how long an address of it is good; 0: that of a Secret for as long as a
	// boot may take, any other for as long as the key.
	Expires time.Duration
	// Render makes the file, or a member of it, for one machine. The error
	// is a sentence for the operator and the machine.
	Render func(r Request, member string) (Content, error)
}

// life is how long an address of the file is good; 0: as long as the key.
func (f *File) life() time.Duration {
	if f.Expires == 0 && f.Secret {
		return secretFor
	}
	return f.Expires
}

// Parts are what Render can be asked for: the members of a tree or an archive, else ""
// alone.
func (f *File) Parts() []string {
	if f.Kind == FileTree || f.Kind == FileArchive {
		return f.Members
	}
	return []string{""}
}

// PartName is what people call one of Parts: "preseed", "seed/user-data".
func (f *File) PartName(member string) string {
	if member == "" {
		return f.Name
	}
	return f.Name + "/" + member
}

// A FileKind is how a File is made, by the word of the configuration language.
type FileKind string

// The kinds of files.
const (
	FileContent FileKind = "content" // text
	FileSource  FileKind = "source"  // what is behind a path or URL
	FileTree    FileKind = "tree"    // several texts, under names
	FileArchive FileKind = "cpio"    // an initrd of several texts, of which none can be asked for alone
)

// Content is what a File is for one machine: a text, or a source.
type Content struct {
	Text, Source string
	Mode         uint32 // of the member of an archive, as in cpio.File
}

// Initrd is a FileArchive in a Spec of sources.
func (f *File) Initrd() boot.ID { return boot.ID("cpio:" + f.Name) }

// A Request is a machine for which something is rendered.
type Request struct {
	Machine boot.Machine
	Entry   *Entry // nil for a stranger
	// Link makes the address at which the machine fetches a target.
	Link func(Target) (string, error)
}

// A Target is what an address leads to: a file of the boot, a source, or what
// lies in a directory.
type Target struct {
	File   *File
	Source string
	// Dir is an absolute path, and Image the path or URL of an image. Path is one below
	// either; where it is empty or ends in "/", all that lies there can be fetched.
	Dir, Image, Path string
	// PhoneHome is no file: the machine asks for it when it has done its work.
	PhoneHome bool
	// Upload is the name under which what the machine sends is kept.
	Upload string
}

// homeName is what stands behind the ID in the address of PhoneHome.
const homeName = "phone-home"

// Preview is a Request for people: its addresses say what they lead to, instead
// of being sealed, and cannot be fetched.
func Preview(inv *Inventory, m boot.Machine) Request {
	return Request{Machine: m, Entry: inv.Lookup(m), Link: func(t Target) (string, error) {
		const server = "http://SERVER/"
		switch _, err := t.name(); {
		case err != nil:
			return "", err
		case t.PhoneHome:
			return server + homeName, nil
		case t.Upload != "":
			return server + "upload/" + t.Upload, nil
		case t.File != nil:
			return server + "file." + t.File.Name + t.File.slash(), nil
		case t.Dir != "":
			return server + strings.TrimPrefix(t.Dir, "/") + "/" + t.Path, nil
		case t.Image != "":
			return server + strings.TrimPrefix(redactRemote(t.Image), "/") + "/" + t.Path, nil
		default:
			return server + strings.TrimPrefix(t.Source, "/"), nil
		}
	}}
}

// slash is what the address of a tree ends in.
func (f *File) slash() string {
	if f.Kind == FileTree {
		return "/"
	}
	return ""
}

// name is what stands behind the ID in an address: the file's own name, so that
// whoever goes by names finds it, and nothing for a tree or a directory, to which
// the machine adds what it wants.
func (t Target) name() (string, error) {
	switch {
	case t.PhoneHome:
		return homeName, nil
	case t.Upload != "":
		return t.Upload, uploads.CheckName(t.Upload)
	case t.File != nil && t.File.Kind == FileTree:
		return "", nil
	case t.File != nil:
		return t.File.Name, nil
	case t.Dir+t.Image != "" && (t.Path == "" || strings.HasSuffix(t.Path, "/")):
		return "", nil
	case t.Dir+t.Image != "":
		return path.Base(t.Path), nil
	}
	return sourceName(t.Source)
}

// sourceName is the last part of a path or URL.
func sourceName(source string) (string, error) {
	src, err := ParseSource(source)
	if err != nil {
		return "", err
	}
	if _, name, ok := CutImage(src.At); ok {
		return path.Base(name), nil
	}
	if src.Local() {
		return filepath.Base(src.At), nil
	}
	u, err := url.Parse(src.At)
	if err != nil {
		return "", bareURL(err)
	}
	name := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	if name == "" {
		return "", fmt.Errorf("URL %q: it names no file", redactURL(u))
	}
	return name, nil
}

// link makes the address of a target for a machine that boots the action.
func (t *Table) link(m boot.Machine, bootName, base string, to Target) (string, error) {
	name, err := to.name()
	if err != nil {
		return "", err
	}
	sealed := to.Source
	switch {
	case to.File != nil, to.PhoneHome, to.Upload != "":
		if sealed, err = t.refer(m, bootName, to); err != nil {
			return "", err
		}
	case to.Dir != "":
		sealed = assetLink + to.Dir + "\x00" + to.Path
	case to.Image != "":
		sealed = imageLink + to.Image + "\x00" + to.Path
	}
	if len(sealed) > maxSource {
		return "", fmt.Errorf("what an address leads to is said in %d bytes, and it has %d", maxSource, len(sealed))
	}
	return base + boot.LinkPath + string(t.seal.Seal(sealed)) + "/" + url.PathEscape(name), nil
}

// refer is what is sealed of a target that is for one machine: a file, PhoneHome or
// Upload.
func (t *Table) refer(m boot.Machine, bootName string, to Target) (string, error) {
	if len(m.MAC) != 6 {
		return "", errors.New("the MAC address of this machine is not known")
	}
	ref := fileRef{mac: [6]byte(m.MAC), arch: m.Arch, firmware: m.Firmware, boot: bootName}
	kind := homeLink
	switch {
	case to.File != nil:
		kind, ref.file = fileLink, to.File.Name
		if f := to.File; f.Secret {
			if !m.Peer.IsValid() {
				return "", fmt.Errorf("file %s of boot %s is secret, and given only to a machine that boots by what this server's DHCP told it in this boot; this one asks by a name that anybody can write. "+
					"Let it have its boot file's name from here, or leave secret out", f.Name, bootName)
			}
			if !f.AnyAddress {
				to := m.Peer.AsSlice()
				kind = boundLink + string(append([]byte{byte(len(to))}, to...))
			}
		}
	case to.Upload != "":
		kind, ref.file = putLink, to.Upload
	}
	if to.File == nil || to.File.life() > 0 {
		ref.made = t.now()
	}
	return kind + ref.seal(), nil
}

// A fileRef is what the address of a File has in it. The platform is that of the
// machine when iPXE had told its CPU, which nobody tells again.
type fileRef struct {
	mac        [6]byte
	made       time.Time // to the second; the zero Unix time where the file has no life
	arch       boot.Architecture
	firmware   boot.Firmware
	boot, file string
}

func (r fileRef) seal() string {
	b := r.mac[:]
	made := uint32(0)
	if !r.made.IsZero() {
		made = uint32(r.made.Unix())
	}
	b = binary.BigEndian.AppendUint32(b, made)
	// The boot is last, for each.key can be any text.
	return string(b) + strings.Join([]string{r.arch.Name(), r.firmware.String(), r.file, r.boot}, "\x00")
}

func openFileRef(sealed string) (r fileRef, ok bool) {
	const head = 6 + 4
	if len(sealed) < head {
		return r, false
	}
	r.mac = [6]byte([]byte(sealed[:6]))
	r.made = time.Unix(int64(binary.BigEndian.Uint32([]byte(sealed[6:head]))), 0)
	words := strings.SplitN(sealed[head:], "\x00", 4)
	if len(words) != 4 {
		return r, false
	}
	arch, err := boot.ParseArchitecture(words[0])
	if err != nil {
		return r, false
	}
	firmware, err := boot.ParseFirmware(words[1])
	if err != nil || len(firmware) != 1 {
		return r, false
	}
	r.arch, r.firmware, r.file, r.boot = arch, firmware[0], words[2], words[3]
	return r, true
}

// OpenLink implements boot.Linker.
func (t *Table) OpenLink(id boot.ID, name string) (boot.Link, error) {
	sealed, err := t.seal.Open(id)
	if err != nil {
		return boot.Link{}, err
	}
	if rest, ok := strings.CutPrefix(sealed, assetLink); ok {
		dir, within, _ := strings.Cut(rest, "\x00")
		return t.openAsset(dir, within, name)
	}
	if rest, ok := strings.CutPrefix(sealed, imageLink); ok {
		image, within, _ := strings.Cut(rest, "\x00")
		return t.openInImage(image, within, name)
	}
	var to netip.Addr
	if rest, ok := strings.CutPrefix(sealed, boundLink); ok && rest != "" && len(rest) > int(rest[0]) {
		size := 1 + int(rest[0])
		to, _ = netip.AddrFromSlice([]byte(rest[1:size]))
		sealed = fileLink + rest[size:]
	}
	if kind := sealed[:min(1, len(sealed))]; kind == fileLink || kind == homeLink || kind == putLink {
		ref, ok := openFileRef(sealed[1:])
		if !ok { // sealed by another version
			return boot.Link{}, fmt.Errorf("open address: %w", boot.ErrNotFound)
		}
		if kind == homeLink {
			return ref.phoneHome(name)
		}
		if kind == putLink {
			return t.upload(ref, name)
		}
		return t.openFile(ref, to, name)
	}
	if want, err := sourceName(sealed); err != nil || want != name {
		return boot.Link{}, fmt.Errorf("address of another name: %w", boot.ErrNotFound)
	}
	return boot.Link{Name: name, Open: func(ctx context.Context, _ boot.Machine, _ string) (io.ReadCloser, int64, error) {
		return t.src.Open(ctx, sealed)
	}}, nil
}

// below is the file that name means in an address of a path in dir: that, or what lies
// below it. Installers put a slash of their own behind an address that ends in one.
func below(dir, within, name string) (file string, err error) {
	file = within
	if within == "" || strings.HasSuffix(within, "/") {
		file = strings.TrimLeft(name, "/")
	} else if path.Base(within) != name {
		return "", fmt.Errorf("address of another name: %w", boot.ErrNotFound)
	}
	if len(file) > maxSource || !filepath.IsLocal(file) {
		return "", fmt.Errorf("%q in %q: %w", file[:min(len(file), maxSource)], dir, boot.ErrNotFound)
	}
	return file, nil
}

// openInImage is the link to a path in an image, or to name below it.
func (t *Table) openInImage(image, within, name string) (boot.Link, error) {
	file, err := below(redactRemote(image), within, name)
	if err != nil {
		return boot.Link{}, err
	}
	if file != within {
		file = path.Join(within, file)
	}
	return boot.Link{Name: path.Base(file), Open: func(ctx context.Context, _ boot.Machine, _ string) (io.ReadCloser, int64, error) {
		f, size, err := t.src.Open(ctx, InImage(image, file))
		answer := (*cache.AnswerError)(nil)
		if errors.As(err, new(*iso9660.MissingError)) || errors.Is(err, iso9660.ErrDirectory) || errors.As(err, &answer) && answer.Code == http.StatusNotFound {
			err = fmt.Errorf("%w: %w", boot.ErrNotFound, err)
		}
		return f, size, err
	}}, nil
}

// openAsset is the link to a path in a directory, or to name below it.
func (t *Table) openAsset(dir, within, name string) (boot.Link, error) {
	file, err := below(dir, within, name)
	if err != nil {
		return boot.Link{}, err
	}
	sub := "."
	if file != within && within != "" {
		sub = path.Clean(within)
	}
	return boot.Link{Name: path.Base(file), Open: func(context.Context, boot.Machine, string) (io.ReadCloser, int64, error) {
		root, err := os.OpenRoot(dir)
		if err != nil { // the operator's matter, whatever it is
			return nil, 0, fmt.Errorf("open %q: %w", dir, bare(err))
		}
		defer root.Close()
		f, size, err := openBelow(root, sub, file)
		if err != nil {
			shown := filepath.Join(dir, sub, file)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.EINVAL) {
				return nil, 0, fmt.Errorf("open %q: %w", shown, boot.ErrNotFound)
			}
			return nil, 0, fmt.Errorf("open %q: %w", shown, bare(err))
		}
		return f, size, nil
	}}, nil
}

// openBelow opens a regular file. No link on the way leads out of root, nor out
// of the directory below in it: see os.Root.
func openBelow(root *os.Root, below, file string) (*os.File, int64, error) {
	if below != "." {
		sub, err := root.OpenRoot(below)
		if err != nil {
			return nil, 0, err
		}
		defer sub.Close()
		root = sub
	}
	// A FIFO would block for ever.
	f, err := root.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	switch {
	case err == nil && info.IsDir():
		err = fs.ErrNotExist // a directory is not listed
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("it is %s, not a regular file", kindOf(info.Mode()))
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// phoneHome is the link by which the machine says that it is done.
func (r fileRef) phoneHome(name string) (boot.Link, error) {
	if name != homeName {
		return boot.Link{}, fmt.Errorf("address of another name: %w", boot.ErrNotFound)
	}
	return boot.Link{
		Name: name, Boot: r.boot, Issued: r.made, PhoneHome: true,
		Machine: &boot.Machine{MAC: net.HardwareAddr(r.mac[:]), Arch: r.arch, Firmware: r.firmware},
	}, nil
}

// upload is the link to which the machine sends a file.
func (t *Table) upload(ref fileRef, name string) (boot.Link, error) {
	link := boot.Link{
		Name: ref.file, Boot: ref.boot, Issued: ref.made,
		Machine: &boot.Machine{MAC: net.HardwareAddr(ref.mac[:]), Arch: ref.arch, Firmware: ref.firmware},
	}
	to := t.src.opts.Uploads
	switch age := t.now().Sub(ref.made); {
	case name != ref.file:
		return link, fmt.Errorf("address of another name: %w", boot.ErrNotFound)
	case to == nil: // the block was taken out of the configuration
		return link, fmt.Errorf("nothing can be sent to this server now: %w", boot.ErrNotFound)
	case age >= uploadFor || age < -secretSkew:
		return link, fmt.Errorf("upload %s: %w: it is good for %d hours of the boot that it was made for", ref.file, boot.ErrExpired, uploadFor/time.Hour)
	}
	link.Put = func(_ context.Context, m boot.Machine, body io.Reader) (int64, error) {
		machine := strings.ReplaceAll(m.MAC.String(), ":", "-")
		if e := t.inv.Lookup(m); e != nil {
			machine = e.Name
		}
		return to.Put(machine, ref.file, body)
	}
	return link, nil
}

// openFile is the link to a file of a boot. With an error, it tells whose it is.
func (t *Table) openFile(ref fileRef, to netip.Addr, name string) (boot.Link, error) {
	link := boot.Link{
		Name: ref.file, Boot: ref.boot, Made: true,
		Machine: &boot.Machine{MAC: net.HardwareAddr(ref.mac[:]), Arch: ref.arch, Firmware: ref.firmware},
	}
	i := slices.IndexFunc(t.files[ref.boot], func(f *File) bool { return f.Name == ref.file })
	if i < 0 {
		return link, fmt.Errorf("boot %s has no file %q now: %w", ref.boot, ref.file, boot.ErrNotFound)
	}
	f := t.files[ref.boot][i]
	if link.Secret = f.Secret; f.Secret {
		link.Issued, link.To = ref.made, to
		if !to.IsValid() && !f.AnyAddress { // sealed by another version, or under other settings
			return link, fmt.Errorf("file %s of boot %s: %w: it is for no address, as a secret has to be by now; start the machine again", f.Name, ref.boot, boot.ErrExpired)
		}
	}
	member := ""
	switch {
	case f.Kind == FileArchive:
		if name != "" {
			return link, fmt.Errorf("address of another name: %w", boot.ErrNotFound)
		}
	case f.Kind == FileTree:
		member = strings.TrimLeft(name, "/") // as in below
		if !slices.Contains(f.Members, member) {
			return link, fmt.Errorf("%q in file %s of boot %s: %w", name, f.Name, ref.boot, boot.ErrNotFound)
		}
		link.Name = f.PartName(member)
	case name != f.Name:
		return link, fmt.Errorf("address of another name: %w", boot.ErrNotFound)
	}
	if age, life := t.now().Sub(ref.made), f.life(); life > 0 && (age >= life || age < -secretSkew) {
		what := "it"
		if f.Secret {
			what = "that of a secret"
		}
		return link, fmt.Errorf("file %s of boot %s: %w: %s is good for %s of the boot that it was made for; start the machine again",
			f.Name, ref.boot, boot.ErrExpired, what, strings.TrimSuffix(strings.TrimSuffix(life.String(), "0s"), "0m"))
	}
	link.Open = func(ctx context.Context, m boot.Machine, base string) (io.ReadCloser, int64, error) {
		r := t.request(m, ref.boot, base)
		if f.Kind == FileSource {
			c, err := f.Render(r, member)
			if err != nil {
				return nil, 0, sentence{err}
			}
			return t.src.Open(ctx, c.Source)
		}
		return t.src.made.open(ctx, f.Kind, func() (string, error) {
			if f.Kind == FileArchive {
				archive, err := f.archive(r)
				if err != nil {
					return "", sentence{err}
				}
				return archive, nil
			}
			c, err := f.Render(r, member)
			if err == nil && len(c.Text) > maxRendered {
				err = fmt.Errorf("boot %s: file %s: it has %d bytes for this machine, and may have %d", ref.boot, f.Name, len(c.Text), maxRendered)
			}
			if err != nil {
				return "", sentence{err}
			}
			return c.Text, nil
		})
	}
	return link, nil
}

// archive makes a FileArchive.
func (f *File) archive(r Request) (string, error) {
	files := make([]cpio.File, 0, len(f.Members))
	for _, name := range f.Members {
		c, err := f.Render(r, name)
		if err != nil {
			return "", err
		}
		files = append(files, cpio.File{Name: name, Mode: c.Mode, Data: c.Text})
	}
	archive, err := cpio.Archive(files)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.Name, err)
	}
	return archive, nil
}

// request is the machine with addresses for it.
func (t *Table) request(m boot.Machine, bootName, base string) Request {
	return Request{Machine: m, Entry: t.inv.Lookup(m), Link: func(to Target) (string, error) { return t.link(m, bootName, base, to) }}
}

// sentence is an error that the machine is told.
type sentence struct{ error }

func (s sentence) Unwrap() error      { return s.error }
func (sentence) Is(target error) bool { return target == boot.ErrMissing }
