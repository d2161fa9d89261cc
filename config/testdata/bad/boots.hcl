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
# want: 2:1 error: boot without kernel or script | Write kernel = "…"
# want: 3:1 error: boot without kernel or script | neither a kernel nor a script
# want: 5:3 error: setting beside a script | kernel beside it has no effect
# want: 7:3 error: setting beside a script | message beside it has no effect
# want: 9:28 error: script is no iPXE script | Begin the script with that line
# want: 10:30 error: script is no iPXE script | without anything before it
# want: 11:32 error: script is no iPXE script | stands alone on its first line
# want: 14:13 error: command line of several lines | on one line
# want: 18:23 error: unusable URL | begins with ftp://, which is not fetched
# want: 20:12 error: unusable URL | names no host
# want: 21:13 error: unusable URL | names no host
# want: 21:42 error: unusable URL | cannot be read
# want: 21:66 error: unusable URL | link-local
# want: 25:13 error: unusable template in command line | {{ ID "…" }}
# want: 29:13 error: unusable template in command line | Write one of these
# want: 33:13 error: unusable template in command line | {{ URL "…" }}
# want: 37:13 error: empty value | a file in cmdline is empty
