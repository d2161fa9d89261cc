# AlmaLinux from the image of its DVD, as it was downloaded to this host: kernel,
# installer and packages come out of the image, which nobody mounts or unpacks, and the
# machines reach no other server. Rocky Linux, CentOS Stream, RHEL and Fedora Server have
# the same files in theirs. On db1 and db2, when they are armed, and once.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

locals {
  dvd = "/srv/iso/AlmaLinux-9.6-x86_64-dvd.iso" # the DVD: the boot image has no packages
}

# The tree of the image, in which the installer finds .treeinfo, BaseOS/ and AppStream/.
assets "dvd" { iso = local.dvd }

machine "db1" {
  mac    = "52:54:00:aa:00:11"
  labels = { role = "db", disk = "nvme0n1" }
}
machine "db2" {
  mac    = "52:54:00:aa:00:12"
  labels = { role = "db", disk = "sda" }
}

boot "almalinux" {
  installs = true
  kernel   = iso(local.dvd, "/images/pxeboot/vmlinuz")
  initrd   = iso(local.dvd, "/images/pxeboot/initrd.img")
  cmdline  = "ip=dhcp inst.repo=${url(assets.dvd)} inst.ks=${url(file.kickstart)}"
  message  = "Installing AlmaLinux on ${machine.name}"

  # %post is the last thing that the installer does: the machine is spent from then on.
  file "kickstart" {
    secret  = true
    content = <<-EOT
      text
      reboot
      lang en_US.UTF-8
      keyboard us
      timezone Etc/UTC --utc
      network --bootproto=dhcp --hostname=${machine.name}
      rootpw --lock
      sshkey --username=root "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q you@example.org"
      ignoredisk --only-use=${machine.labels.disk}
      zerombr
      clearpart --all --initlabel
      autopart

      %packages
      @^minimal-environment
      %end

      %post --erroronfail
      curl -fsS --retry 5 -X POST ${phone_home()}
      %end
    EOT
  }
}

rule "databases" {
  match { labels = { role = "db" } }
  boot = boot.almalinux
  once {}
}

rule "everybody else" { local = true }

test "db1 is installed from the image when it is armed" {
  machine = { mac = "52:54:00:aa:00:11", arch = "x64", armed = true }
  expect = {
    boot             = "almalinux"
    kernel           = "iso:/srv/iso/AlmaLinux-9.6-x86_64-dvd.iso!/images/pxeboot/vmlinuz"
    cmdline_contains = ["inst.repo=http://SERVER/", "inst.ks=http://SERVER/file.kickstart"]
    files            = { kickstart = ["--hostname=db1", "--only-use=nvme0n1", "phone-home"] }
  }
}
test "and boots its disk when it is not" {
  machine = { mac = "52:54:00:aa:00:11" }
  expect  = { rule = "databases", action = "local" }
}
