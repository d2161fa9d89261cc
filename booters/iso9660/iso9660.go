// Package iso9660 finds a file in the image of a CD or DVD, as distributions publish
// their installers.
//
//	sector 16 ──▶ volume descriptors ──▶ root ──▶ directory ──▶ record ──▶ extents ──▶ bytes
//	                primary: ECMA-119, with Rock Ridge behind its names
//	                supplementary: Joliet
//
// An image is read where it lies, by an io.ReaderAt: a file, or a server that serves
// parts. What is read to find a file are the directories on the way to it.
//
// # Decisions
//
// Of several names that a file has, those of Rock Ridge count, else those of Joliet, as
// for Linux. Where there are neither, upper and lower case are one, and a version ";1" is
// left out.
//
// The libraries that there are were refused. kdomanski/iso9660 (0.4.0) multiplies a
// sector by its size in 32 bits, and so reads from the wrong place behind 4 GiB; it knows
// neither files of several extents, which those above 4 GiB are, nor symbolic links nor
// Joliet; it allocates what an image says (4 GiB for a continuation), and takes a read
// error for the end of a directory. diskfs/go-diskfs reads from a file of its own kind,
// and brings filesystems that nobody needs here.
//
// An image may be anybody's: sizes are compared with that of the image before anything is
// allocated, and everything that is followed (links, continuations, extents, descriptors)
// is counted. There are no loops to be caught, since nothing is walked: a name has an end.
// What does not hold is an error, never a guess.
//
// Interleaved files and sectors of another size than 2048 bytes, which no image of
// today has, are refused. So are files that the image has in another form than they are
// read in (zisofs, sparse ones): what a machine loads was never to be unpacked by whoever
// serves it. UDF, which the media of Windows have behind a tree of ISO 9660 with nothing
// but a README, is told of where a name is missing; it is a file system of its own.
package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
)

const (
	sector = 2048 // bytes of a logical sector (ECMA-119 §6.1.2), and of a block in all images that are read
	system = 16   // sectors before the volume descriptors (§6.2.1)
)

// Bounds of what is read of an image.
const (
	maxDescriptors   = 32       // until the one that ends them
	maxDirectory     = 4 << 20  // bytes of one: some thirty thousand files
	maxLookup        = 32 << 20 // bytes of all that are read for one name
	maxParts         = 64       // of a name
	maxLinks         = 16       // that are followed for one name
	maxContinuations = 16       // of the system use area of one record
	maxContinuation  = 32 << 10 // bytes of one
	maxExtents       = 1024     // of a file: 4 TiB
	minRead          = 256      // bytes that a continuation counts for at least, of maxLookup
	maxName          = 4 << 10  // bytes of a name, or of a link's target
	maxNear          = 2000     // names that a MissingError tells
	maxRecognition   = 8        // descriptors of UDF behind those of ISO 9660 (ECMA-167 2/8.3)
)

// A MissingError is the error for a name that is not in the image. It is an
// fs.ErrNotExist.
type MissingError struct {
	Name  string   // the part of the name that is not there
	Dir   string   // where it was looked for; "" is the root
	Names []string // what is there instead
	UDF   bool     // whether the image has a tree of UDF besides, which is not read
}

func (e *MissingError) Error() string {
	text := fmt.Sprintf("there is no %q in %q of the image", e.Name, "/"+e.Dir)
	if e.UDF {
		text += "; " + UDFNote
	}
	return text
}

// UDFNote says of an image with UDF what becomes of that, and the way out.
const UDFNote = "it has a file system of UDF, as media of Windows do, which is not read: mount the image (mount -o loop,ro), and write the paths there"

// Is implements errors.Is.
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

// ErrDirectory is the error for the name of a directory. It is an fs.ErrNotExist.
var ErrDirectory = fmt.Errorf("it is a directory: %w", fs.ErrNotExist)

// Errors of images.
var (
	errBeyond = errors.New("the image is damaged or not whole: a part of it would lie behind its end")
	errImage  = errors.New("it is no image of a CD or DVD (ISO 9660)")
	errUDF    = errors.New("it is no image of a CD (ISO 9660): " + UDFNote)
)

// An Image is one that is open. It may be used by many goroutines if its reader may.
type Image struct {
	r     io.ReaderAt
	size  int64
	root  extent
	rules naming
	skip  int   // bytes before what is Rock Ridge's in a system use area
	next  int64 // the first sector behind the volume descriptors
}

