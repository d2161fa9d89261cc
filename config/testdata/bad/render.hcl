listener "http" {}
boot "path" {
  kernel = "/srv/${machine.serial}/linux"
  initrd = ["/srv/${machine.arch}/initrd", "/srv/${machine.mac}/initrd", upper(machine.hostname)]
}
boot "marker" {
  kernel  = "/srv/linux"
  cmdline = "a={{ URL \"/srv/${machine.name}\" }} b={{ URL \"/srv/${machine.asset}\" }}"
}
boot "inside" {
  kernel  = "/srv/linux"
  cmdline = "${machine.serial == "x" ? "a={{ URL \"/srv/x\" }}" : ""} b"
}
boot "types" {
  kernel  = machine.labels
  initrd  = [for x in ["a", "b"] : "${x}-${machine.arch}"]
  cmdline = machine.ipxe
  message = "${machine.nmae} ${machine.arch == "amd64" ? "x" : "y"}"
}
boot "script" {
  script = <<-EOT
    echo ${machine.name}
  EOT
}
boot "open" {
  kernel  = "/srv/linux"
  cmdline = "x={{ ID \"${machine.name}\" y"
}
boot "lines" {
  kernel  = "/srv/linux"
  cmdline = "a\n${machine.name}"
}
boot "later" {
  kernel  = file("/srv/${machine.name}")
  message = "on ${machine.address}"
}
listener "status" { address = machine.name }
# want: 3:28 error: fact that cannot choose files | machine.serial cannot choose which file is kernel: a machine may say what it likes of itself. A path can have
# want: 4:60 error: fact that cannot choose files | machine.mac cannot choose which file is initrd: a machine may say what it likes of itself. A path can have
# want: 4:88 error: fact that cannot choose files | machine.hostname cannot choose which file is initrd: a machine may say what it likes of itself. A path can
# want: 8:13 error: fact that cannot choose files | What a machine says of itself cannot choose a file. A path can have machine.name, machine.arch,
# want: 12:16 error: unusable template in command line | A {{ … }} has no meaning beside what a machine says of itself in one expression. Write it outside of the ${…}.
# want: 15:13 error: wrong kind of value | kernel is a map. Write a path or a URL in quotes.
# want: 16:13 error: wrong kind of value | initrd is a list. Write a path or a URL in quotes, or a list of them that is written out.
# want: 17:13 error: wrong kind of value | cmdline is a truth value. Write a text in quotes.
# want: 18:24 error: unknown variable | There is no machine.nmae. Did you mean "name"?
# want: 18:48 error: unknown word | machine.arch is never "amd64". Did you mean "x64"?
# want: 21:12 error: script is no iPXE script | iPXE takes a text for a script only if #!ipxe stands alone on its first line, without anything before it.
# want: 27:13 error: unusable template in command line | In a command line, {{ begins {{ ID "…" }} or {{ URL "…" }}, the address at which a machine fetches the file
# want: 31:13 error: command line of several lines | A kernel's command line has one line and no control characters. Write it in quotes, on one line.
# want: 34:18 error: unknown variable | What file reads must be known when the file is loaded, and machine.* is not. Give templatefile values of the
# want: 35:27 error: unknown variable | There is no machine.address. There is "arch", "asset", "bootif", "circuit_id", "firmware", "hostname", "interface", "ip", "ipxe",
# want: 37:31 error: unknown variable | machine.* is known when a machine boots, not when the file is loaded. It can stand in cmdline, message,
