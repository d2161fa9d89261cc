listener "http" {}
reload {
  max_changed = 1.5
  max_removed = null
}
# want: 3:17 error: unusable number | max_changed cannot be 1.5.
# want: 4:17 error: value is null | max_removed is null. Write a number of machines, or leave the line out.
