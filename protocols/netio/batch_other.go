//go:build !linux

package netio

// growReceiveBuffer asks for receiveBuffer, best effort: a socket with the usual
// buffer works, and loses datagrams earlier in a storm.
func growReceiveBuffer(c interface{ SetReadBuffer(bytes int) error }) {
	_ = c.SetReadBuffer(receiveBuffer)
}
