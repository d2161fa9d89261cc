listener "http" {}
url_key { file = "" }
# want: 2:18 error: empty value | leave the block out
