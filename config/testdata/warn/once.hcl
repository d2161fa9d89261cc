listener "http" {}
machine "db1" { mac = "52:54:00:aa:00:01" }
boot "debian" {
  installs = true
  kernel   = "https://example.org/linux"
}
boot "ubuntu" {
  kernel         = "https://example.org/linux"
  cmdline        = "quiet"
  cmdline_append = "autoinstall ds=nocloud"
}
rule "strangers too" {
  match { mac = ["52:54:00:aa:00:01", "52:54:00:aa:00:02"] }
  boot = boot.debian
  once { done_by = "booting" }
}
rule "one of two" {
  match {
    any {
      mac     = "b8:27:eb:*"
      machine = "db1"
    }
    any { machine = "db1" }
  }
  boot = boot.debian
  once { timeout = "1h" }
}
rule "or another" {
  match {
    any {
      mac     = "b8:27:eb:*"
      machine = "db1"
    }
  }
  boot = boot.debian
  once { timeout = "1h" }
}
rule "every one" {
  boot = boot.debian
  once { timeout = "1h" }
}
rule "never done" {
  match { machine = "db1" }
  boot = boot.debian
  once {}
}
rule "ubuntu" { boot = boot.ubuntu }
# want: 10:20 warning: an installer without installs | autoinstall on a command line starts an installer, which a rule without once starts at each boot. Write installs = true into the boot and once {} into its rule; or installs = false, if it writes no disk.
# want: 12:1 warning: strangers are not installed | Rule "strangers too" also matches machines that no machine block names. They are not installed, and are given what spent says. Match by machine or labels; or write any_machine = true to install them too, when they are armed.
# want: 28:1 warning: strangers are not installed | Rule "or another" also matches machines that no machine block names. They are not installed, and are given what spent says. Match by machine or labels; or write any_machine = true to install them too, when they are armed.
# want: 38:1 warning: strangers are not installed | Rule "every one" also matches machines that no machine block names. They are not installed, and are given what spent says. Match by machine or labels; or write any_machine = true to install them too, when they are armed.
# want: 42:1 warning: nobody says that it is done | A machine that rule "never done" boots is done when it asks for the address of phone_home(), and nothing in boot.debian gives it that: its next boot would wait for the operator. Write phone_home() into a file or the command line; or done_by = "booting", or a timeout, into the once block.
# want: 42:1 warning: rule is never reached | Every machine that rule "never done" is for already matches rule "every one" at once.hcl:38, and the first rule that matches decides. Move "never done" before it, or leave it out.
# want: 47:1 warning: rule is never reached | Every machine that rule "ubuntu" is for already matches rule "every one" at once.hcl:38, and the first rule that matches decides. Move "ubuntu" before it, or leave it out.
