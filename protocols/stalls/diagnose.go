package stalls

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/pixiecore/pixiecore/protocols/events"
)

// How long the next step may take.
const (
	Grace        = 5 * time.Second  // after a failure, for another try
	ForAnswer    = 10 * time.Second // an API has less
	ForDHCP      = 30 * time.Second // EDK2 asks at 0, 4, 12 and 28 s; ROMs at 0, 4, 8, 16, 32 (PXE 2.1 §2.2.3)
	ForLoader    = 20 * time.Second
	ForIPXE      = time.Minute // with the link going down and up again
	ForScript    = 45 * time.Second
	ForReport    = 30 * time.Second
	ForKernel    = 30 * time.Second
	ForStart     = time.Minute
	ForTransfer  = 30 * time.Second // without a byte
	sharedServer = 24 * time.Hour   // within which another DHCP server was heard of
)

// The words of diagnoses: a fixed set, for metrics and programs.
const (
	Unanswered    = "unanswered"     // this server has not answered a DISCOVER
	NoLease       = "no-lease"       // no DHCP server gives the machine an address
	No4011        = "no-4011"        // another DHCP server sends option 60 without 43
	NoLoader      = "no-loader"      // told to load, and did not ask
	NoHTTPLoader  = "no-http-loader" // the same by UEFI HTTP Boot
	TFTPNoAnswer  = "tftp-no-answer" // the answers from another port are lost
	TFTPBlocks    = "tftp-blocks"    // large blocks are lost: the MTU
	Cut           = "cut"            // a file was broken off
	Stuck         = "stuck"          // a file does not get on
	NoIPXE        = "no-ipxe"        // the loader was sent and does not run
	IPXENoDHCP    = "ipxe-no-dhcp"   // it runs, and its requests do not come here
	IPXENoLease   = "ipxe-no-lease"  // it gets no address
	NoScript      = "no-script"      // it has an address, and does not come for its script
	NoReport      = "no-report"      // it did not come back with its facts
	NoKernel      = "no-kernel"      // it has its script, and fetches nothing
	NoStart       = "no-start"       // it has its files, and does not start them
	Missing       = "missing-file"   // a file is not there
	Digest        = "digest"         // or is another one
	API           = "api"            // who has the last word does not say it
	LoaderMissing = "loader-missing" // this server has none for the platform
	WithoutHTTP   = "ipxe-without-http"
	Refused       = "refused" // the configuration leaves the way out by which it came
	Failure       = "failure" // another failure, which says itself what it is
	Unseen        = "unseen"  // it went on, or not, while this server was stopped
)

// Words lists the words of all diagnoses.
func Words() []string {
	return []string{
		Unanswered, NoLease, No4011, NoLoader, NoHTTPLoader, TFTPNoAnswer, TFTPBlocks, Cut, Stuck, NoIPXE, IPXENoDHCP, IPXENoLease, NoScript,
		NoReport, NoKernel, NoStart, Missing, Digest, API, LoaderMissing, WithoutHTTP, Refused, Failure, Unseen,
	}
}

// A Network is what is known beside the boot itself.
type Network struct {
	// Servers are the DHCP servers that machines were seen to choose.
	Servers []events.Server
	// Leases is whether this server gives addresses itself.
	Leases bool
}

// A dueStep is what is due, and what it means that it has not come.
type dueStep struct {
	word   string
	what   string
	since  time.Time
	within time.Duration
	cause  string
}

// Diagnose says why the boot of the machine does not go on at the time of now; false
// if there is nothing to say: it goes on, has come to its end, or may take its time.
func Diagnose(m events.Machine, b events.Boot, n Network, now time.Time) (events.Stall, bool) {
	v := view{m.Facts, &b, n, now}
	var d dueStep
	switch b.Result {
	case events.Running:
		d = v.due()
	case events.BootFailed:
		d = v.failed()
	}
	if d.word == "" && b.Over {
		d = dueStep{Unseen, "its end", b.Latest(), 0, "the machine has begun another boot, and what became of this one was not seen here"}
	}
	if d.word == "" || !b.Over && now.Sub(d.since) < d.within {
		return events.Stall{}, false
	}
	return events.Stall{Time: now, Since: d.since, Word: d.word, Due: d.what, Cause: d.cause, Seen: b.Latest()}, true
}

