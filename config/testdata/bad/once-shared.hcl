# Each server would boot them once.
listener "http" {}
url_key { file = "/etc/pixiecore/url.key" }
boot "live" { kernel = "https://example.org/linux" }
rule "r" {
  boot = boot.live
  once { done_by = "booting" }
}
# want: 7:3 error: setting has no effect here | The key for addresses is shared with other servers (url_key), and what machines have booted once is not: each server would boot them once. Leave the url_key block out, and let one server do this.
