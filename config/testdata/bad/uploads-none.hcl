# Nothing is kept unless the file says so.
listener "http" {}
boot "x" {
  kernel  = "/srv/linux"
  cmdline = "a=${upload("x")}"
}
rule "all" { boot = boot.x }
# want: 5:18 error: nothing keeps what machines send | Nothing that machines send is kept, unless the file says so. Write uploads {} at the top of the file.
