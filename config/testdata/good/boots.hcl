listener "http" {}

rule "before its boot" {
  match { mac = "52-54-00-aa-00-01" }
  boot = boot.local-files
}
rule "by index" {
  match { mac = ["5254.00aa.0002", "525400aa0003"] }
  boot = boot["remote"]
}
rule "by an index that is a template" {
  match { mac = ["b8:27:eb:*"] }
  boot = (boot["${"remote"}"])
}
rule "script" {
  match { mac = ["aa:*"] }
  boot = boot.script
}
rule "the shortest" { boot = boot.short }

boot "local-files" {
  kernel  = "../srv/vmlinuz"
  initrd  = ["../srv/initrd", "https://example.org/initrd.gz"]
  cmdline = "root=live:{{ ID \"../srv/initrd\" }} other={{URL `https://example.org/x?a=1`}} ip=dhcp a;b c||d e || f ; #g mac=$${net0/mac}"
  message = <<-EOT
    Hello,
    # world && ; more
  EOT
}
boot "remote" {
  kernel  = "http://example.org/linux"
  initrd  = "http://[2001:db8::1]:8080/initrd"
  cmdline = ""
}
boot "script" {
  script = <<-EOT
    #!ipxe
    echo $${uuid} || shell
  EOT
}
boot "short" { kernel = "../srv/vmlinuz" }
