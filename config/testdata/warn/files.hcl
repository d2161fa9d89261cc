listener "http" {}
boot "a" {
  kernel  = "vmlinuz-that-is-not-there"
  initrd  = ["../srv/initrd", "../srv", "../srv/initrd/below"]
  cmdline = "live={{ ID \"nothing\" }}"
}
ipxe { efi64 = "/nonexistent/snponly.efi" }
rule "all" { boot = boot.a }
# want: 3:13 warning: no such file | There is no file
# want: 4:31 warning: no such file | is a directory, where a file should be
# want: 4:41 warning: no such file | cannot be looked at: not a directory
# want: 5:13 warning: no such file | testdata/warn/nothing"
# want: 7:16 warning: no such file | "/nonexistent/snponly.efi"
