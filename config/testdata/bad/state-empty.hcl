listener "http" {}
state { dir = "" }
# want: 2:15 error: empty value | leave the block out for the usual one