// A naming is by what names files are found.
type naming int

const (
	plain naming = iota
	rockRidge
	joliet
)

// An extent is where a part of a file lies, in bytes.
type extent struct{ at, size int64 }

// A File is one in an Image.
type File struct {
	Size    int64 // bytes
	image   io.ReaderAt
	extents []extent
}

// Open reads what an image of so many bytes says of itself.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	m := &Image{r: r, size: size, next: system}
	var primary, supplementary []byte
	for i := range maxDescriptors {
		d, err := m.read(extent{m.next * sector, sector})
		switch {
		case errors.Is(err, errBeyond) && primary == nil:
			return nil, errImage
		case err != nil:
			return nil, err
		case string(d[1:6]) != "CD001" && m.hasUDF():
			return nil, errUDF
		case string(d[1:6]) != "CD001":
			return nil, errImage
		case d[0] == 1 && primary == nil:
			primary = d
		case d[0] == 2 && supplementary == nil && isJoliet(d):
			supplementary = d
		}
		m.next++
		if d[0] == 255 { // the terminator
			break
		}
		if i == maxDescriptors-1 {
			return nil, fmt.Errorf("it has more than %d volume descriptors", maxDescriptors)
		}
	}
	if primary == nil {
		return nil, errImage
	}
	if err := m.rootOf(primary); err != nil {
		return nil, err
	}
	if err := m.findRockRidge(); err != nil {
		return nil, err
	}
	if m.rules == plain && supplementary != nil {
		if err := m.rootOf(supplementary); err != nil {
			return nil, err
		}
		m.rules = joliet
	}
	return m, nil
}

// isJoliet looks at the escape sequences (Joliet §"SVD Identification": UCS-2 of level 1,
// 2 or 3).
func isJoliet(d []byte) bool {
	return slices.Contains([]string{"%/@", "%/C", "%/E"}, string(d[88:91]))
}

// hasUDF looks whether descriptors of UDF follow those that were read (ECMA-167 2/9: they
// begin with BEA01, NSR02 or NSR03 says which file system it is).
func (m *Image) hasUDF() bool {
	for i := range int64(maxRecognition) {
		d, err := m.read(extent{(m.next + i) * sector, sector})
		if err != nil {
			return false
		}
		switch string(d[1:6]) {
		case "NSR02", "NSR03":
			return true
		case "BEA01":
		default:
			return false
		}
	}
	return false
}

// rootOf takes the root directory of a volume descriptor (ECMA-119 §8.4).
func (m *Image) rootOf(d []byte) error {
	if binary.LittleEndian.Uint16(d[128:]) != sector {
		return fmt.Errorf("its blocks have %d bytes, and not %d", binary.LittleEndian.Uint16(d[128:]), sector)
	}
	rec, ok := parseRecord(d[156:190])
	if !ok {
		return errImage
	}
	m.root = rec.extent
	return nil
}

// findRockRidge looks whether the root's own record begins with the mark of SUSP (§5.3),
// and whether what follows are names. Not all images name Rock Ridge by its ER; but files
// in one that has any have an attribute of it.
func (m *Image) findRockRidge() error {
	b := budget(maxLookup)
	d, err := m.directory(m.root, &b)
	if err != nil {
		return err
	}
	self, ok := parseRecord(d)
	if !ok || len(self.use) < 7 || string(self.use[:2]) != "SP" || self.use[4] != 0xbe || self.use[5] != 0xef {
		return nil
	}
	m.skip = int(self.use[6])
	return m.records(d, func(r record) (bool, error) {
		more, err := m.systemUse(r, &b)
		if err == nil && more.ridge {
			m.rules = rockRidge
		}
		return m.rules == rockRidge, err
	})
}

