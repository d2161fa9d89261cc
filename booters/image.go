package booters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cache"
	"github.com/pixiecore/pixiecore/booters/iso9660"
)

// What lies in an image is written "iso:PATH-OR-URL!/NAME", where NAME has no "!". No
// path or URL that is taken begins so.
const (
	imagePrefix = "iso:"
	imageSep    = "!/"
)

var (
	escapeName   = strings.NewReplacer("%", "%25", "!", "%21")
	unescapeName = strings.NewReplacer("%25", "%", "%21", "!")
)

// InImage is where a file of an ISO image is: the At of its Source. image is a path or
// URL, and name may begin with a slash.
func InImage(image, name string) string {
	return imagePrefix + image + imageSep + escapeName.Replace(strings.TrimLeft(name, "/"))
}

// CutImage takes apart what InImage has put together. ok is false for any other place.
func CutImage(at string) (image, name string, ok bool) {
	rest, ok := strings.CutPrefix(at, imagePrefix)
	i := strings.LastIndex(rest, imageSep)
	if !ok || i < 0 {
		return "", "", false
	}
	return rest[:i], unescapeName.Replace(rest[i+len(imageSep):]), true
}

// checkName refuses the name of a file in an image.
func checkName(name string) error {
	if name == "" || strings.HasSuffix(name, "/") {
		return errors.New("no file in the image is named")
	}
	return nil
}

// errWhole is said of a server that cannot send a part of a file (RFC 9110 §14).
var errWhole = errors.New("its server sends the whole file where a part is asked for (Range), so nothing can be taken out of the image there: download it, and write the path")

// openMember opens a file in a local image, whose digest nobody demands.
func (s *Sources) openMember(src Source) (*memberFile, error) {
	f, err := openLocal(src)
	if err != nil {
		return nil, err
	}
	content, size, _, err := f.find()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %q: %w", src.At, err)
	}
	return &memberFile{SectionReader: io.NewSectionReader(content, 0, size), Closer: f.File, info: memberInfo{f.info, path.Base(f.member), size}}, nil
}

// within opens a file in a remote image that must have a digest: it is fetched whole, and
// what is verified is read.
func (s *Sources) within(ctx context.Context, src Source) (io.ReadCloser, int64, error) {
	r, size, err := s.cached(ctx, src.Fetched())
	if err != nil {
		return nil, 0, err
	}
	f, ok := r.(interface { // of what is verified, there is a file
		fs.File
		io.ReaderAt
	})
	if !ok {
		r.Close()
		return nil, 0, fmt.Errorf("open %q: a verified image is no file on disk", redact(src.At))
	}
	_, name, _ := CutImage(src.At)
	content, err := member(f, size, name)
	info, failed := f.Stat()
	if err = errors.Join(err, failed); err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("open %q: %w", redact(src.At), err)
	}
	m := &memberFile{SectionReader: io.NewSectionReader(content, 0, content.Size), Closer: f, info: memberInfo{info, path.Base(name), content.Size}}
	if n, ok := r.(boot.Noted); ok {
		return noted(m, n.Note()), content.Size, nil
	}
	return m, content.Size, nil
}

func member(image io.ReaderAt, size int64, name string) (iso9660.File, error) {
	m, err := iso9660.Open(image, size)
	if err != nil {
		return iso9660.File{}, err
	}
	return m.Lookup(name)
}

// A memberFile is a file in a local image. It is an fs.File, as new as the image.
type memberFile struct {
	*io.SectionReader
	io.Closer
	info memberInfo
}

// Stat implements fs.File.
func (m *memberFile) Stat() (fs.FileInfo, error) { return m.info, nil }

type memberInfo struct {
	fs.FileInfo // of the image
	name        string
	size        int64
}

func (i memberInfo) Name() string { return i.name }
func (i memberInfo) Size() int64  { return i.size }

// A Missing is a file that is not in a local image.
type Missing struct {
	Name string   // the part of its name that is not there
	Dir  string   // where it was looked for; "" is the root
	Else []string // what is there instead
	Note string   // what the image has besides that is not read, and the way out; may be empty
}

// FindMissing says whether a local image lacks a file. The error is that of an image which
// cannot be read.
func FindMissing(image, name string) (*Missing, error) {
	f, info, err := openRegular(image)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	_, err = member(f, info.Size(), name)
	if missing := (*iso9660.MissingError)(nil); errors.As(err, &missing) {
		note := ""
		if missing.UDF {
			note = iso9660.UDFNote
		}
		return &Missing{missing.Name, missing.Dir, missing.Names, note}, nil
	}
	return nil, err
}

