# What is typed at night, and pasted from elsewhere.
listener "http" {}
boot "live" { kernel = "/srv/linux" } }
boot "copied" {
  kernel = "/srv/linux"
}
boot “curly” { kernel = "/srv/linux" }
boot "yaml" {
  kernel: "/srv/linux"
}
rule "bare" { boot = good }
boot "good" { kernel = "/srv/linux" }
boot "terraform" { kernel = var.kernel }
rule "unquoted" {
  match { mac = 52:54:00:aa:00:01 }
  local = true
}
locals {
  ragged    = csvdecode("name,mac\ndb1,52:54:00:aa:00:01,spare\n")
  semicolon = [for m in csvdecode("\ufeffname;mac\ndb1;52:54:00:aa:00:01\n") : m.mac]
}
listener "status" {
  address = "0.0.0.0:8067"
  token   = trimspace(file("no/token"))
}
}
# want: 3:39 error: missing newline after block definition | Here a closing brace ends nothing: there is one too many
# want: 5:1 error: invalid character | The character U+00A0 has no meaning here.
# want: 7:6 error: invalid character | "Curly quotes" are not valid here.
# want: 9:3 error: argument or block definition required | A setting has an equals sign: write kernel = …, and its text in quotes.
# want: 11:22 error: unknown variable | There is no variable "good". The boot of that name is boot.good.
# want: 13:29 error: unknown variable | There is no variable "var". Did you mean "local"?
# want: 15:19 error: invalid single-argument block definition | A text stands in quotes: mac = "52:54:00:aa:00:01".
# want: 19:15 error: error in function call | CSV parse error on line 2: wrong number of fields. Each line has as many cells as the first
# want: 20:81 error: unsupported attribute | There is "name;mac".
# want: 24:29 error: invalid function argument | testdata/bad/no/token": no such file or directory.
# want: 26:1 error: argument or block definition required | This closing brace ends nothing.
