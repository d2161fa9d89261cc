listener "http" {}
cache {
  dir      = "https://example.org/cache"
  max_size = 20
  size     = "1GiB"
}
# want: 3:14 error: unusable URL | Files are kept on this host
# want: 4:14 error: wrong kind of value | max_size is a number. Write a size in quotes, like "20GiB"
# want: 5:3 error: unknown setting | There is no setting "size" in a cache block