const (
	// chunk is what is asked for at a time to find a file in a remote image, in bytes:
	// what is said of it lies close together, and each request is a connection, which
	// takes longer than this much.
	chunk = 256 << 10
	// maxChunks is how many of them are asked for one file.
	maxChunks = 128
	// Of remote images in which files were found, so much is kept: the directories of a
	// DVD with a distribution's packages have some 6 MiB.
	maxImages = 8
	maxParts  = 64 // chunks of all of them
	// systemArea is before all that an image says of itself (ECMA-119 §6.2.1).
	systemArea = 32 << 10
)

// getMember is fetch of a file in a remote image, by the At of its Source: it asks for
// parts of the image, and answers as a server would that has the file alone. Its validators
// are those of the image.
//
// Where the directories are known, the file's own bytes are all that is asked for; their
// validators tell whether the image is still the same. What is not a part of it, as an
// answer that there is no such file, is never given without asking.
func (s *Sources) getMember(ctx context.Context, at string, header http.Header) (*http.Response, error) {
	image, name, _ := CutImage(at)
	known, ok := s.images.known(image)
	if ok && header.Get("If-None-Match") == "" && header.Get("If-Modified-Since") == "" {
		r := &remoteImage{imageParts: known, ctx: ctx, fetch: s.fetch}
		if resp, err := r.get(name, header); err == nil && resp.ContentLength > 0 {
			s.images.keep(image, r.imageParts)
			return resp, nil
		}
	}
	r := &remoteImage{imageParts: imageParts{url: image, chunks: make(map[int64][]byte)}, ctx: ctx, fetch: s.fetch}
	// The descriptors, if the image is not the one that the cache has.
	first, err := r.open(header)
	if err != nil || first != nil {
		return first, err
	}
	if ok && r.same(known) {
		maps.Copy(known.chunks, r.chunks)
		r.chunks = known.chunks
	}
	resp, err := r.get(name, header)
	if err == nil {
		s.images.keep(image, r.imageParts)
	}
	return resp, err
}

// knownImages are parts of remote images, by URL. They outlive generations.
type knownImages struct {
	mu  sync.Mutex
	all []knownImage // the one that was used last is the last
}

type knownImage struct {
	image string
	imageParts
}

func newKnownImages() *knownImages { return new(knownImages) }

// known returns what is known of an image, in a map for the caller.
func (k *knownImages) known(image string) (p imageParts, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.all, func(one knownImage) bool { return one.image == image })
	if i < 0 {
		return p, false
	}
	p = k.all[i].imageParts
	p.chunks = maps.Clone(p.chunks)
	return p, true
}

// keep remembers parts, and forgets those of the images that were not asked for longest
// where there are too many. Without validators nothing would tell that they are old.
func (k *knownImages) keep(image string, p imageParts) {
	if p.header.Get("ETag") == "" && p.header.Get("Last-Modified") == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := slices.IndexFunc(k.all, func(one knownImage) bool { return one.image == image }); i >= 0 {
		if p.same(k.all[i].imageParts) { // others may have read other directories
			maps.Copy(p.chunks, k.all[i].chunks)
		}
		k.all = slices.Delete(k.all, i, i+1)
	}
	k.all = append(k.all, knownImage{image, p})
	kept := 0
	for _, one := range k.all {
		kept += len(one.chunks)
	}
	for len(k.all) > 0 && (len(k.all) > maxImages || kept > maxParts) {
		kept -= len(k.all[0].chunks)
		k.all = slices.Delete(k.all, 0, 1)
	}
}

// get answers with a file in the image, or with that there is none.
func (r *remoteImage) get(name string, header http.Header) (*http.Response, error) {
	m, err := member(r, r.size, name)
	if errors.Is(err, fs.ErrNotExist) {
		resp := answer(http.StatusNotFound, r.header)
		resp.Status = fmt.Sprintf("%d: %v", resp.StatusCode, err)
		return resp, nil
	}
	if err != nil {
		return nil, err
	}
	from, whole := m.Span()
	if !whole {
		return nil, errors.New("it lies in several places of the image, which is read on this host only: download it, and write the path")
	}
	begin := int64(0)
	if wanted, ok := strings.CutPrefix(header.Get("Range"), "bytes="); ok && r.is(header.Get("If-Range")) {
		if begin, err = strconv.ParseInt(strings.TrimSuffix(wanted, "-"), 10, 64); err != nil || begin < 0 || begin >= m.Size {
			return answer(http.StatusRequestedRangeNotSatisfiable, r.header), nil
		}
	}
	status := http.StatusOK
	if begin > 0 {
		status = http.StatusPartialContent
	}
	resp := answer(status, r.header)
	if begin > 0 {
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", begin, m.Size-1, m.Size))
	}
	resp.ContentLength = m.Size - begin
	if resp.ContentLength == 0 {
		return resp, nil
	}
	part, err := r.part(from+begin, m.Size-begin)
	if err != nil {
		return nil, err
	}
	resp.Body = part.Body
	if date := part.Header.Get("Date"); date != "" { // what is known of the image may be older
		resp.Header.Set("Date", date)
	}
	return resp, nil
}

