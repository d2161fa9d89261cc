# What cannot happen once.
listener "http" {}
boot "debian" {
  installs = true
  kernel   = "https://example.org/linux"
}
boot "live" {
  kernel  = "https://example.org/linux"
  cmdline = "done=${phone_home("x")}"
}
boot "api" {
  api      = "http://inventory.lan/netboot"
  installs = true
  stale    = "1h"
}
boot "kernel" { kernel = "https://example.org/${phone_home()}" }
rule "no once" { boot = boot.debian }
rule "disks" {
  local = true
  once {}
}
rule "no installer" {
  boot        = boot.live
  any_machine = true
}
rule "values" {
  boot = boot.live
  once "x" {
    attempts   = 0
    on_timeout = "wait"
    done_by    = "phone"
    spent      = "boot"
    start      = "spent"
  }
  once { timeout = "1s" }
}
rule "timeouts" {
  boot = boot.api
  once {
    timeout  = "1000h"
    attempts = "2"
    atempts  = 2
  }
}
test "strangers" {
  machine = { mac = "52:54:00:aa:00:01", armed = true }
  expect  = { boot = "debian" }
}
# want: 9:33 error: too many function arguments | Function "phone_home" expects only 0 argument(s).
# want: 14:3 error: setting has no effect here | An answer of the API that is remembered must not write disks (installs = true): the inventory may have another by now. Leave one of the two out.
# want: 16:49 error: unknown function | phone_home() makes an address for the machine that boots. It can stand in cmdline, message and script of a boot, and in content and tree of its files; a kernel, an initrd or a source is a path or URL itself.
# want: 17:25 error: would install at every boot | boot.debian writes disks (installs = true), and would do so each time that a machine boots. Write once {} into the rule, by which a machine must be armed for it.
# want: 20:3 error: setting has no effect here | A rule with local boots nothing, and so nothing once. Leave one of the two out.
# want: 24:3 error: setting has no effect here | any_machine is for a boot that installs, and boot.live does not. Leave the line out.
# want: 28:8 error: wrong number of labels | A once block has no label: write once { … }.
# want: 29:18 error: unusable number | One arm is good for 1 to 100 boots, not 0. Write attempts = 1, or leave the line out for that.
# want: 30:5 error: setting has no effect here | There is no timeout, so on_timeout has no effect. Write timeout = "2h" beside it, or leave the line out.
# want: 30:18 error: unknown word | on_timeout cannot be "wait". There is "park", "local", "rearm".
# want: 31:18 error: unknown word | done_by cannot be "phone". There is "phone-home", "booting".
# want: 32:18 error: unknown word | spent cannot be "boot". There is "local", "ignore".
# want: 33:18 error: unknown word | start cannot be "spent". There is "disarmed", "armed".
# want: 35:3 error: block written twice | A rule has one once block. Put the settings of both into one.
# want: 40:16 error: unusable duration | timeout is from 1m to 720h: the time that a machine has to say that it is done. Write one like "2h", or leave the line out for none.
# want: 41:16 error: wrong kind of value | attempts is a text. Write a number of boots, without quotes.
# want: 42:5 error: unknown setting | There is no setting "atempts" in a once block. Did you mean "attempts"?
