# Which machines boot is decided by what they are: their place, their model, and
# what iPXE finds out about them.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

boot "base" {
  kernel  = "http://192.0.2.10/live/vmlinuz"
  initrd  = "http://192.0.2.10/live/initrd"
  cmdline = "root=live:http://192.0.2.10/live/root.squashfs ip=dhcp"
}

boot "serial_console" {
  extends        = boot.base
  cmdline_append = "console=ttyS1,115200n8"
}

# Phones and printers ask for a network boot as well.
rule "not ours" {
  match { vendor_class = ["*Phone*", "*Printer*"] }
  ignore = true
}

# Servers of one subnet, which load iPXE to say what model they are.
rule "servers" {
  match {
    subnet       = "192.0.2.0/24"
    manufacturer = "Dell*"
    not { serial = ["7XK2PL2", "7XK2PM2"] } # on loan
  }
  boot = boot.serial_console
}

rule "virtual machines" {
  match {
    any {
      mac  = "52:54:00:*"
      when = machine.ipxe && machine.firmware == "bios"
    }
  }
  boot = boot.base
}

rule "everything else" { local = true }

# What must be so after every change of this file.
test "a server has a serial console" {
  machine = { mac = "00:14:22:00:00:01", subnet = "192.0.2.0/24", manufacturer = "Dell Inc.", serial = "7XK2PK2" }
  expect  = { boot = "serial_console", cmdline_contains = ["console=ttyS1"] }
}

test "a server on loan is left alone" {
  machine = { mac = "00:14:22:00:00:02", subnet = "192.0.2.0/24", manufacturer = "Dell Inc.", serial = "7XK2PL2" }
  expect  = { action = "local" }
}
