listener "http" {}
reload {
  mode        = "automatic"
  max_changed = "5"
  max_removed = -1
  max_added   = 1
}
reload { mode = "watch" }
# want: 3:17 error: unknown word | mode cannot be "automatic". There is "watch", "manual".
# want: 4:17 error: wrong kind of value | max_changed is a text. Write a number of machines, without quotes.
# want: 5:17 error: unusable number | max_removed cannot be -1. Write a number of machines: a whole one from 0 to 2147483647.
# want: 6:3 error: unknown setting | There is no setting "max_added" in a reload block.
# want: 8:1 error: block written twice | There can be one reload block in a file; put the settings of both into one. The first one stands at reload.hcl:2.
