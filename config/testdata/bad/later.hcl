# Names that the language has and this version has not.
listener "http" {}
boot "a" {
  kernel = "a"
  initrd = ["a"]
  checksums = "https://example.org/SHA256SUMS"
}
boot "e" { kernel = "/srv/linux" }
rule "r" {
  match { lables = { role = "db" } }
  offer = "none" # which it is, of which there is no such word
  boot = boot.e
}
# want: 6:3 error: not in this version | "checksums" in a boot block is part of the language, but this version does not have it yet. Leave it out for now.
# want: 10:11 error: unknown setting | There is no setting "lables" in a match block. Did you mean "labels"?
# want: 11:11 error: unknown word | none
