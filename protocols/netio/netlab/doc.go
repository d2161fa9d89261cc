// Package netlab builds small networks for tests, out of network namespaces: hosts
// with addresses of their own on an Ethernet segment, each with its own port 67.
//
//	lan := netlab.New(t)
//	server := lan.Host("server", "192.0.2.1/24", "2001:db8::1/64")
//	client := lan.Host("client") // no address
//	server.Do(func() { conn, err = netio.Snoop(67) })
//	server.Start("dnsmasq", "-d", …)
//	client.IP("link", "set", "eth0", "mtu", "1280")
//	lan.Tap("tap0") // for a virtual machine:
//	lan.Switch.Start("qemu-system-x86_64", "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no", …)
//
// The picture:
//
//	┌ server ──┐   ┌ Switch ─────────────┐   ┌ client ──┐
//	│     eth0 ╪═══╪ server0 ─ br0 ─ …   ╪═══╪ eth0     │
//	└──────────┘   │           │         │   └──────────┘
//	               │          tap0 ══ qemu
//	               └─────────────────────┘
//
// It is Linux only, for tests only, and needs root and iproute2: without them a
// test is skipped with the reason, or fails if PIXIECORE_NO_SKIP=1 (as in CI, where
// a skipped test would be a hole that nobody sees).
//
// # Decisions
//
// The namespaces have no names under /run/netns. A descriptor in the test process
// holds each, so the kernel takes them away, with all their links, when the test
// closes it or dies of whatever cause: nothing to sweep, no names to collide.
// (To look into one: nsenter --net=/proc/PID/fd/N.)
//
// Nothing waits for time: duplicate address detection is off, the bridge forwards
// at once, and New returns when the links carry.
package netlab
