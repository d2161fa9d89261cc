package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

// bind opens every listener and makes its server. HTTP and TFTP come first:
// the others tell machines where they are.
func (d *Daemon) bind(listeners []config.Listener) error {
	var (
		web        bootfiles.Web
		tftpAddr   netip.Addr
		interfaces = netio.NewInterfaces()
		chains     = &dhcp4.Chains{}
		tree       = bootfiles.Tree{Source: d.swap, Tokens: d.tokens}
	)
	ofKind := func(kind config.Kind, open func(config.Listener) error) error {
		for _, l := range listeners {
			if l.Kind != kind {
				continue
			}
			if err := open(l); err != nil {
				return bindError(l, err)
			}
		}
		return nil
	}
	dhcp := func(role dhcp4.Role, l config.Listener) error {
		addr, only := l.Address, netip.Addr{}
		if a := addr.Addr(); role == dhcp4.ProxyDHCP && !a.IsUnspecified() {
			// A socket that is bound to an address hears no broadcast.
			if !owned(interfaces, a) {
				return syscall.EADDRNOTAVAIL
			}
			addr, only = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()), a
		}
		listen := func() (netio.Conn, error) { return netio.ListenUDP(addr) }
		if l.Share {
			listen = func() (netio.Conn, error) { return netio.Snoop(addr.Port()) }
		}
		conn, err := listen()
		if err != nil {
			return err
		}
		d.close = append(d.close, conn.Close)
		d.services = append(d.services, &dhcp4.Server{
			Role: role, Conn: conn, Source: d.swap, Tokens: d.tokens, Interfaces: interfaces, Settings: func() dhcp4.Settings {
				return dhcp4.Settings{Only: l.Interfaces, Address: only, Advertise: l.Advertise, TFTP: tftpAddr, Web: web}
			}, Chains: chains, Events: d.events, Log: d.log.Named(role.String()),
		})
		return nil
	}
	return errors.Join(
		ofKind(config.HTTP, func(l config.Listener) error {
			sock, err := listenTCP(l.Address)
			if err != nil {
				return err
			}
			d.close = append(d.close, sock.Close)
			if web.Port == 0 { // machines are told of the first
				port := sock.Addr().(*net.TCPAddr).AddrPort().Port()
				web = bootfiles.Web{Addr: told(l), Port: port}
			}
			d.services = append(d.services, &httpboot.Server{Listener: httpboot.Listener(sock), Tree: tree, Events: d.events, Log: d.log.Named("http")})
			return nil
		}),
		ofKind(config.TFTP, func(l config.Listener) error {
			conn, err := netio.ListenUDP(l.Address)
			if err != nil {
				return err
			}
			d.close = append(d.close, conn.Close)
			if !tftpAddr.IsValid() {
				tftpAddr = told(l)
			}
			files := tftpFiles{tree: tree, web: web, only: l.Interfaces, interfaces: interfaces}
			d.services = append(d.services, &tftp.Server{Conn: conn, Files: files, Interfaces: interfaces, Done: d.transferred, Log: d.log.Named("tftp")})
			return nil
		}),
		ofKind(config.DHCP, func(l config.Listener) error { return dhcp(dhcp4.ProxyDHCP, l) }),
		ofKind(config.PXE, func(l config.Listener) error { return dhcp(dhcp4.BootServer, l) }),
		ofKind(config.Status, func(l config.Listener) error {
			sock, err := listenTCP(l.Address)
			if err != nil {
				return err
			}
			d.close = append(d.close, sock.Close)
			d.services = append(d.services, &status.Server{Listener: sock, Report: d.report, Log: d.log.Named("status")})
			return nil
		}),
	)
}

// owned reports whether an interface of this host has the address.
func owned(interfaces *netio.Interfaces, a netip.Addr) bool {
	return slices.ContainsFunc(interfaces.All(), func(i netio.Interface) bool { return i.Has(a) })
}

// told is the address that machines are told for l: the one that the operator
// advertises, or the only one that it listens on. The zero Addr: the address
// at which each machine reaches us.
func told(l config.Listener) netip.Addr {
	if l.Advertise.IsValid() {
		return l.Advertise
	}
	if a := l.Address.Addr(); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

func listenTCP(a netip.AddrPort) (net.Listener, error) {
	network := "tcp" // [::] takes both families
	if a.Addr().Is4() {
		network = "tcp4"
	}
	return net.Listen(network, a.String())
}

// bindError says which listener it was and the way out.
func bindError(l config.Listener, err error) error {
	way := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && l.Kind == config.DHCP:
		way = "; a DHCP server runs on this host: `share = true` in the listener listens beside it (and one listener with `interfaces` serves several networks)"
	case errors.Is(err, syscall.EADDRINUSE):
		way = "; another program has the port: `ss -lntup` names it"
	case errors.Is(err, os.ErrPermission):
		way = "; ports below 1024 need root or CAP_NET_BIND_SERVICE, and `share = true` needs CAP_NET_RAW"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		way = "; no interface of this host has that address"
	}
	at := ""
	if l.Pos != "" {
		at = l.Pos + ": "
	}
	return fmt.Errorf("%slistener %q %s: %w%s", at, l.Kind, l.Address, err, way)
}

// tftpFiles serves the virtual directory by TFTP.
type tftpFiles struct {
	tree       bootfiles.Tree
	web        bootfiles.Web
	only       []string
	interfaces *netio.Interfaces
}

// Open implements tftp.Files.
func (f tftpFiles) Open(ctx context.Context, r tftp.Request) (tftp.File, error) {
	if iface, ok := f.interfaces.ByIndex(r.Interface); len(f.only) > 0 && (!ok || !slices.Contains(f.only, iface.Name)) {
		return tftp.File{}, fmt.Errorf("%w: the configuration leaves this interface out", tftp.ErrDenied)
	}
	file, err := f.tree.Open(ctx, r.Path, f.web.Base(r.Local))
	if errors.Is(err, bootfiles.ErrRefused) {
		return tftp.File{}, fmt.Errorf("%w: %w", tftp.ErrDenied, err)
	}
	if err != nil {
		return tftp.File{}, err
	}
	return tftp.File{Name: file.Name, Size: int64(len(file.Data)), Content: bytes.NewReader(file.Data)}, nil
}

// transferred notes the end of a TFTP transfer under its machine.
func (d *Daemon) transferred(t tftp.Transfer) {
	dir, _, _ := strings.Cut(t.Path, "/")
	token, err := d.tokens.Open(dir)
	if err != nil || t.Probe {
		return
	}
	e := events.Event{Kind: events.Loader, Gen: d.swap.Current().Gen, Detail: "TFTP " + t.File}
	if t.Err != nil {
		e.Kind, e.Detail = events.Failed, "TFTP "+t.Path+": "+t.Err.Error()
	}
	d.events.Add(token.MAC, e)
}
