listener "http" {}
boot "a" {
  script = <<-EOT
    #!ipxe
    shell
  EOTT
}
# want: 9:1 error: unterminated template string | The text that begins in line 3 has no end: EOT must stand alone on a line.
