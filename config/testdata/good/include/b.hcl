rule "second" {
  match { mac = "52:*" }
  ignore = true
}
