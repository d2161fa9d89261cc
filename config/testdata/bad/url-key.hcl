listener "http" {}
url_key {}
url_key { file = "twice.key" }
url_key "shared" { file = "labelled.key" }
# want: 2:1 error: setting is missing | write file = "/etc/pixiecore/url.key"
# want: 3:1 error: block written twice | The first one stands at url-key.hcl:2
# want: 4:9 error: wrong number of labels | write url_key { … }
# want: 4:1 error: block written twice | The first one stands at url-key.hcl:2
