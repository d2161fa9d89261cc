# What the goldens in this folder show.
listener "htpp" { address = "0.0.0.0:80" }

boot "debian" {
	kernel  = "/srv/linux"
	cmdline = "auto=true priority=critical console=ttyS0,115200n8 mac=${net0/mac} url=http://192.0.2.1/preseed.cfg hostname=é"
}
boot "debian" {
  script = <<-EOT
    #!/bin/sh
    echo hello
  EOT
}
rule "all" { boot = boot.debain }
