listener "http" {}
rule "r" { boot = boot.debian }
rule "s" { boott = boot.debian }
# want: 2:24 error: no such boot | Write boot "debian" { … }.
# want: 3:12 error: unknown setting | Did you mean "boot"?
