listener "http" {
  token     = "0123456789abcdef"
  client_ca = "ca.pem"
}
listener "status" { address = "[::]:8067" }
listener "status" {
  address = "0.0.0.0:8068"
  token   = "geheim"
}
listener "status" {
  address = "127.0.0.1:8069"
  token   = ""
}
listener "status" {
  address = "127.0.0.1:8070"
  token   = "0123456789 abcdef"
}
listener "status" {
  address   = "127.0.0.1:8071"
  client_ca = "ca.pem"
  token     = 1
}
rule "all" { local = true }
# want: 2:3 error: setting has no effect here | token has no effect on listener "http". It belongs to status
# want: 3:3 error: setting has no effect here | It belongs to status
# want: 5:31 error: anybody could read the status | or listen on "127.0.0.1:8067"
# want: 8:13 error: unusable token | The token has 6 characters
# want: 12:13 error: empty value | token is empty
# want: 16:13 error: unusable token | letters, digits and
# want: 20:3 error: certificate and key go together | beside client_ca
# want: 21:15 error: wrong kind of value | token is a number
