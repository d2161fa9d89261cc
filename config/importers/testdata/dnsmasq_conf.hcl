# Made of dnsmasq_conf.in (dnsmasq). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   line 13: enable-tftp: listener tftp serves iPXE and nothing else; take it out of dnsmasq, which holds its port.
#   line 14: tftp-root: listener tftp serves iPXE and nothing else; take it out of dnsmasq, which holds its port.
#   line 23: pxe-service: a menu of the ROM. A script can have a menu of iPXE.
#   1 settings that have nothing to do with booting.
#   line 22: dhcp-boot "pxelinux.0": a boot has a kernel, or a script of iPXE, and no loader that is another's.
#   line 21: dhcp-boot http://192.0.2.1/odd.ipxe: what sets the tag "odd" (line 12) is not understood. Its machines are left to the rules.
#   line 16: dhcp-boot ipxe.efi: every machine is given iPXE by itself.
#   line 15: dhcp-boot undionly.kpxe: every machine is given iPXE by itself.

listener "dhcp" {
  interfaces = ["eth0"]
}
listener "pxe" {
  interfaces = ["eth0"]
}
listener "tftp" {}
listener "http" {}
listener "status" {} # this host only

machine "db1" {
  mac    = ["52:54:00:00:00:01"]
  labels = { "db" = "set" }
}

machine "db2" {
  mac    = ["52:54:00:00:00:02"]
  labels = { "db" = "set" }
}

boot "script" {
  script = "#!ipxe\nchain http://192.0.2.1/lab.ipxe\n"
}

boot "script-2" {
  script = "#!ipxe\nchain http://192.0.2.1/efi.ipxe\n"
}

boot "script-3" {
  script = "#!ipxe\nchain http://192.0.2.1/db.ipxe\n"
}

boot "script-4" {
  script = "#!ipxe\nchain http://192.0.2.1/default.ipxe\n"
}

rule "ignore 52:54:00:00:00:09" {
  match {
    mac = "52:54:00:00:00:09"
  }
  ignore = true
}

rule "ipxe, lab, !efi64" {
  match {
    any {
      mac = "b8:27:eb:*"
    }
    not {
      firmware = "efi64"
    }
    not {
      firmware = "efibc"
    }
  }
  boot = boot.script
}

rule "ipxe, efi64" {
  match {
    any {
      any {
        firmware = "efi64"
      }
      any {
        firmware = "efibc"
      }
    }
  }
  boot = boot.script-2
}

rule "ipxe, db" {
  match {
    any {
      labels = { "db" = "set" }
    }
  }
  boot = boot.script-3
}

rule "ipxe" {
  boot = boot.script-4
}
