rule "all" { boot = boot.debian }
