listener "http" {}
fetch {
  ca    = ""
  cert  = "https://example.org/cert.pem"
  proxy = "http://proxy:3128"
}
# want: 2:1 error: certificate and key go together | Write key = "…" with the path of the key beside it
# want: 3:11 error: empty value | ca is empty. Write the path of the certificate of the authority, or leave the line out
# want: 4:11 error: unusable URL | A certificate is not fetched from elsewhere
# want: 5:3 error: unknown setting | There is no setting "proxy" in a fetch block
