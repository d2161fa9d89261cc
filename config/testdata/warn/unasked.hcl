listener "http" {}
assets "unused" { dir = "../srv" }
assets "images" { dir = "nowhere" }
assets "file" { dir = "../srv/initrd" }
boot "base" {
  kernel = "../srv/vmlinuz"
  file "unused" { content = "x" }
  file "late" { content = "x" }
  file "source" { source = "nothing" }
}
boot "a" {
  for_each = toset(["x", "y"])
  extends  = boot.base
  cmdline  = "${url(file.late)} ${url(assets.images, "x/y")} ${url(assets.file)} ${url("nothing/at-all")} ${url(file.source)}"
}
rule "a" { boot = boot.a["x"] }
# want: 2:1 warning: no machine asks for it | No url(assets.unused) leads a machine to it, so nothing of the directory is served. Write one into a boot, or leave the block out.
# want: 3:25 warning: no such file | /nowhere". Machines that need it will not boot until it is there.
# want: 4:23 warning: no such file | /srv/initrd" is no directory. Machines that need it will not boot until it is there.
# want: 7:3 warning: no machine asks for it | No url(file.unused) leads a machine to it. Write one into the command line, the script or another file of the boot, or leave the block out.
# want: 9:28 warning: no such file | /nothing". Machines that need it will not boot until it is there.
# want: 14:54 warning: no such file | /nowhere/x/y". Machines that need it will not boot until it is there.
# want: 14:88 warning: no such file | /nothing/at-all". Machines that need it will not boot until it is there.
