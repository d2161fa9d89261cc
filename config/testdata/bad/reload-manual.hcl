# A limit beside mode = "manual" would be inert.
listener "http" {}
reload {
  mode        = "manual"
  max_changed = 1.5
  max_removed = null
}
# want: 5:3 error: setting has no effect here | max_changed has no effect beside mode = "manual", by which no edit is served until it is asked for. Leave one of the two out.
# want: 6:3 error: setting has no effect here | max_removed has no effect
