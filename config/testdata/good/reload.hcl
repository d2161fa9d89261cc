# Which edits are served without being asked to.
listener "http" {}
rule "all" { local = true }
locals { few = 2 }
reload {
  mode        = "watch"
  max_changed = local.few * 5
  max_removed = 0
}
