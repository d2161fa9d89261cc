listener "http" {}
url_key {
  file  = "https://keys.example.org/url.key"
  mode  = "0600"
}
# want: 3:11 error: unusable URL | A secret is not fetched from elsewhere
# want: 4:3 error: unknown setting | There is no setting "mode" in a url_key block
