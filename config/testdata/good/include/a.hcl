include = "../include.hcl" # which takes part already
boot "debian" {
  kernel  = "../../srv/vmlinuz"
  message = trimspace(file("motd"))
}
