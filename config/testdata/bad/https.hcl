listener "tftp" {
  cert        = "a.pem"
  key         = "a.pem"
  single_port = "yes"
}
listener "http" { cert = "a.pem" }
listener "http" {
  address     = "[::]:81"
  key         = "a.pem"
  single_port = true
}
listener "status" {
  cert = "https://ca.example.com/a.pem"
  key  = ""
}
listener "http" {
  address = "[::]:82"
  cert    = null
  key     = 1
}
rule "all" { local = true }
# want: 2:3 error: setting has no effect here | cert has no effect on listener "tftp". It belongs to http, status
# want: 3:3 error: setting has no effect here | key has no effect on listener "tftp"
# want: 4:17 error: wrong kind of value | single_port is a text. Write true or false, without quotes
# want: 6:1 error: certificate and key go together | key = "…"
# want: 7:1 error: certificate and key go together | cert = "…"
# want: 10:3 error: setting has no effect here | It belongs to tftp
# want: 13:10 error: unusable URL | A certificate is not fetched from elsewhere
# want: 14:10 error: empty value | key is empty. Write the path of the certificate's key
# want: 18:13 error: value is null | cert is null
# want: 19:13 error: wrong kind of value | key is a number. Write the path of a PEM file in quotes
