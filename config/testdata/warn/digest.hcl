listener "http" {}
boot "a" {
  kernel = { url = "../srv/vmlinuz", sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }
  initrd = [{ url = "../srv/none", sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }]
}
rule "all" { boot = boot.a }
# want: 3:12 warning: file has another digest | It is not served until it is another one, or its digest stands here
# want: 4:13 warning: no such file | There is no file
