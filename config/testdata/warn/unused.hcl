listener "http" {}
boot "nobody" { kernel = "../srv/vmlinuz" }
# want: 2:1 warning: boot is never used | Write boot = boot.nobody into a rule
# want: - warning: no rules | one that no rule matches is ignored
