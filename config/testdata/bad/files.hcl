# Files of boots, assets, and url().
listener "http" {}
assets "no name" { dir = "/srv/images" }
assets "nothing" {}
assets "all" { dir = "/" }
assets "elsewhere" { dir = "https://192.0.2.1/images" }
assets "empty" { dir = "" }
assets "images" { dir = "../srv" }
assets "images" { dir = "/srv/more" }
boot "kinds" {
  kernel = assets.images
  initrd = ["/srv/${url("/srv/initrd")}", file.preseed]
  file "preseed" {}
  file "both" {
    source  = "/srv/${machine.serial}"
    content = "x"
  }
  file "12" { content = "x" }
  file "both" { content = "x" }
  file "list" { content = ["x"] }
}
boot "names" {
  kernel         = "/srv/linux"
  cmdline        = "a=${url(file.presed)} b=${url(assets.imges, "x")} c=${file.preseed} d=${url(assets.images.x)}"
  cmdline_append = "e=${url("/srv/${machine.serial}")}"
  message        = join(" ", [for s in [machine.asset] : url("/srv/${s}")])
  file "preseed" { content = url(file.preseed, "x") }
}
boot "paths" {
  kernel  = "/srv/linux"
  cmdline = "a=${url(assets.images, "../x")} b=${url("https://192.0.2.1/dir/")} c=${url("ftp://192.0.2.1/x")} d=${url(7)}"
}
boot "none" {
  kernel  = "/srv/linux"
  cmdline = url(file.preseed)
}
boot "trees" {
  kernel = "/srv/linux"
  file "user_data" { tree = { for name in ["a", "b"] : name => machine.name } }
  file "empty" { tree = {} }
  file "text" { tree = "x" }
  file "members" { tree = { "../x" = "x", "/y" = "y", "z/" = "z", "a" = 7, "b" = ["x"] } }
  file "again" { tree = { "a" = "x", a = "y" } }
}
boot "templates" {
  kernel = "/srv/linux"
  file "typo" { content = templatefile("data/machine.tmpl", { machine = { nme = machine.name } }) }
  file "less" { content = templatefile("data/machine.tmpl", {}) }
}
rule "r" {
  match { when = machine.name == url("/srv/x") }
  boot = boot.none
}
locals { seed = url("/srv/x") }
# want: 3:8 error: unusable name | The label of an assets block is an identifier, since url() refers to it: letters, digits, "-" and "_", beginning with a letter. "no name" is none; "a-
# want: 4:1 error: setting is missing | An assets block names a directory or an image. Write dir = "/srv/images", or iso = "/srv/debian.iso".
# want: 5:22 error: directory of everything | Every file of this host would be served. Write the path of a directory for machines, like "/srv/images".
# want: 6:28 error: unusable URL | A directory of another server cannot be served as it is. Write the path of one on this host, or url("https://…") for one file.
# want: 7:24 error: empty value | dir is empty. Write the path of a directory, like "/srv/images".
# want: 9:8 error: name used twice | There are two assets blocks "images". Rename one of them. The first one stands at files.hcl:8.
# want: 11:12 error: unknown variable | assets.NAME is a directory, and only its address is a text: url() makes it, in cmdline, message and script of a boot and in content and tree of its fi
# want: 12:21 error: unknown function | url() makes an address for the machine that boots. It can stand in cmdline, message and script of a boot, and in content and tree of its files; a kern
# want: 12:43 error: unknown variable | file.NAME is a file of the boot that this stands in, and only its address is a text: url() makes it, in cmdline, message and script of a boot and in c
# want: 13:3 error: file without content | The file does not say what is in it. Write one of content = "…", source = "PATH" and tree = { "NAME" = "…" }.
# want: 16:5 error: file with two contents | The file already has source. Keep one of the two, or write a second file.
# want: 18:8 error: unusable name | The label of a file block is an identifier, since url() refers to it: letters, digits, "-" and "_", beginning with a letter. "12" is none; "a-12" woul
# want: 19:8 error: name used twice | The boot has two files "both". Rename one of them.
# want: 20:27 error: wrong kind of value | content is a list. Write a text, best as templatefile("PATH", { … }).
# want: 24:34 error: unknown variable | The boot names has no file "presed". Did you mean "preseed"?
# want: 24:97 error: unknown variable | Only a whole one has an address. Write url(assets.NAME).
# want: 25:29 error: fact that cannot choose files | machine.serial cannot choose which file an address leads to: a machine may say what it likes of itself. A path can have machine.name, machine.arch, ma
# want: 26:40 error: fact that cannot choose files | machine.asset cannot choose which file an address leads to: a machine may say what it likes of itself. A path can have machine.name, machine.arch, mac
# want: 27:48 error: nothing that has an address | No machine could fetch this: a file is named alone: write url(file.preseed).
# want: 31:37 error: nothing that has an address | No machine could fetch this: "../x" does not lie in the directory: write a path below it, without a slash before it.
# want: 31:54 error: nothing that has an address | No machine could fetch this: URL "https://192.0.2.1/dir/": it names no file.
# want: 31:89 error: unusable URL | The URL begins with ftp://, which is not fetched. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.
# want: 31:119 error: nothing that has an address | No machine could fetch this: it is a number: write url(file.NAME), url(assets.NAME, "path") or url("path or URL").
# want: 35:22 error: unknown variable | The boot none has no file "preseed". Write file "preseed" { … } into it.
# want: 39:29 error: wrong kind of value | Which files a tree has must be known when the file is loaded. Write the names of its files and what is in them: { "user-data" = "…", "meta-data" = "…"
# want: 40:25 error: empty value | The tree has no files. Write the names of its files and what is in them: { "user-data" = "…", "meta-data" = "…" }.
# want: 41:24 error: wrong kind of value | tree is no map. Write the names of its files and what is in them: { "user-data" = "…", "meta-data" = "…" }.
# want: 42:29 error: unusable name | "../x" is no name of a file in a tree. Write one like "user-data" or "latest/user-data".
# want: 42:43 error: unusable name | "/y" is no name of a file in a tree. Write one like "user-data" or "latest/user-data".
# want: 42:55 error: unusable name | "z/" is no name of a file in a tree. Write one like "user-data" or "latest/user-data".
# want: 42:73 error: wrong kind of value | tree["a"] is a number. Write a text in quotes.
# want: 42:82 error: wrong kind of value | tree["b"] is a list. Write a text in quotes.
# want: 43:38 error: name used twice | The tree has two files "a". Rename one of them.
# want: 47:41 error: invalid function argument | Invalid value for "path" parameter: machine.tmpl:1: Unsupported attribute; This object does not have an attribute named "name".
# want: 48:61 error: invalid function argument | Invalid value for "vars" parameter: machine.tmpl:1 uses "machine", which is not among the values. Add it, or write $${…} for what the machine fills in
# want: 51:34 error: unknown function | url() makes an address for the machine that boots. It can stand in cmdline, message and script of a boot, and in content and tree of its files; a kern
# want: 54:17 error: unknown function | url() makes an address for the machine that boots. It can stand in cmdline, message and script of a boot, and in content and tree of its files; a kern
