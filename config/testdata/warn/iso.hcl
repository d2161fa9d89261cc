# What a local image does not have.
listener "http" {}
assets "small" { iso = "../srv/small.iso" }
assets "nothing" { iso = "../srv/nothing.iso" }
boot "x" {
  kernel  = iso("../srv/small.iso", "/vmlinux")
  initrd  = [iso("../srv/vmlinuz", "x"), iso("../srv/nothing.iso", "x"), { url = iso("../srv/small.iso", "vmlinuz"), sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }]
  cmdline = "${url(assets.small, "pool/packge")} ${url(iso("../srv/small.iso", "/pol/x"))} ${url(assets.nothing)}"
}
rule "all" { boot = boot.x }
# want: 4:26 warning: no such file | nothing.iso". Machines that need it will not boot until it is there.
# want: 6:13 warning: no such file | srv/small.iso". Did you mean "vmlinuz"?
# want: 7:14 warning: no such file | srv/vmlinuz": it is no image of a CD or DVD (ISO 9660).
# want: 7:42 warning: no such file | srv/nothing.iso".
# want: 7:74 warning: file has another digest | srv/small.iso!/vmlinuz" has the SHA-256 ca72d5476200a26c0abfcb29d244e40a6c8e861ef12a5c65268b792c144a357f.
# want: 8:34 warning: no such file | srv/small.iso". Did you mean "package"?
# want: 8:56 warning: no such file | There is no "pol" in "/" of the image
