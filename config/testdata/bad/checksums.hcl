listener "http" {}
boot "a" {
  kernel = { url = "https://m/linux", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", checksums = "https://m/SHA256SUMS" }
  initrd = [
    { url = "https://m/a", signature = "https://m/SHA256SUMS.gpg", key = "key.asc" },
    { url = "https://m/a", checksums = "https://m/SHA256SUMS", signature = "https://m/SHA256SUMS.gpg" },
    { url = "https://m/a", checksums = "" },
    { url = "https://m/a", checksums = "ftp://m/SHA256SUMS" },
    { url = "https://m/a", checksums = "https://m/SHA256SUMS", key = "https://m/key.asc" },
    { url = "https://m/a", checksums = 1 },
    { url = "https://m/a", checksum = "https://m/SHA256SUMS" },
    { url = "https://m/a", checksums = "https://m/${machine.serial}" },
  ]
}
rule "r" { boot = boot.a }
# want: 3:128 error: digest said in two ways | Write one of the two
# want: 5:5 error: setting is missing | signature and key are those of checksums
# want: 6:76 error: setting is missing | Write key = "./key.asc"
# want: 7:40 error: empty value | checksums is empty
# want: 8:5 error: unusable URL | begins with ftp://
# want: 9:5 error: unusable URL | A key that is fetched from elsewhere vouches for nothing
# want: 10:40 error: wrong kind of value | checksums is a number
# want: 11:39 error: unknown setting | Did you mean "checksums"?
# want: 12:61 error: fact that cannot choose files | machine.serial cannot choose
