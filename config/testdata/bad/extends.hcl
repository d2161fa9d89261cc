listener "http" {}
boot "a" { extends = boot.b }
boot "b" { extends = boot.c }
boot "c" { extends = boot.a }
boot "self" { extends = boot.self }
boot "text" { extends = "base" }
boot "none" { extends = boot.bse }
boot "base" { cmdline = "quiet" }
boot "leaf" { extends = boot.base }
boot "script" {
  extends = boot.base
  script  = "#!ipxe\nshell"
}
boot "lines" {
  extends        = boot.base
  kernel         = "/srv/linux"
  cmdline_append = "a\nb"
}
rule "r" { boot = boot.base }
# want: 4:22 error: reference to itself | boot.a extends itself: a → b → c → a. Take one of the extends out.
# want: 5:25 error: reference to itself | boot.self extends itself: self → self. Take one of the extends out.
# want: 6:25 error: not a reference to a boot | A rule boots one of the boot blocks. Write boot = boot.base, without quotes.
# want: 7:30 error: no such boot | There is no boot "bse". Did you mean "base"?
# want: 8:1 error: boot without kernel or script | The boot has neither a kernel, an EFI program, a script nor an api. Write kernel = "…", the path or URL of one.
# want: 8:15 error: setting beside a script | A script does everything itself, so cmdline beside it has no effect. Leave one of the two out.
# want: 9:1 error: boot without kernel or script | The boot has neither a kernel, an EFI program, a script nor an api. Write kernel = "…", the path or URL of one.
# want: 17:20 error: command line of several lines | A kernel's command line has one line and no control characters. Write it in quotes, on one line.