// A view is a boot as it is looked at.
type view struct {
	facts events.Facts
	*events.Boot
	network Network
	now     time.Time
}

// first is the first step of that kind; nil where there is none.
func (v view) first(k events.Kind) *events.Event {
	for i := range v.Steps {
		if v.Steps[i].Kind == k {
			return &v.Steps[i]
		}
	}
	return nil
}

// times is how often there was a step of that kind.
func (v view) times(k events.Kind) int {
	n := 0
	for _, e := range v.Steps {
		if e.Kind == k {
			n += e.Count
		}
	}
	return n
}

// furthest is the furthest step, as it stood last.
func (v view) furthest() *events.Event {
	var far *events.Event
	for i := range v.Steps {
		if e := &v.Steps[i]; e.Kind.Step() && (far == nil || e.Kind >= far.Kind) {
			far = e
		}
	}
	return far
}

func (v view) uefi() bool { return strings.HasPrefix(v.facts.Firmware, "efi") }

// due is the step that is due.
func (v view) due() dueStep {
	far := v.furthest()
	if far == nil {
		return dueStep{}
	}
	for i := range v.Steps {
		if e := &v.Steps[i]; e.Active {
			return dueStep{Stuck, "the rest of the " + what(e), e.Latest(), ForTransfer, v.stuck(e)}
		}
	}
	since := v.first(far.Kind).Time // of a step that is repeated
	switch far.Kind {
	case events.Asked:
		if far.Via == "dhcp6" {
			return dueStep{} // it is told its local disk by silence
		}
		return dueStep{Unanswered, "this server's answer", since, ForAnswer,
			"this server has not answered: `log { level = \"debug\" }` says of each request why not"}
	case events.Offered, events.Address:
		return v.offered(far)
	case events.BootServer:
		return v.loader(since, ForLoader)
	case events.Loader:
		return v.ran(far)
	case events.IPXE, events.Autoexec:
		return v.script(far)
	case events.Reporting:
		return dueStep{NoReport, "iPXE's report of its facts", far.Latest(), ForReport,
			"iPXE has the first script and did not come back with its facts, which is the next line of it: its screen says why"}
	case events.Script:
		if v.times(events.File) > 0 { // of another kind of system
			return dueStep{}
		}
		return dueStep{NoKernel, "the kernel", v.Latest(), ForKernel,
			fmt.Sprintf("the machine has its script and has not asked for the kernel of boot %q: the screen shows iPXE's message; over https it is often a certificate that iPXE does not trust, or a clock that is wrong", cmp.Or(v.Boot.Boot, "?"))}
	case events.Kernel, events.Initrd, events.File:
		return v.start(far)
	}
	return dueStep{}
}

// offered is for a machine that has been offered a boot and has not asked for it.
func (v view) offered(far *events.Event) dueStep {
	offer := v.first(events.Offered)
	if offer == nil {
		return dueStep{}
	}
	times := plural(v.times(events.Offered), "time")
	if script := v.first(events.IPXE); script != nil { // the firmware is an iPXE
		return v.script(script)
	}
	chosen := v.Find(events.Address)
	wants4011 := v.uefi() && offer.Via == "dhcp" && offer.Detail == "loader"
	server := ""
	switch {
	case chosen != nil:
		server = chosen.Detail
	case len(v.network.Servers) > 0 && v.now.Sub(v.network.Servers[0].Last) < sharedServer:
		server = v.network.Servers[0].Addr.String()
	}
	switch {
	case server == "" && !v.network.Leases && offer.Via == "dhcp":
		return dueStep{NoLease, "a request for an address", offer.Time, ForDHCP,
			fmt.Sprintf("offered %s, and the machine has taken no address: no DHCP server seems to answer it, and this one gives boot information only. See that the network's DHCP server runs and has addresses left; `pixiecore doctor --interface` asks who answers; or let this one lease addresses (`mode = \"server\"` in the listener)", times)}
	case wants4011 && !v.network.Leases:
		return dueStep{No4011, "a request on port 4011", offer.Time, ForDHCP,
			fmt.Sprintf("offered %s, no request on port 4011: another DHCP server on this network (%s) probably sends option 60 (PXEClient) without option 43, so that the firmware waits for boot information from it; remove option 60 there. Else a firewall of this host closes UDP port 4011", times, server)}
	}
	return v.loader(offer.Time, ForDHCP)
}

