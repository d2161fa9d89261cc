//go:build !linux

package netio

// growReceiveBuffer asks for receiveBuffer, best effort: a socket with the usual
// buffer works, and loses datagrams earlier in a storm. Where that is more than the
// system allows (kern.ipc.maxsockbuf), it is refused and not cut down.
func growReceiveBuffer(c interface{ SetReadBuffer(bytes int) error }) {
	const usual = 64 << 10
	for n := receiveBuffer; n > usual && c.SetReadBuffer(n) != nil; n /= 2 {
	}
}