// read reads a part of the image that lies in it.
func (m *Image) read(e extent) ([]byte, error) {
	if e.at < 0 || e.size < 0 || e.at > m.size || e.size > m.size-e.at {
		return nil, errBeyond
	}
	b := make([]byte, e.size)
	n, err := m.r.ReadAt(b, e.at)
	if n == len(b) {
		return b, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// A budget is how many bytes may still be read for one name.
type budget int64

func (b *budget) take(n int64) error {
	if *b -= budget(n); *b < 0 {
		return fmt.Errorf("its directories have more than %d bytes", maxLookup)
	}
	return nil
}

func (m *Image) directory(e extent, b *budget) ([]byte, error) {
	if e.size > maxDirectory {
		return nil, fmt.Errorf("a directory has %d bytes, and more than %d are not read", e.size, maxDirectory)
	}
	if err := b.take(e.size); err != nil {
		return nil, err
	}
	return m.read(e)
}

// Flags of a record (ECMA-119 §9.1.6).
const (
	flagDirectory  = 0x02
	flagAssociated = 0x04 // what belongs to the file of the same name, as a resource fork
	flagMore       = 0x80 // another record follows with the next extent of the file
)

// A record is one of a directory (ECMA-119 §9.1).
type record struct {
	extent
	flags       byte
	interleaved bool
	id          []byte
	use         []byte // the system use area
}

// parseRecord reads the record that b begins with.
func parseRecord(b []byte) (r record, ok bool) {
	const fixed = 33
	if len(b) < fixed+1 || int(b[0]) < fixed+1 || int(b[0]) > len(b) {
		return r, false
	}
	b = b[:b[0]]
	idLen := int(b[32])
	if idLen == 0 || fixed+idLen > len(b) {
		return r, false
	}
	r.at = (int64(binary.LittleEndian.Uint32(b[2:])) + int64(b[1])) * sector // behind the extended attributes
	r.size = int64(binary.LittleEndian.Uint32(b[10:]))
	r.flags, r.interleaved = b[25], b[26] != 0 || b[27] != 0
	r.id = b[fixed : fixed+idLen]
	use := fixed + idLen
	if idLen%2 == 0 {
		use++ // padding
	}
	r.use = b[min(use, len(b)):]
	return r, true
}

// records calls f with those of a directory, until that is done.
func (m *Image) records(d []byte, f func(record) (done bool, err error)) error {
	for len(d) > 0 {
		block := d[:min(sector, len(d))] // no record goes over its end
		d = d[len(block):]
		for len(block) > 0 && block[0] != 0 {
			r, ok := parseRecord(block)
			if !ok {
				return errors.New("the image is damaged: a directory has a record that is none")
			}
			block = block[int(block[0]):]
			if done, err := f(r); done || err != nil {
				return err
			}
		}
	}
	return nil
}

// A use is what Rock Ridge says of a file.
type use struct {
	ridge     bool // whether it says anything
	name      string
	target    string // of a symbolic link
	isLink    bool
	child     int64  // where a directory was moved to that lay too deep, in bytes; 0: nowhere
	relocated bool   // whether it is shown elsewhere
	unread    string // why its content is none that is read; empty: it is
}

// Types of files in a mode of Rock Ridge (§4.1.1), which are those of POSIX.
const (
	modeType      = 0o170000
	modeRegular   = 0o100000
	modeDirectory = 0o040000
	modeLink      = 0o120000
)

// systemUse reads the system use area of a record: SUSP (IEEE P1281) and Rock Ridge (IEEE
// P1282).
func (m *Image) systemUse(r record, b *budget) (u use, err error) {
	area := r.use
	if self := len(r.id) == 1 && r.id[0] == 0; !self || len(area) < 2 || string(area[:2]) != "SP" {
		area = area[min(m.skip, len(area)):]
	}
	var link linkTarget
	for range maxContinuations {
		var next extent
		for len(area) >= 4 {
			n := int(area[2])
			if n < 4 || n > len(area) {
				break // what is behind the last entry is padding
			}
			body := area[4:n]
			switch string(area[:2]) {
			case "CE": // SUSP §5.1: block, offset and length, in both byte orders each
				if len(body) >= 24 {
					next = extent{int64(binary.LittleEndian.Uint32(body))*sector + int64(binary.LittleEndian.Uint32(body[8:])), int64(binary.LittleEndian.Uint32(body[16:]))}
				}
			case "RR", "TF":
				u.ridge = true
			case "PX":
				u.ridge = true
				if len(body) >= 4 {
					switch binary.LittleEndian.Uint32(body) & modeType {
					case modeRegular, modeDirectory, modeLink, 0:
					default:
						u.unread = "it is a device, a pipe or a socket"
					}
				}
			case "ZF": // of the Linux kernel and mkzftree(1)
				u.unread = "it is compressed in the image (zisofs), and is not unpacked here: mount the image, or extract the file, and write its path"
			case "SF": // §4.1.7
				u.unread = "it is sparse in the image, which is not read: extract the file, and write its path"
			case "NM":
				u.ridge = true
				if len(body) >= 1 && body[0]&6 == 0 { // neither . nor ..
					u.name += string(body[1:])
				}
			case "SL":
				u.ridge, u.isLink = true, true
				if len(body) >= 1 {
					link.add(body[1:])
				}
			case "CL":
				if len(body) >= 4 {
					u.child = int64(binary.LittleEndian.Uint32(body)) * sector
				}
			case "RE":
				u.relocated = true
			case "ST":
				area = nil
				continue
			}
			area = area[n:]
		}
		if len(u.name) > maxName || len(link.text) > maxName {
			return u, fmt.Errorf("a name has more than %d bytes", maxName)
		}
		if next.size == 0 {
			u.target = link.text
			return u, nil
		}
		if next.size > maxContinuation {
			return u, fmt.Errorf("what is said of a file has %d bytes, and more than %d are not read", next.size, maxContinuation)
		}
		if err := b.take(max(next.size, minRead)); err != nil {
			return u, err
		}
		if area, err = m.read(next); err != nil {
			return u, err
		}
	}
	return u, fmt.Errorf("what is said of a file is in more than %d pieces", maxContinuations)
}

// A linkTarget is put together of components (Rock Ridge §4.1.3.1).
type linkTarget struct {
	text string
	part bool // whether the last component goes on
}

func (l *linkTarget) add(b []byte) {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		flags, name := b[0], string(b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
		switch {
		case flags&2 != 0:
			name = "."
		case flags&4 != 0:
			name = ".."
		case flags&8 != 0:
			l.text, name = "/", ""
		}
		if l.text != "" && !l.part && !strings.HasSuffix(l.text, "/") {
			l.text += "/"
		}
		l.text += name
		l.part = flags&1 != 0
	}
}

// name is what a record is called.
func (m *Image) name(r record, u use) string {
	switch m.rules {
	case rockRidge:
		if u.name != "" {
			return u.name
		}
	case joliet:
		units := make([]uint16, len(r.id)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(r.id[2*i:])
		}
		return withoutVersion(string(utf16.Decode(units)))
	}
	return withoutVersion(string(r.id))
}

// withoutVersion leaves ";1" out, and the dot before it where nothing is between
// (ECMA-119 §7.5.1).
func withoutVersion(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.TrimSuffix(s, ".")
}

func (m *Image) same(a, b string) bool {
	if m.rules == plain {
		return strings.EqualFold(a, b)
	}
	return a == b
}

// Lookup finds a regular file by its name, "install.amd/vmlinuz", with or without a slash
// before it. Symbolic links are followed; none leads out of the image. The error for a
// name that is not there is a *MissingError.
func (m *Image) Lookup(name string) (File, error) {
	left := slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
	var at []extent // the directories on the way, without the root
	var dirs []string
	links, b := 0, budget(maxLookup)
	for len(left) > 0 {
		if len(left) > maxParts || len(at) > maxParts {
			return File{}, fmt.Errorf("a name has more than %d parts", maxParts)
		}
		part := left[0]
		left = left[1:]
		if part == ".." {
			at, dirs = at[:max(len(at)-1, 0)], dirs[:max(len(dirs)-1, 0)]
			continue
		}
		dir := m.root
		if len(at) > 0 {
			dir = at[len(at)-1]
		}
		f, err := m.find(dir, part, &b)
		var missing *MissingError
		if errors.As(err, &missing) {
			missing.Dir, missing.UDF = strings.Join(dirs, "/"), m.hasUDF()
		}
		switch {
		case err != nil:
			return File{}, err
		case f.isLink:
			if links++; links > maxLinks {
				return File{}, fmt.Errorf("more than %d symbolic links are on the way", maxLinks)
			}
			if path.IsAbs(f.target) {
				at, dirs = nil, nil
			}
			left = append(slices.DeleteFunc(strings.Split(f.target, "/"), func(s string) bool { return s == "" || s == "." }), left...)
		case f.directory && len(left) > 0:
			at, dirs = append(at, f.extents[0]), append(dirs, part)
		case f.directory:
			return File{}, ErrDirectory
		case len(left) > 0:
			return File{}, &MissingError{Name: left[0], Dir: strings.Join(append(dirs, part), "/")}
		default:
			return f.file(m)
		}
	}
	return File{}, ErrDirectory
}

// A found is what a directory has under a name.
type found struct {
	use
	directory, interleaved bool
	extents                []extent
}

func (f found) file(m *Image) (File, error) {
	file := File{image: m.r, extents: f.extents}
	switch {
	case f.unread != "":
		return file, errors.New(f.unread)
	case f.interleaved:
		return file, errors.New("it is interleaved with another file, which is not read")
	}
	for _, e := range f.extents {
		if e.at > m.size || e.size > m.size-e.at {
			return file, errBeyond
		}
		file.Size += e.size
	}
	if file.Size > m.size { // no two extents of a file are the same place
		return file, errors.New("the image is damaged: the file is larger than the image")
	}
	return file, nil
}

// find looks for a name in a directory.
func (m *Image) find(dir extent, name string, b *budget) (f found, err error) {
	d, err := m.directory(dir, b)
	if err != nil {
		return f, err
	}
	missing := &MissingError{Name: name}
	more, ok := false, false // whether the file that was found, or passed by, has another extent
	err = m.records(d, func(r record) (bool, error) {
		if len(r.id) == 1 && r.id[0] <= 1 || r.flags&flagAssociated != 0 { // . and ..
			return false, nil
		}
		if more {
			more = r.flags&flagMore != 0
			if ok {
				f.extents = append(f.extents, r.extent)
				f.interleaved = f.interleaved || r.interleaved
			}
			if len(f.extents) > maxExtents {
				return true, fmt.Errorf("it has more than %d extents", maxExtents)
			}
			return ok && !more, nil
		}
		var u use
		if m.rules == rockRidge {
			var err error
			if u, err = m.systemUse(r, b); err != nil {
				return true, err
			}
			if u.relocated {
				return false, nil
			}
		}
		more = r.flags&flagMore != 0
		called := m.name(r, u)
		if !m.same(called, name) {
			if len(missing.Names) < maxNear {
				missing.Names = append(missing.Names, called)
			}
			return false, nil
		}
		f = found{use: u, directory: r.flags&flagDirectory != 0, interleaved: r.interleaved, extents: []extent{r.extent}}
		if u.child != 0 {
			moved, err := m.movedTo(u.child, b)
			if err != nil {
				return true, err
			}
			f.directory, f.extents = true, []extent{moved}
		}
		ok = true
		return !more, nil
	})
	switch {
	case err == nil && !ok:
		err = missing
	case err == nil && ok && more:
		err = errors.New("the image is damaged: the last part of the file is not there")
	}
	return f, err
}

// movedTo is the directory that begins at a place, whose own record tells its size.
func (m *Image) movedTo(at int64, b *budget) (extent, error) {
	if err := b.take(sector); err != nil {
		return extent{}, err
	}
	d, err := m.read(extent{at, sector})
	if err != nil {
		return extent{}, err
	}
	r, ok := parseRecord(d)
	if !ok || r.at != at {
		return extent{}, errors.New("the image is damaged: a directory that was moved is not where it should be")
	}
	return r.extent, nil
}

// Span is where the file lies in the image, in bytes; ok is false where it lies in
// several places.
func (f File) Span() (at int64, ok bool) {
	for i := 1; i < len(f.extents); i++ {
		if before := f.extents[i-1]; f.extents[i].at != before.at+before.size {
			return 0, false
		}
	}
	return f.extents[0].at, true
}

// Place tells where the file lies in the image. Of an image that has not changed, the same
// Place has the same bytes.
func (f File) Place() string { return fmt.Sprint(f.extents) }

// ReadAt implements io.ReaderAt.
func (f File) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	for _, e := range f.extents {
		if len(p) == 0 {
			return n, nil
		}
		if off >= e.size {
			off -= e.size
			continue
		}
		want := min(int64(len(p)), e.size-off)
		got, err := f.image.ReadAt(p[:want], e.at+off)
		n += got
		if int64(got) < want {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		p, off = p[got:], 0
	}
	if len(p) > 0 {
		return n, io.EOF
	}
	return n, nil
}
