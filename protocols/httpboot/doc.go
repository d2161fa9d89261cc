// Package httpboot serves booting machines over HTTP: their iPXE scripts, and
// the kernels, initrds and other files that the scripts name.
//
//	/_/ipxe      the machine's script (package bootfiles says which)
//	/_/file      a boot file, by the sealed ID in a script
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
// What iPXE reports of the machine decides about this one request: its next script
// asks for it again. It is remembered for the files of the boot only, which no
// iPXE may be there to report for. What the machine said in DHCP is looked up in
// the boots of bootfiles.Tree, and stands where both tell the same.
//
// A machine that cannot be given a script is shown why on its screen, by a
// script. HTTP statuses are for requests that no machine of ours makes.
package httpboot
