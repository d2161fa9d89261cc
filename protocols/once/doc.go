// Package once keeps what may happen to a machine one time only: whether it is armed
// for a boot that, as an installer does, must not run twice.
//
//	             arm                  script, GRUB configuration or EFI program:
//	┌──────────┐ ───▶ ┌───────┐ Use   ┌────────────┐  phone_home(), /_/booting  ┌───────┐
//	│ disarmed │      │ armed │ ────▶ │ installing │ ─────────────────────────▶ │ spent │
//	└──────────┘ ◀─── └───────┘       └────────────┘                            └───────┘
//	            disarm    ▲                  │ another boot: Parked,                │
//	                      │                  │ or once more if attempts allow       │
//	                      └───────── arm ────┴──────────────────────────────────────┘
//
// Nexts are beside that, and another thing: what a machine boots one time in place of
// what its rule says, since an operator has chosen it.
//
// # Decisions
//
// What is not known is never a reason to install. A record that cannot be read counts
// as spent, a store that cannot be written means that nothing begins, and where
// everything is gone, a machine is disarmed. That a machine can be armed before
// anybody has armed it (boot.Once.Armed) is the one case in which having no record
// means something, so it holds only in a store of which somebody has said that it is
// new: see Begin. Who loses the store loses that mark with it.
//
// Use is durable before it returns, and is called when all that can fail of what the
// machine is given has been made. So whatever ends the process, and whenever, an arm
// has been used by no more boots than it is good for. The price is an arm that is used
// up by a machine which never got an answer: it waits, and says so.
//
// The arm belongs to a boot, which gets the same again as often as it asks. Within a
// process the boot is known (Boot.ID). After a restart it is known by the token of its
// addresses, which a server issues in each answer to DHCP: one that was made after the
// boot began and before the arm was used is of that boot. The next boot begins with a
// DHCP request, which is noted durably before it is answered, so that its tokens never
// pass for those of the one before, whatever the clock does. A machine that comes
// without a token, since another DHCP server sends it, is in another boot each time it
// asks.
//
// A machine has up to three keys: its name, its UUID, its MAC address. Use writes all
// that are known, and of what stands under several the least permissive counts. So a
// machine that changes its network card, is named, or comes without its UUID does not
// begin anew. To arm a machine that has a name takes what stands under its other keys
// away, for it can have several.
//
// The rule is no part of a key. Two rules with different installers share the arm of a
// machine, and a rule that is renamed changes nothing.
//
// A timeout is measured by the clock of the process that does not jump (time.Time's
// monotonic reading). A restart begins it anew: it is late then, and never early.
//
// A Next is used as an arm is: durably, by one boot, which is known in the same way. But
// it is no safeguard: what is lost, has expired or cannot be read is no Next, and the
// rule decides. So nothing that writes disks can be chosen (boot.Chooser), and neither
// knows of the other: States hold while a Next is booted.
//
// A Next is for boots that begin after it was chosen, since a machine that has heard
// from DHCP what it boots must not hear something else later. Its end is measured as a
// timeout is; after a restart, by the dates that were kept, and a clock that was set
// back makes it last no longer than it was meant to.
//
// Store is what is needed of one, so that an engine which several servers share can be
// another. Until there is one, each server keeps its own, and a machine that two of
// them serve could be given the installer by each: the configuration refuses that.
package once
