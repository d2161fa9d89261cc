package daemon

import (
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
)

// bindControl opens the control socket, if there is to be one.
func (d *Daemon) bindControl() error {
	if d.opts.Control == "" {
		return nil
	}
	l, err := control.Listen(d.opts.Control)
	if err != nil {
		return err
	}
	d.close = append(d.close, l.Close)
	d.services = append(d.services, &control.Server{Listener: l, Daemon: operator{d}, Log: d.log.Named("control")})
	return nil
}

// An operator is what the control socket can ask of a Daemon.
type operator struct{ d *Daemon }

// Status implements control.Daemon.
func (o operator) Status() status.Report { return o.d.report() }

// Reload implements control.Daemon.
func (o operator) Reload() (*config.Report, error) { return o.d.reload() }
