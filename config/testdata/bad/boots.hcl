listener "http" {}
boot "nothing" {}
boot "only-cmdline" { cmdline = "quiet" }
boot "both" {
  kernel = "/srv/linux"
  script = "#!ipxe\nshell\n"
  message = "never seen"
}
boot "no-magic" { script = "shell" }
boot "late-magic" { script = "\n#!ipxe\nshell" }
boot "longer-magic" { script = "#!ipxeshell" }
boot "lines" {
  kernel = "/srv/linux"
  cmdline = <<-EOT
    quiet
  EOT
}
boot "ftp" { kernel = "ftp://example.org/linux" }
boot "hostless" {
  kernel = "http:///linux"
  initrd = ["https:/example.org/initrd", "http://exa mple.org/", "http://169.254.169.254/x"]
}
boot "markers" {
  kernel  = "/srv/linux"
  cmdline = "a={{ ID x }}"
}
boot "open" {
  kernel  = "/srv/linux"
  cmdline = "a={{ ID \"x\" "
}
boot "loop" {
  kernel  = "/srv/linux"
  cmdline = "{{ range 1000000000 }}a{{ end }}"
}
boot "empty-marker" {
  kernel  = "/srv/linux"
  cmdline = "a={{ ID \"\" }}"
}
# want: 2:1 error: boot without kernel or script | The boot has neither a kernel, an EFI program, a script nor an api. Write kernel = "…", the path or URL of one.
# want: 3:1 error: boot without kernel or script | The boot has neither a kernel, an EFI program, a script nor an api. Write kernel = "…", the path or URL of one.
# want: 5:3 error: setting beside a script | A script does everything itself, so kernel beside it has no effect. Leave one of the two out.
# want: 7:3 error: setting beside a script | A script does everything itself, so message beside it has no effect. Leave one of the two out.
# want: 9:28 error: script is no iPXE script | iPXE takes a text for a script only if #!ipxe stands alone on its first line, without anything before it.
# want: 10:30 error: script is no iPXE script | iPXE takes a text for a script only if #!ipxe stands alone on its first line, without anything before it.
# want: 11:32 error: script is no iPXE script | iPXE takes a text for a script only if #!ipxe stands alone on its first line, without anything before it.
# want: 14:13 error: command line of several lines | A kernel's command line has one line and no control characters. Write it in quotes, on one line.
# want: 18:23 error: unusable URL | The URL begins with ftp://, which is not fetched. Write http://HOST/PATH or https://HOST/PATH, or the path of
# want: 20:12 error: unusable URL | The URL names no host. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.
# want: 21:13 error: unusable URL | The URL names no host. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.
# want: 21:42 error: unusable URL | The URL cannot be read. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.
# want: 21:66 error: unusable URL | The URL cannot be used: 169.254.169.254 is a link-local address, where clouds keep credentials; boot files are not fetched from there. Write http://HOST/PATH or https://HOST/PATH, or
# want: 25:13 error: unusable template in command line | In a command line, {{ begins {{ ID "…" }} or {{ URL "…" }}, the address at which a machine fetches the file
# want: 29:13 error: unusable template in command line | In a command line, {{ begins {{ ID "…" }} or {{ URL "…" }}, the address at which a machine fetches the file
# want: 33:13 error: unusable template in command line | In a command line, {{ begins {{ ID "…" }} or {{ URL "…" }}, the address at which a machine fetches the file
# want: 37:13 error: empty value | The name of a file is empty. Write its path or URL.
