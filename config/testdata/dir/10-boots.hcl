listener "http" {}
boot "debian" { kernel = "http://192.0.2.1/linux" }
