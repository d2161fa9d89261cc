# What upload() and its block are not.
listener "http" {}
locals { address = upload("x") }
boot "x" {
  kernel  = "/srv/linux"
  initrd  = upload("x")
  cmdline = "a=${upload("../x")} b=${upload("")}"
  message = upload(machine.name)
  file "none" { content = upload("log") }
}
rule "all" { boot = boot.x }
uploads {
  dir       = "https://192.0.2.1/"
  max_size  = "0B"
  max_total = 7
}
# want: 3:20 error: unknown function | upload() makes an address for the machine that boots. It can stand in cmdline, message and script of a boot, and in content and tree of its files; a kernel, an initrd or 
# want: 6:13 error: unknown function | upload() makes an address for the machine that boots. It can stand in cmdline, message and script of a boot, and in content and tree of its files; a kernel, an initrd or 
# want: 7:26 error: invalid function argument | Invalid value for "name" parameter: "../x" is no name for what a machine sends: write letters, digits, ".", "_" and "-", and begin with a letter or a digit.
# want: 7:47 error: invalid function argument | Invalid value for "name" parameter: "" is no name for what a machine sends: write letters, digits, ".", "_" and "-", and begin with a letter or a digit.
# want: 8:20 error: fact that cannot choose files | The name of an upload is known when the file is loaded: each machine has a directory of its own for what it sends. Write a text, like upload("install.log").
# want: 13:15 error: unusable URL | What machines send is kept on this host. Write the path of a directory.
# want: 14:15 error: unusable size | max_size cannot be "0B": it is 0 bytes. Write a number with its unit, like "20GiB" or "500MB".
# want: 15:15 error: wrong kind of value | max_total is a number. Write a size in quotes, like "20GiB".
