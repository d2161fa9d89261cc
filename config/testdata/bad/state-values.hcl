listener "http" {}
state {
  dir  = "nfs://filer/state"
  size = 1
}
# want: 3:10 error: unusable URL | Write the path of a directory
# want: 4:3 error: unknown setting | There is no setting "size" in a state block
