package tftp

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNegotiate(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name    string
		options []Option
		block   int
		want    terms
	}{
		{"nothing asked", nil, 1468, terms{blockSize: 512, windowSize: 1}},
		{"only unknown options", []Option{{"multicast", ""}, {"", ""}}, 1468, terms{blockSize: 512, windowSize: 1}},
		{"EDK2's read", []Option{{"blksize", "1468"}, {"windowsize", "4"}}, 1468,
			terms{blockSize: 1468, windowSize: 4, oack: request(opOACK, "blksize", "1468", "windowsize", "4")}},
		{"the size", []Option{{"tsize", "0"}}, 1468,
			terms{blockSize: 512, windowSize: 1, sizeAsked: true, sizeOnly: true, oack: request(opOACK, "tsize", "1048576")}},
		{"the size, asked oddly", []Option{{"tsize", ""}}, 1468,
			terms{blockSize: 512, windowSize: 1, sizeAsked: true, sizeOnly: true, oack: request(opOACK, "tsize", "1048576")}},
		{"the size among others", []Option{{"tsize", "0"}, {"blksize", "1432"}}, 1468,
			terms{blockSize: 1432, windowSize: 1, sizeAsked: true, oack: request(opOACK, "tsize", "1048576", "blksize", "1432")}},
		{"names as the client spells them", []Option{{"BlkSize", "1024"}}, 1468,
			terms{blockSize: 1024, windowSize: 1, oack: request(opOACK, "BlkSize", "1024")}},
		{"blocks cut to the interface", []Option{{"blksize", "65464"}}, 1468,
			terms{blockSize: 1468, windowSize: 1, oack: request(opOACK, "blksize", "1468")}},
		{"the smallest block", []Option{{"blksize", "8"}}, 1468,
			terms{blockSize: 8, windowSize: 1, oack: request(opOACK, "blksize", "8")}},
		{"blocks outside the range", []Option{{"blksize", "7"}, {"blksize", "65465"}, {"blksize", "0"}, {"blksize", "-8"}, {"blksize", "+8"}, {"blksize", ""}}, 1468,
			terms{blockSize: 512, windowSize: 1}},
		{"an option twice", []Option{{"blksize", "1024"}, {"BLKSIZE", "8"}}, 1468,
			terms{blockSize: 1024, windowSize: 1, oack: request(opOACK, "blksize", "1024")}},
		{"a window cut to our bound", []Option{{"windowsize", "65535"}}, 1468,
			terms{blockSize: 512, windowSize: 64, oack: request(opOACK, "windowsize", "64")}},
		{"the largest window of Ethernet", []Option{{"windowsize", "64"}, {"blksize", "1468"}}, 1468,
			terms{blockSize: 1468, windowSize: 64, oack: request(opOACK, "windowsize", "64", "blksize", "1468")}},
		{"a window cut to our memory", []Option{{"windowsize", "64"}, {"blksize", "8192"}}, maxBlock,
			terms{blockSize: 8192, windowSize: 12, oack: request(opOACK, "windowsize", "12", "blksize", "8192")}},
		{"one block beyond our memory", []Option{{"blksize", "65464"}, {"windowsize", "64"}}, maxBlock,
			terms{blockSize: 65464, windowSize: 1, oack: request(opOACK, "blksize", "65464", "windowsize", "1")}},
		{"windows outside the range", []Option{{"windowsize", "0"}, {"windowsize", "65536"}, {"windowsize", "4x"}}, 1468,
			terms{blockSize: 512, windowSize: 1}},
		{"a timeout, as asked", []Option{{"timeout", "255"}}, 1468,
			terms{blockSize: 512, windowSize: 1, timeout: 255 * time.Second, oack: request(opOACK, "timeout", "255")}},
		{"timeouts outside the range", []Option{{"timeout", "0"}, {"timeout", "256"}}, 1468,
			terms{blockSize: 512, windowSize: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := negotiate(tt.options, mib, tt.block)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(terms{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLargestBlock(t *testing.T) {
	for _, tt := range []struct {
		mtu  int
		v6   bool
		want int
	}{
		{1500, false, 1468},
		{1500, true, 1448},
		{1280, true, 1228}, // what EDK2 asks for
		{9000, false, 8968},
		{65536, false, maxBlock}, // loopback
		{0, false, minBlock},
	} {
		if got := largestBlock(tt.mtu, tt.v6); got != tt.want {
			t.Errorf("MTU %d, IPv6 %t: got %d, want %d", tt.mtu, tt.v6, got, tt.want)
		}
	}
}
