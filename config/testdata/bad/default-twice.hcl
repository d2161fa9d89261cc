listener "http" {}
listener "http" {}
rule "all" { local = true }
# want: 2:1 error: address used twice | Only one listener can have TCP address [::]:80