// loader is for a machine that has been told its loader and has not asked for it.
func (v view) loader(since time.Time, within time.Duration) dueStep {
	offer := cmp.Or(v.Find(events.BootServer), v.first(events.Offered))
	if offer != nil && offer.Detail == "loader by HTTP" {
		return dueStep{NoHTTPLoader, "the loader by HTTP", since, within,
			"the machine was told the loader's address by UEFI HTTP Boot, and has not asked for it: a firewall between closes the TCP port of the http listener, or the machine cannot reach the address that it is told (`advertise`); some firmware takes https only"}
	}
	return dueStep{NoLoader, "the loader by TFTP", since, within,
		"the machine was told its loader, and no TFTP request for it came: a firewall between closes UDP port 69, or the machine cannot reach the address that it is told (`advertise` in the listener)"}
}

// ran is for a machine that has been sent its loader.
func (v view) ran(e *events.Event) dueStep {
	if e.Size > 0 && e.Bytes < e.Size {
		return v.cut(e)
	}
	cause := "the loader was sent, and no iPXE has asked since: it hangs, or finds no network card. Another build often does better: `ipxe { bios = \"…/ipxe.pxe\" }` has drivers of its own, undionly.kpxe uses the ROM's"
	if v.uefi() {
		cause = "the loader was sent, and no iPXE has asked since: under Secure Boot the firmware refuses one that is not signed (\"Access Denied\", \"Security Violation\" on the screen); else it hangs or finds no network card, and another build often does better: snponly.efi uses the firmware's driver, ipxe.efi has its own (`ipxe { efi64 = … }`)"
	}
	return dueStep{NoIPXE, "iPXE's request", e.Latest(), ForIPXE, cause}
}

// script is for a machine on which iPXE runs.
func (v view) script(e *events.Event) dueStep {
	asked := v.first(events.IPXE)
	if asked == nil {
		return dueStep{IPXENoDHCP, "iPXE's DHCP request", e.Latest(), ForScript,
			"iPXE runs (it has fetched autoexec.ipxe), and no DHCP request of it came since: its driver does not get the link up again. Another build often does better: snponly.efi uses the firmware's driver, ipxe.efi has its own (`ipxe { efi64 = … }`)"}
	}
	since, tried := asked.Time, plural(v.times(events.IPXE), "time")
	chosen := v.chosenSince(since)
	if chosen == "" && !v.network.Leases && asked.Via == "dhcp" {
		return dueStep{IPXENoLease, "iPXE's address", since, ForScript,
			fmt.Sprintf("iPXE has asked %s for an address and takes none: a switch port that begins to forward only after half a minute (spanning tree) loses its requests, which portfast mends; else the network's DHCP server does not answer its second request", tried)}
	}
	if chosen != "" {
		chosen = " (from " + chosen + ")"
	}
	via := "the machine"
	if l := v.Find(events.Loader); l != nil && l.Via == "tftp" {
		via = "TFTP works, and HTTP does not come: the machine"
	}
	return dueStep{NoScript, "iPXE's script by HTTP", since, ForScript,
		via + " has its address" + chosen + " and has not fetched its script: a firewall between closes the TCP port of the http listener (80), or iPXE did not wait for this server's offer: its DHCP server says so by option 175.176, or switch it to answer later than this one"}
}

// chosenSince is the DHCP server that the machine took an address from since then.
func (v view) chosenSince(t time.Time) string {
	for _, e := range v.Steps {
		if e.Kind == events.Address && !e.Latest().Before(t) {
			return e.Detail
		}
	}
	return ""
}

// start is for a machine that has fetched a kernel, or what came with it.
func (v view) start(e *events.Event) dueStep {
	for i := range v.Steps {
		if s := &v.Steps[i]; s.Kind == e.Kind && s.Size > 0 && s.Bytes < s.Size && !v.wholeSince(i) {
			return v.cut(s)
		}
	}
	if v.first(events.Kernel) == nil {
		return dueStep{} // a script of its own: nobody knows what comes
	}
	cause := "the machine has its kernel and asks for nothing more: the next file is too large for its memory, or iPXE refuses the kernel, as it does a 64-bit one in a 32-bit iPXE, and an unsigned one under Secure Boot; its screen says which"
	if e.Kind == events.Initrd {
		cause = "the machine has its files and does not start the kernel: iPXE refuses it, as it does a 64-bit one in a 32-bit iPXE, and an unsigned one under Secure Boot, or its memory is too small for the initrd; its screen says which"
	}
	return dueStep{NoStart, "the start of the kernel", v.Latest(), ForStart, cause}
}