// answer is a response without a body.
func answer(status int, header http.Header) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)),
		Header: header.Clone(), Body: http.NoBody,
	}
}

// imageParts are what was read of a remote image.
type imageParts struct {
	url    string // where its server sends those who ask for it
	size   int64
	header http.Header      // validators, and the time of the first answer
	chunks map[int64][]byte // by where they begin
}

// same reports whether both are of one image.
func (p imageParts) same(q imageParts) bool {
	return p.size == q.size && p.header.Get("ETag") == q.header.Get("ETag") && p.header.Get("Last-Modified") == q.header.Get("Last-Modified")
}

// A remoteImage is one that is read in parts. It is for one goroutine.
type remoteImage struct {
	imageParts
	ctx   context.Context
	fetch func(ctx context.Context, url string, header http.Header) (*http.Response, error)
}

// open asks for the beginning of what is read, under the conditions of header. An answer
// that is returned is the server's last word.
func (r *remoteImage) open(header http.Header) (*http.Response, error) {
	ask := http.Header{}
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since"} {
		if v := header.Get(name); v != "" {
			ask.Set(name, v)
		}
	}
	ask.Set("Range", fmt.Sprintf("bytes=%d-%d", systemArea, chunk-1))
	resp, err := r.fetch(r.ctx, r.url, ask)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusPartialContent {
		switch resp.StatusCode {
		case http.StatusOK:
			resp.Body.Close()
			return nil, errWhole
		case http.StatusRequestedRangeNotSatisfiable:
			resp.Body.Close()
			return nil, errors.New("it is too small for an image of a CD or DVD")
		}
		return resp, nil
	}
	defer resp.Body.Close()
	from, size, ok := cache.ContentRange(resp.Header.Get("Content-Range"))
	if !ok || from != systemArea || size < 0 {
		return nil, errWhole
	}
	r.size, r.header = size, http.Header{}
	r.url = resp.Request.URL.String() // of several mirrors, one
	for _, name := range [...]string{"ETag", "Last-Modified", "Date"} {
		if v := resp.Header.Get(name); v != "" {
			r.header.Set(name, v)
		}
	}
	b := make([]byte, min(chunk, max(size, systemArea)))
	if _, err := io.ReadFull(resp.Body, b[systemArea:]); err != nil {
		return nil, err
	}
	r.chunks[0] = b
	return nil, nil
}

// is reports whether a validator is that of the image (RFC 9110 §13.1.5).
func (r *remoteImage) is(validator string) bool {
	return validator != "" && (validator == r.header.Get("ETag") || validator == r.header.Get("Last-Modified"))
}

var errReplaced = errors.New("the image was replaced on the server while it was read; the next machine that asks gets the new one")

// part asks for a part of the image, which must be the same one.
func (r *remoteImage) part(from, n int64) (*http.Response, error) {
	resp, err := r.fetch(r.ctx, r.url, http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, from+n-1)}})
	if err != nil {
		return nil, err
	}
	at, size, ok := cache.ContentRange(resp.Header.Get("Content-Range"))
	switch {
	case resp.StatusCode == http.StatusOK:
		err = errWhole
	case resp.StatusCode != http.StatusPartialContent:
		err = fmt.Errorf("the server answers %s", resp.Status)
	case !ok || at != from || !r.same(imageParts{size: size, header: resp.Header}):
		err = errReplaced
	case resp.ContentLength >= 0 && resp.ContentLength != n:
		err = errWhole
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// ReadAt implements io.ReaderAt. Of more than a chunk, all is asked for at once.
func (r *remoteImage) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := (off + int64(n)) / chunk * chunk
		b, ok := r.chunks[at]
		if !ok {
			last := min((off+int64(len(p))+chunk-1)/chunk*chunk, r.size)
			if err := r.load(at, last-at); err != nil {
				return n, err
			}
			continue
		}
		in := off + int64(n) - at
		if in >= int64(len(b)) {
			return n, io.EOF
		}
		n += copy(p[n:], b[in:])
	}
	return n, nil
}

// load fetches chunks from at on.
func (r *remoteImage) load(at, size int64) error {
	if size <= 0 {
		return io.EOF
	}
	if int64(len(r.chunks))+size/chunk > maxChunks {
		return fmt.Errorf("more than %d bytes of it would be read to find the file", maxChunks*chunk)
	}
	resp, err := r.part(at, size)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for last := at + size; at < last; at += chunk {
		b := make([]byte, min(chunk, last-at))
		if _, err := io.ReadFull(resp.Body, b); err != nil {
			return err
		}
		r.chunks[at] = b
	}
	return nil
}
