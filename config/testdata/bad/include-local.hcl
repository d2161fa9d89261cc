include = [local.x]
locals { x = "include/*.hcl" }
# want: 1:11 error: unknown variable | include is read before any value is known. Write the paths as they are.
