listener "http" {}
boot "a" {
  kernel  = "http://${next-server}/linux"
  cmdline = "mac=${net0/mac} uuid=$${uuid}"
  message = "${net0.mac}"
}
boot "b" {
  script = <<-EOT
    #!ipxe
    echo ${net0/mac:hexhyp} and ${uuid:uristring}
    echo ${smbios/1.4.0}
  EOT
}
boot "c" { kernel = "http://example.org/${15:string}" }
boot "d" { kernel = "${}" }
boot "e" { message = "still looked at" }
# want: 3:23 error: iPXE's ${…} needs a second $ | write $${next-server}
# want: 4:20 error: iPXE's ${…} needs a second $ | write $${net0/mac}
# want: 5:16 error: iPXE's ${…} needs a second $ | write $${net0.mac}
# want: 10:12 error: iPXE's ${…} needs a second $ | write $${net0/mac:hexhyp}
# want: 11:12 error: iPXE's ${…} needs a second $ | write $${smbios/1.4.0}
# want: 14:43 error: iPXE's ${…} needs a second $ | write $${15:string}
# want: 15:24 error: iPXE's ${…} needs a second $ | write $${}
# want: 16:1 error: boot without kernel or script | neither
