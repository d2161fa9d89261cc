# Windows PE, and Windows' setup in it, by wimboot.
#
# On a web server, here http://192.0.2.10/windows/, or in a directory of this host:
#   wimboot     from https://github.com/ipxe/wimboot/releases, for BIOS and UEFI
#   bcd         from the Windows installation medium: boot/bcd
#   boot.sdi    from there: boot/boot.sdi
#   boot.wim    from there: sources/boot.wim; or one of your own, which the
#               Windows ADK makes (copype amd64 C:\winpe)
#
# setup.exe wants the rest of the medium from a share. Files that are loaded beside
# boot.wim are found in X:\Windows\System32: here two that are made for each machine,
# of which winpeshl.ini says what Windows PE starts. Secure Boot refuses an iPXE that is
# not signed: switch it off for the installation.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

locals {
  windows = "http://192.0.2.10/windows"
  share   = "\\\\192.0.2.10\\windows" # the medium: \\192.0.2.10\windows
}

# wimboot knows its files by their names, so this is a script, which gives them
# names. What fails is shown, and the machine goes on to its own disk.
boot "winpe" {
  script = <<-EOT
    #!ipxe
    echo Windows PE for ${machine.name}
    kernel ${url("${local.windows}/wimboot")} || goto failed
    initrd --name bcd ${url("${local.windows}/bcd")} || goto failed
    initrd --name boot.sdi ${url("${local.windows}/boot.sdi")} || goto failed
    initrd --name winpeshl.ini ${url(file.winpeshl)} || goto failed
    initrd --name install.bat ${url(file.install)} || goto failed
    initrd --name boot.wim ${url("${local.windows}/boot.wim")} || goto failed
    boot || goto failed

    :failed
    prompt --timeout 30000 Windows PE did not start. The local disk boots after a key, or 30 seconds. ||
    iseq $${platform} pcbios && sanboot --no-describe --drive 0x80 ||
    exit 1
  EOT

  file "winpeshl" {
    content = <<-EOT
      [LaunchApps]
      "install.bat"
    EOT
  }
  file "install" {
    content = <<-EOT
      wpeinit
      echo ${machine.name}
      net use z: ${local.share}
      z:\setup.exe
    EOT
  }
}

# Those that are to be installed, and no others: with an answer file, setup asks
# nobody. Take a machine out of the list when it is done.
rule "to be installed" {
  match {
    mac  = ["52:54:00:aa:00:21", "52:54:00:aa:00:22"]
    arch = "x64" # this wimboot, and Windows since version 11, have no other
  }
  boot = boot.winpe
}

rule "installed" { local = true }

test "a machine of the list gets Windows PE" {
  machine = { mac = "52:54:00:aa:00:22", firmware = "bios" }
  expect  = { boot = "winpe", files = { install = "net use z: \\\\192.0.2.10\\windows" } }
}

test "all others keep what they have" {
  machine = { mac = "52:54:00:aa:00:23" }
  expect  = { action = "local" }
}