// wholeSince reports whether the file of that step was fetched whole by a later one.
func (v view) wholeSince(i int) bool {
	for _, e := range v.Steps[i+1:] {
		if e.Kind == v.Steps[i].Kind && e.Size == v.Steps[i].Size && e.Bytes == e.Size {
			return true
		}
	}
	return false
}

// cut is for a file that was broken off.
func (v view) cut(e *events.Event) dueStep {
	cause := fmt.Sprintf("the %s was broken off by the machine at %d %% (%s of %s): ", what(e), e.Percent(), events.Size(e.Bytes), events.Size(e.Size))
	switch {
	case e.Kind == events.Loader:
		cause += "the link was lost, or the firmware has no room for a loader of this size"
	case e.Bytes == 0:
		cause += "a firewall or a proxy between lets the question through and not the answer, or the path's MTU is below that of this host's interface"
	default:
		cause += "its memory is full (iPXE says \"No space left\"), it was reset, or the link was lost"
	}
	return dueStep{Cut, "the rest of the " + what(e), e.Latest(), Grace, cause}
}

func (v view) stuck(e *events.Event) string {
	at := events.Size(e.Bytes)
	if p := e.Percent(); p >= 0 {
		at = fmt.Sprintf("%d %%", p)
	}
	return fmt.Sprintf("the %s stands at %s: the machine has stopped reading (it hangs, or was switched off), or the path loses packets, as with a duplex mismatch or an MTU below that of this host's interface", what(e), at)
}

// failed is for a boot whose last step went wrong.
func (v view) failed() dueStep {
	e := v.Find(events.Failed)
	if e == nil {
		return dueStep{}
	}
	d := dueStep{Failure, "another try", v.first(events.Failed).Time, Grace, e.Detail}
	switch e.Fault {
	case events.FaultNoAnswer:
		d.word, d.what = TFTPNoAnswer, "an acknowledgement"
		d.cause = fmt.Sprintf("%s was asked for by TFTP, and nothing of the answer was acknowledged: a firewall or NAT between lets the request to port 69 through, and not the answers, which come from another port; `single_port = true` in the tftp listener answers from port 69", e.File)
	case events.FaultFirstBlock:
		d.word, d.what = TFTPBlocks, "an acknowledgement"
		d.cause = fmt.Sprintf("OACK %d acknowledged and no block of that size: the path's MTU is below %d. Mend the MTU on the way (VLAN, tunnel, VPN), or give this host's interface the smaller one, by which blocks are made", e.BlockSize, e.BlockSize+32)
		if e.BlockSize <= 512 {
			d.cause = "the machine acknowledges that it wants " + e.File + ", and no block of it: the path loses packets of more than some hundred bytes"
		}
	case events.FaultCut:
		if last := v.lastTransfer(); last != nil && last.Size > 0 && last.Bytes < last.Size && e.Via == "tftp" {
			d = v.cut(last)
			d.cause += " (" + e.Detail + ")"
		} else {
			d.word = Cut
		}
	case events.FaultMissing:
		d.word, d.what = Missing, "the file"
		d.cause += "; put it there, or mend the path in the configuration"
	case events.FaultDigest:
		d.word, d.what = Digest, "the file with its digest"
	case events.FaultAPI:
		d.word, d.what = API, "the API's answer"
	case events.FaultNoLoader:
		d.word = LoaderMissing
	case events.FaultNoHTTP:
		d.word = WithoutHTTP
	case events.FaultDenied:
		d.word = Refused
	}
	return d
}

func (v view) lastTransfer() *events.Event {
	for i := len(v.Steps) - 1; i >= 0; i-- {
		if e := &v.Steps[i]; !e.End.IsZero() {
			return e
		}
	}
	return nil
}

// what names the file of a step.
func what(e *events.Event) string {
	if e.File != "" {
		return e.Kind.String() + " " + e.File
	}
	return e.Kind.String()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
