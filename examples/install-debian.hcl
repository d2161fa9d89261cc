# Debian's installer, by preseed: on the machines that are named here, when somebody has
# armed them (`pixiecore arm db1`), and once. At any other time they boot their disks.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

machine "db1" {
  mac    = "52:54:00:aa:00:11"
  labels = { role = "db", disk = "/dev/nvme0n1", bmc = "192.0.2.111" }
}
machine "db2" {
  mac    = "52:54:00:aa:00:12"
  labels = { role = "db", disk = "/dev/sda", bmc = "192.0.2.112" }
}

locals {
  debian = "http://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64"
}

boot "debian" {
  installs = true
  kernel   = "${local.debian}/linux"
  initrd   = "${local.debian}/initrd.gz"
  cmdline  = "auto=true priority=critical hostname=${machine.name} domain=lan url=${url(file.preseed)}"
  message  = "Installing Debian on ${machine.name}"

  # The last command says that all is done; until then another boot of the machine waits.
  file "preseed" {
    secret  = true
    content = <<-EOT
      d-i debian-installer/locale string en_US.UTF-8
      d-i keyboard-configuration/xkb-keymap select us
      d-i mirror/country string manual
      d-i mirror/http/hostname string deb.debian.org
      d-i mirror/http/directory string /debian
      d-i mirror/http/proxy string
      d-i passwd/root-login boolean false
      d-i passwd/user-fullname string Administrator
      d-i passwd/username string admin
      d-i passwd/user-password-crypted password !
      d-i clock-setup/utc boolean true
      d-i time/zone string UTC
      d-i partman-auto/disk string ${machine.labels.disk}
      d-i partman-auto/method string regular
      d-i partman-auto/choose_recipe select atomic
      d-i partman-partitioning/confirm_write_new_label boolean true
      d-i partman/choose_partition select finish
      d-i partman/confirm boolean true
      d-i partman/confirm_nooverwrite boolean true
      tasksel tasksel/first multiselect standard, ssh-server
      d-i grub-installer/bootdev string ${machine.labels.disk}
      d-i finish-install/reboot_in_progress note
      d-i preseed/late_command string wget -q -O /dev/null ${phone_home()}
    EOT
  }
}

rule "databases" {
  match { labels = { role = "db" } }
  boot = boot.debian
  once {}
}

rule "everybody else" { local = true }

test "db1 is installed when it is armed" {
  machine = { mac = "52:54:00:aa:00:11", armed = true }
  expect = {
    rule             = "databases"
    boot             = "debian"
    cmdline_contains = ["hostname=db1", "url=http://SERVER/file.preseed"]
    files            = { preseed = ["partman-auto/disk string /dev/nvme0n1", "phone-home"] }
  }
}
test "and boots its disk when it is not" {
  machine = { mac = "52:54:00:aa:00:11" }
  expect  = { rule = "databases", action = "local" }
}
test "nobody else is installed" {
  machine = { mac = "52:54:00:aa:00:99", armed = true }
  expect  = { action = "local" }
}
