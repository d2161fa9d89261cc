// Package httpboot serves booting machines over HTTP: their iPXE scripts, and
// the kernels, initrds and other files that the scripts name.
//
//	/_/ipxe      the machine's script (package bootfiles says which)
//	/_/file      a boot file, by the sealed ID in a script
//	/_/f/        a file, by an address that the configuration has asked for (url)
//	/_/booting   the machine says that it is about to start its kernel
//	/…           everything else is looked up in the virtual directory of bootfiles
//
// # Decisions
//
// Paths are taken as they come: no redirect and no cleaning, because UEFI HTTP
// Boot follows no redirect and shim asks for paths with a double slash.
//
// A local file goes out by http.ServeContent, which gives Range, HEAD and
// sendfile(2). Nothing here wraps the ResponseWriter, since that would lose
// sendfile; the time limit on a reader that stopped is kept by the connection
// (see Listener), piece by piece, so that a large image on a slow link is not
// cut.
//
// So does a local file that must have a digest (boot.Verified), which was hashed when it
// was opened, or before: it is looked at after each piece, and its last 64 KiB are held
// back until the machine has acknowledged the rest and the file is still the same. Then no
// page of it waits in the socket any more, in which a change could go out. Else the
// transfer is cut.
//
// What iPXE reports of the machine decides about this one request: its next script
// asks for it again. It is remembered for the files of the boot only, which no
// iPXE may be there to report for. What the machine said in DHCP is looked up in
// the boots of bootfiles.Tree, and stands where both tell the same.
//
// The script of a machine that came with a token carries it on to its kernel and
// initrds, so that each is asked about as everything else is: a machine that is
// ignored by now, or on hold, gets no new file, but a sentence with status 403. What
// it has begun it may go on with. A transfer that runs is not touched, and a range
// that does not begin at 0, of a file that this boot has begun, is served: that is
// how programs resume after a broken connection. iPXE does not, for kernels and
// initrds it begins anew; it reads disk images in ranges. An address without a
// token is refused by a hold of everything only, since nothing in it says whose it
// is. Who takes the token out of an address gains that; the sealed ID is what keeps
// strangers out, and this check is for an operator who wants his own machines to
// stop.
//
// What a machine posts or puts to the address of a file goes to the Booter as it
// comes, 16 MiB in two minutes at most, and is kept nowhere here: an API takes it,
// at its own addresses, and everything else is read only.
//
// The body of a request that needs none is read and dropped, 1 MiB in two seconds at
// most, before the request is answered; the connection of who sends more, or slower,
// ends. net/http would wait for it without any limit, and 4096 of those are all
// connections that there are.
//
// Where all connections are taken, the one that has asked nothing for longest makes room
// for the next: headers that never end cost those who send them their connections, and a
// machine no time. Whoever has come within a second has had no time to ask, and is not
// that one. Where there is no other, one of the address that has most makes room, if
// those are more than 64, or else the next waits in the kernel's queue. A bound for each
// address while there is room was refused, since a whole site can stand behind one.
//
// An address below /_/f/ leads to the file as the machine's own boot has it: its
// verdict says by which generation. A machine that may not boot any more gets it no
// more either. What is not there is a plain 404, for cloud-init and its like look
// for files that need not be; all else that keeps a file from a machine is a sentence
// in the answer, since whoever asks has a screen or a log, and in the machine's
// events.
//
// A machine that cannot be given a script is shown why on its screen, by a
// script. HTTP statuses are for requests that no machine of ours makes.
package httpboot
