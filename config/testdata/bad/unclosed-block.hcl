boot "a" {
  kernel = "/srv/linux"
listener "http" {}
rule "r" { local = true }
# want: 1:10 error: unclosed configuration block | no closing brace
