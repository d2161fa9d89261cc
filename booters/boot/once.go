package boot

import "time"

// Once is set in the Verdict of a rule that boots a machine only when somebody has
// armed it, and then one time: what the Verdict boots is for an armed machine, and
// for all others there is Spent. Whoever gives a machine what it boots must note
// before the first byte goes out that the arm is used; see protocols/boots.
//
// It is a part of the rule, shared and never modified.
type Once struct {
	// Armed is whether a machine of which nothing is known counts as armed.
	Armed bool
	// Attempts is how many boots one arm is good for, at least 1.
	Attempts int
	// Timeout is how long after the arm was used last OnTimeout comes to pass; 0:
	// never.
	Timeout   time.Duration
	OnTimeout OnTimeout
	DoneBy    DoneBy
	Spent     Action // Local or Ignore

	// Installs is whether it writes disks, so that a machine which the inventory does
	// not know is given Spent unless AnyMachine is set.
	Installs   bool
	AnyMachine bool
}

// OnTimeout is what becomes of a machine whose arm was used, and which has not said
// that it is done.
type OnTimeout string

// The words of the configuration language.
const (
	TimeoutPark  OnTimeout = "park"  // it waits for the operator
	TimeoutLocal OnTimeout = "local" // it boots its own disk
	TimeoutRearm OnTimeout = "rearm" // it is armed again
)

// DoneBy is what shows that a boot has done what it was armed for.
type DoneBy string

// The words of the configuration language.
const (
	DoneByPhoneHome DoneBy = "phone-home" // the machine asks for the address that it was given for that
	DoneByBooting   DoneBy = "booting"    // iPXE has all it needs and starts the kernel
)
