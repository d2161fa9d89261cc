listener "http" {}
state {}
state { dir = "again" }
# want: 2:1 error: setting is missing | write dir = "/var/lib/pixiecore"
# want: 3:1 error: block written twice | The first one stands at state.hcl:2
