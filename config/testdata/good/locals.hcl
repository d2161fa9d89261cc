# Values are computed when the file is loaded.
listener "http" { address = local.address }
locals {
  address = "${cidrhost(local.net, 1)}:80"
  net     = cidrsubnet("192.0.2.0/24", 2, 1)
  mirror  = "https://deb.debian.org/debian/dists/%s/main/installer-%s"
  port    = { x64 = "amd64", arm64 = "arm64" }
  hosts   = { for m in csvdecode(file("data/hosts.csv")) : m.name => m }
}
boot "debian" {
  kernel  = "${format(local.mirror, "trixie", local.port["x64"])}/linux"
  initrd  = [for n in range(2) : "http://192.0.2.1/initrd-${n}"]
  cmdline = join(" ", concat(["quiet"], [for k in sort(keys(local.hosts)) : "host=${k}"]))
  message = templatefile("data/motd.tmpl", { who = upper("lab"), hosts = local.hosts })
}
boot "rescue" {
  script = <<-EOT
    #!ipxe
    echo ${try(env("PIXIECORE_TEST_NOT_SET"), "rescue")} of ${sha256("x") == sha256("y") ? "one" : "two"} on $${net0/mac}
    echo ${yamldecode("a: [1, 2]").a[1]} ${jsonencode({ a = [1] })} ${base64encode("x")} ${length("xyz")} ${fileexists("data/none")} ${fileexists("data/hosts.csv")}
  EOT
}
rule "hosts" {
  match { mac = [for m in values(local.hosts) : m.mac] }
  boot = length(local.hosts) > 1 ? boot.debian : boot.rescue
}
rule "others" { boot = boot[lower("RESCUE")] }
