package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format lays src out as HCL's own conventions say: two blanks of indentation,
// and the equals signs of neighbouring lines below each other. What the text
// means stays, and so do comments. A text with a syntax error is not touched:
// the result is nil then, and the report says where the error is. Nor is one in
// the JSON syntax.
func Format(name string, src []byte) ([]byte, *Report) {
	r := newReport()
	if len(src) > maxFile {
		r.tooLarge(name)
		return nil, r
	}
	d := newDecoder(name, name, src, &disk{}, r)
	d.piped = true // whatever src is called
	if d.isJSON(name) {
		r.file(name, sumJSONLayout, "HCL's own conventions are for its native syntax. Lay the file out with a formatter for JSON, like jq.")
		return nil, r
	}
	if _, ok := d.syntaxOf(name); !ok || r.Err() != nil {
		r.sort()
		return nil, r
	}
	return hclwrite.Format(src), r
}

// Read is Load for a text that is in no file: that of standard input, for one.
// It is called name in the report; paths in it count from the working directory.
func Read(name string, from io.Reader) (*Config, *Report) {
	r := newReport()
	src, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	if err != nil {
		r.file(name, sumUnreadable, fmt.Sprintf("%v.", err))
		return nil, r
	}
	if len(src) > maxFile {
		r.tooLarge(name)
		return nil, r
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		r.file(name, sumUnreadable, fmt.Sprintf("%v. Run pixiecore in a directory that is there.", err))
		return nil, r
	}
	d := newDecoder(name, abs, src, &disk{open: ReadFile, getenv: os.LookupEnv}, r)
	d.piped = true
	return d.config(name), r
}

func (r *Report) tooLarge(name string) {
	r.file(name, sumTooLarge, fmt.Sprintf("A configuration file may have %d MiB. Is it the right file?", maxFile>>20))
}
