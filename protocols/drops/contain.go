package drops

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// A Broken request is one at which this program panicked.
type Broken struct {
	panicked any
	where    []string // innermost first
}

// Error names the fault in one line that can be sent to who mends it.
func (b *Broken) Error() string {
	what := strings.Join(strings.Fields(fmt.Sprint(b.panicked)), " ") // some libraries take several lines
	return fmt.Sprintf("this request met a fault of pixiecore, which goes on with all others; please report it: %s, at %s", what, strings.Join(b.where, " < "))
}

// Contain calls f for one request, and makes a *Broken of its panic: whatever somebody
// sends, it is not a whole room that gets no answer. (net/http does the same for a
// handler.) Fuzz targets call what stands in f, and so fail at a panic.
func Contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Broken{p, calls()}
		}
	}()
	return f()
}

// calls are the functions from the one that panicked up to Contain, with their lines.
func calls() (where []string) {
	const most = 12
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // without this one and the one deferred
	for {
		f, more := frames.Next()
		switch name := path.Base(f.Function); {
		case strings.HasSuffix(f.Function, "drops.Contain"), !more, len(where) == most:
			return where
		case !strings.HasPrefix(name, "runtime."):
			where = append(where, fmt.Sprintf("%s:%d", name, f.Line))
		}
	}
}
