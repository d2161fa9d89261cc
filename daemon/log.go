package daemon

import (
	"os"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/pixiecore/pixiecore/config"
)

// newLogger writes to what out holds at the time.
func newLogger(out *atomic.Pointer[zapcore.Core], level zap.AtomicLevel) *zap.Logger {
	return zap.New(&logCore{LevelEnabler: level, out: out})
}

// A logCore is another core, which a reload can change.
type logCore struct {
	zapcore.LevelEnabler
	out    *atomic.Pointer[zapcore.Core]
	fields []zapcore.Field
}

// With implements zapcore.Core. The fields are kept as they are, since nobody
// knows yet how they will be written.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	more := *c
	more.fields = slices.Concat(c.fields, fields)
	return &more
}

// Check implements zapcore.Core.
func (c *logCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write implements zapcore.Core.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return (*c.out.Load()).Write(e, slices.Concat(c.fields, fields))
}

// Sync implements zapcore.Core.
func (c *logCore) Sync() error { return (*c.out.Load()).Sync() }

// setFormat makes a log of the daemon's own look as the configuration says.
func (d *Daemon) setFormat(c config.Log) {
	out := d.journal
	if out == nil || c.Format != config.LogAuto {
		out = zapcore.NewCore(encoder(c, term.IsTerminal(int(os.Stderr.Fd()))), d.stderr, zap.DebugLevel)
	}
	d.output.Store(&out)
}

// encoder writes for people on a terminal and JSON elsewhere, unless the
// configuration says otherwise.
func encoder(c config.Log, terminal bool) zapcore.Encoder {
	if c.Format == config.LogConsole || c.Format != config.LogJSON && terminal {
		cfg := zap.NewDevelopmentEncoderConfig()
		cfg.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		cfg.CallerKey = zapcore.OmitKey
		return zapcore.NewConsoleEncoder(cfg)
	}
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	return zapcore.NewJSONEncoder(cfg)
}

// zapLevel is the configuration's word for a level.
func zapLevel(l config.LogLevel) zapcore.Level {
	switch l {
	case config.LogDebug:
		return zap.DebugLevel
	case config.LogWarn:
		return zap.WarnLevel
	case config.LogError:
		return zap.ErrorLevel
	}
	return zap.InfoLevel
}
