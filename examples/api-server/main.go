// Command api-server is a small inventory for pixiecore: a server of the v1 boot
// API, which says what each machine boots.
//
//	go run ./examples/api-server -listen :4242
//
//	boot "inventory" { api = "http://inventory.lan:4242" }
//	rule "all" { boot = boot.inventory }
//
// pixiecore asks GET /v1/boot/MAC, with what it knows of the machine as a query. The
// answer is JSON; 404 leaves the machine alone. When its installer is done, the machine
// posts its log to an address on the command line, and pixiecore hands it on to here.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"
)

// A spec is what a machine boots. URLs are relative to the API, and pixiecore
// fetches them for the machine.
type spec struct {
	Kernel  string   `json:"kernel"`
	Initrd  []string `json:"initrd,omitempty"`
	Cmdline string   `json:"cmdline,omitempty"`
	Message string   `json:"message,omitempty"`
}

// names are the machines of the inventory. Yours has a database.
var names = map[string]string{
	"52:54:00:aa:00:01": "db1",
	"52:54:00:aa:00:02": "web1",
}

// maxLog bounds an installer's log in bytes.
const maxLog = 4 << 20

// ports are Debian's words for architectures.
var ports = map[string]string{"x64": "amd64", "arm64": "arm64"}

const mirror = "https://deb.debian.org/debian/dists/trixie/main/installer-%[1]s/current/images/netboot/debian-installer/%[1]s/"

// preseed answers the installer's questions; yours has more of them. The last line
// posts the log to where the command line says.
const preseed = `d-i netcfg/get_hostname string %s
d-i preseed/late_command string wget -O- --post-file=/var/log/syslog "$(sed 's/.* log=\([^ ]*\).*/\1/' /proc/cmdline)"
`

func main() {
	listen := flag.String("listen", ":4242", "the `address` to listen on")
	flag.Parse()
	srv := &http.Server{Addr: *listen, Handler: inventory(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(srv.ListenAndServe())
}

// inventory serves the API, and a file that one of its answers names.
func inventory() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/boot/{mac}", func(w http.ResponseWriter, r *http.Request) {
		name, known := names[r.PathValue("mac")]
		if !known {
			http.NotFound(w, r) // and pixiecore ignores the machine
			return
		}
		// A BIOS tells of its CPU only when iPXE asks it. Until then any answer will
		// do, for this question is asked again.
		port, ok := ports[r.URL.Query().Get("arch")]
		if !ok {
			port = "amd64"
		}
		images := fmt.Sprintf(mirror, port)
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(spec{
			Kernel:  images + "linux",
			Initrd:  []string{images + "initrd.gz"},
			Cmdline: fmt.Sprintf(`hostname=%s url={{ URL "/preseed/%[1]s" }} log={{ URL "/logs/%[1]s" }}`, name),
			Message: "Debian's installer, for " + name,
		}); err != nil {
			log.Print(err)
		}
	})
	mux.HandleFunc("GET /preseed/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, preseed, r.PathValue("name"))
	})
	mux.HandleFunc("POST /logs/{name}", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLog))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		// Yours keeps it. What a machine writes may hold anything, so it is not printed.
		log.Printf("%q: the installer's log has %d bytes", r.PathValue("name"), len(text))
	})
	return mux
}
