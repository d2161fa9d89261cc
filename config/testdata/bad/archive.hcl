# What cpio() is not.
listener "http" {}
locals { x = cpio({}) }
boot "places" {
  kernel  = cpio({ "/x" = "y" })
  initrd  = [machine.arch == "x64" ? cpio({ "/x" = "y" }) : "/x"]
  cmdline = cpio({ "/x" = "y" })
}
boot "arguments" {
  kernel = "/srv/linux"
  initrd = [cpio(), cpio({}), cpio("x"), cpio({ for n in ["a"] : n => machine.name }), cpio({ a = "x" }, "y")]
}
boot "names" {
  kernel = "/srv/linux"
  initrd = [cpio({ "../x" = "y" }), cpio({ "/a" = "x", "a" = "y" }), cpio({ "a/b" = "x", "a" = "y" })]
}
boot "members" {
  kernel = "/srv/linux"
  initrd = [
    cpio({ a = 7 }),
    cpio({ a = { mode = "0755" } }),
    cpio({ a = { content = "x", mode = "rwx" } }),
    cpio({ a = { content = "x", owner = "me" } }),
    cpio({ a = file.seed }),
    cpio({ a = file.sed }),
    cpio({ a = machine.nme }),
    cpio({ a = { content = "x", mode = 755 } }),
  ]
  file "seed" { tree = { a = "b" } }
}
rule "all" { boot = boot.names }
# want: 3:14 error: unknown function | cpio() makes an initrd for the machine that boots. It stands alone as initrd of a boot, or as one of them: initrd = ["…", cpio({ … })].
# want: 5:13 error: unknown function | cpio() makes an initrd for the machine that boots. It stands alone as initrd of a boot, or as one of them: initrd = ["…", cpio({ … })].
# want: 6:38 error: unknown function | cpio() makes an initrd for the machine that boots. It stands alone as initrd of a boot, or as one of them: initrd = ["…", cpio({ … })].
# want: 7:13 error: unknown function | cpio() makes an initrd for the machine that boots. It stands alone as initrd of a boot, or as one of them: initrd = ["…", cpio({ … })].
# want: 11:13 error: wrong kind of value | cpio takes one argument. Write the names of its files and what is in them: cpio({ "/etc/hostname" = machine.name }).
# want: 11:26 error: empty value | The archive has no files. Write the names of its files and what is in them: cpio({ "/etc/hostname" = machine.name }).
# want: 11:36 error: wrong kind of value | What cpio takes is a map. Write the names of its files and what is in them: cpio({ "/etc/hostname" = machine.name }).
# want: 11:47 error: wrong kind of value | Which files an archive has must be known when the file is loaded. Write the names of its files and what is in them: cpio({ "/etc/hostname" = machine.name }).
# want: 11:88 error: wrong kind of value | cpio takes one argument. Write the names of its files and what is in them: cpio({ "/etc/hostname" = machine.name }).
# want: 15:20 error: unusable name | "../x" is no name of a file in an archive: it is no path of a file. Write one like "/etc/hostname".
# want: 15:56 error: name used twice | The archive has two files "a". Rename one of them.
# want: 15:75 error: name used twice | "a" is a file in the archive, and other files are to lie in it. Rename one of them.
# want: 20:16 error: wrong kind of value | cpio["a"] is a number. Write a text in quotes.
# want: 21:16 error: setting is missing | The file does not say what is in it. Write { content = "…", mode = "0755" }.
# want: 22:40 error: unusable number | mode cannot be "rwx". Write three or four octal digits in quotes, like "0755".
# want: 23:33 error: unknown setting | There is no owner in a file of an archive. There is "content", "mode".
# want: 24:16 error: wrong kind of value | The file seed has a tree. What is packed into an archive is a file with content.
# want: 25:16 error: unknown variable | The boot members has no file "sed". Did you mean "seed"?
# want: 26:24 error: unknown variable | There is no machine.nme. Did you mean "name"?
# want: 27:40 error: wrong kind of value | mode is a number. Write the mode of a file in quotes, like "0755".
