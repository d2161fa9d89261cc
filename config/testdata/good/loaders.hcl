listener "http" {}
secure_boot {
  shim = "../srv/shim-${machine.arch}.efi"
  grub = { url = "../srv/snponly.efi", sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }
}
boot "by-default" {
  kernel = "../srv/vmlinuz"
}
boot "its-own" {
  kernel = "../srv/vmlinuz"
  secure_boot {
    shim = "../srv/snponly.efi"
    grub = "https://example.org/${machine.arch}/grub.efi"
  }
}
boot "another" {
  extends = boot.its-own
  secure_boot { grub = "../srv/snponly.efi" }
}
boot "alone" {
  kernel = "../srv/vmlinuz"
  loader = "grub"
}
boot "chosen" {
  kernel = "../srv/vmlinuz"
  loader = "snponly"
}
boot "uki" { efi = "../srv/snponly.efi" }
boot "disk" { efi = "https://example.org/${machine.arch}/live.ISO?signed=1" }
boot "chained" {
  efi     = "../srv/snponly.efi"
  loader  = "ipxe"
  cmdline = "quiet"
}
boot "script" {
  script = "#!ipxe\nshell\n"
  loader = "ipxe"
}
rule "disk image" {
  match {
    mac       = "52:54:00:00:01:01"
    transport = "http"
  }
  boot = boot.disk
}
rule "1" {
  match { mac = "52:54:00:00:00:01" }
  boot = boot.by-default
}
rule "2" {
  match { mac = "52:54:00:00:00:02" }
  boot = boot.its-own
}
rule "3" {
  match { mac = "52:54:00:00:00:03" }
  boot = boot.another
}
rule "4" {
  match { mac = "52:54:00:00:00:04" }
  boot = boot.alone
}
rule "5" {
  match { mac = "52:54:00:00:00:05" }
  boot = boot.chosen
}
rule "6" {
  match { mac = "52:54:00:00:00:06" }
  boot = boot.uki
}
rule "7" {
  match { mac = "52:54:00:00:00:07" }
  boot = boot.chained
}
rule "8" {
  match { mac = "52:54:00:00:00:08" }
  boot = boot.script
}
rule "disk" { local = true }
