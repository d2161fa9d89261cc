# How long addresses of files are good.
listener "http" {}
boot "a" {
  kernel  = "/srv/linux"
  cmdline = "${url(file.short)} ${url(file.long)} ${url(file.word)}"
  file "short" {
    content = "x"
    expires = "1s"
  }
  file "long" {
    content = "x"
    expires = "9000h"
  }
  file "word" {
    content = "x"
    expires = "soon"
  }
}
rule "r" { boot = boot.a }
# want: 8:15 error: unusable duration | expires is from 1m to 8760h: how long an address of the file is good. Write one like "24h".
# want: 12:15 error: unusable duration | expires is from 1m to 8760h: how long an address of the file is good. Write one like "24h".
# want: 16:15 error: unusable duration | "soon" is no duration. Write a number with a unit (ms, s, m, h), like "24h".
