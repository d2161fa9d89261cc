//go:build unix

// Profiled is the daemon for `make profile`: the same but for a CPU profile of
// its life, in the file $PIXIECORE_PROFILE.cpu, and the heap at its end, in
// $PIXIECORE_PROFILE.heap.
//
//	SIGUSR1   the profile begins anew: what came before was the start
//	SIGUSR2   write both files, and exit
//
// The daemon that is shipped has no such thing, nor a port that tells a profile.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"

	"github.com/pixiecore/pixiecore/daemon/cli"
)

func main() {
	go func() {
		err := profile(os.Getenv("PIXIECORE_PROFILE"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}()
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// profile returns when it has written both files.
func profile(path string) error {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1, syscall.SIGUSR2)
	for again := true; again; {
		cpu, err := os.Create(path + ".cpu")
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return err
		}
		again = <-told == syscall.SIGUSR1
		pprof.StopCPUProfile()
		if err := cpu.Close(); err != nil {
			return err
		}
	}
	heap, err := os.Create(path + ".heap")
	if err != nil {
		return err
	}
	defer heap.Close()
	runtime.GC() // else the profile is that of the collection before
	return pprof.WriteHeapProfile(heap)
}
