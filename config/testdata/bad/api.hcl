# What an API decides, and what cannot stand beside it.
listener "http" {}
boot "url" { api = "inventory.lan" }
boot "query" { api = "http://inventory.lan/?token=secret" }
boot "none" { api = "" }
boot "cloud" { api = "http://169.254.169.254/" }
boot "machine" { api = "http://inventory.lan/${machine.name}" }
boot "beside" {
  api     = "http://inventory.lan/"
  kernel  = "/srv/linux"
  cmdline = "quiet"
}
boot "script" {
  api    = "http://inventory.lan/"
  script = "#!ipxe"
}
boot "slow" {
  api     = "http://inventory.lan/"
  timeout = "2s"
  stale   = "31d"
}
boot "never" {
  api     = "http://inventory.lan/"
  timeout = "0s"
  stale   = "-1h"
}
boot "longer" {
  api     = "http://inventory.lan/"
  timeout = 1500
  stale   = "1000h"
}
boot "without" {
  kernel  = "/srv/linux"
  timeout = "1s"
  stale   = local.nonsense
}
# want: 3:20 error: unusable URL | The URL does not begin with http:// or https://. Write http://HOST/PATH or https://HOST/PATH, below which v1/boot/MAC is asked for.
# want: 4:22 error: unusable URL | The URL has a query or a fragment, which cannot stand before a path. Write http://HOST/PATH or https://HOST/PATH, below which v1/boot/MAC is asked for.
# want: 5:21 error: unusable URL | The URL is empty. Write http://HOST/PATH or https://HOST/PATH, below which v1/boot/MAC is asked for.
# want: 6:22 error: unusable URL | The URL cannot be used: 169.254.169.254 is a link-local address, where clouds keep credentials; boot files are not fetched from there. Write http://HOST/PATH or https://HOST/PATH, below which v1/boot/MAC is asked for.
# want: 7:48 error: unknown variable | machine.* is known when a machine boots, not when the file is loaded. It can stand in cmdline, message, script, kernel, initrd and files of a boot, and in when.
# want: 10:3 error: setting beside an API | The API says all that is booted, so kernel beside it has no effect. Leave one of the two out.
# want: 11:3 error: setting beside an API | The API says all that is booted, so cmdline beside it has no effect. Leave one of the two out.
# want: 14:3 error: setting beside a script | A script does everything itself, so api beside it has no effect. Leave one of the two out.
# want: 19:13 error: unusable duration | A machine's iPXE waits two seconds for its offer, so timeout is at most 1.8s.
# want: 20:13 error: unusable duration | "31d" is no duration. Write a number with a unit (ms, s, m, h), like "1h".
# want: 24:13 error: unusable duration | With no time at all, no API can answer. Write timeout = "1500ms", or leave the line out for that.
# want: 25:13 error: unusable duration | stale cannot be negative. Write one like "1h".
# want: 29:13 error: wrong kind of value | timeout is a number. Write a duration in quotes, like "1500ms".
# want: 30:13 error: unusable duration | An inventory that is down for longer is no inventory, so stale is at most 720h.
# want: 34:3 error: setting has no effect here | timeout is for a boot that asks an API, and this one does not. Leave it out.
# want: 35:3 error: setting has no effect here | stale is for a boot that asks an API, and this one does not. Leave it out.
# want: 35:19 error: unknown variable | There is no local value "nonsense". Write locals { nonsense = … }.
