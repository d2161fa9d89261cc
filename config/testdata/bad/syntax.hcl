# Blocks with a syntax error are left out, the others are looked at, and
# nothing is called missing.
boot "a" { kernel = "a", initrd = "b" }
boot "b" {
  kernel = "/srv/linux" initrd = "/srv/initrd"
}
listener "http" { address = ":80" }
boot "c" {
  kernel = '/srv/linux'
}
boot "d" {
  kernel = "/srv/linux"
  kernel = "/srv/linux2"
}
rule "r" { boot = boot.a }
rule "s" { boot = boot.x }
log { level = "all" }
boot "e"
{
}
# want: 3:24 error: invalid single-argument block definition | multi-line block syntax
# want: 5:25 error: missing newline after argument | must end with a newline
# want: 7:29 error: unusable address | "[::]:80"
# want: 9:12 error: invalid character | Use double quotes
# want: 13:3 error: attribute redefined | already set
# want: 17:15 error: unknown word | level cannot be "all"
# want: 18:9 error: invalid block definition | starting on the same line
