include = ["include/*.hcl", "include.hcl", "none/*.hcl", "include/gone.hcl", "", "include/[", "include"]
listener "http" {}
boot "a" { kernel = "/srv/linux" }
rule "r" { boot = boot.c }
rule "s" { boot = boot.b }
# want: 1:58 error: file cannot be read | testdata/bad/include/gone.hcl": no such file or directory. An included file must be there, and the user that
# want: 1:78 error: empty value | The name of a file is empty. Write a path or a pattern, like "conf.d/*.hcl".
# want: 1:82 error: file cannot be read | testdata/bad/include/[": syntax error in pattern.
# want: 1:95 error: file cannot be read | is a directory. Write "include/*.hcl" for the files in it.
# want: 3:6 error: name used twice | There are two boots "a". Rename one of them. The first one stands at one.hcl:1.
