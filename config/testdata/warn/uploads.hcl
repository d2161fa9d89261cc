# Nobody can send anything.
listener "http" {}
uploads {}
boot "x" { kernel = "../srv/vmlinuz" }
rule "all" { boot = boot.x }
# want: 3:1 warning: no machine asks for it | No upload() gives a machine an address to send something to. Write upload("install.log") into a boot, or leave the block out.
