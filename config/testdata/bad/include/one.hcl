boot "a" { kernel = "/srv/other" }
boot "b" { kernel = file("one.txt") }
