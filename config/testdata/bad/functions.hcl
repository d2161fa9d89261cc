listener "http" {}
boot "a" { kernel = uper("x") }
boot "b" { kernel = join("/", "a", file("none.txt")) }
boot "c" { kernel = file("none.txt") }
boot "d" { kernel = templatefile("functions/open.tmpl", {}) }
boot "e" { kernel = templatefile("functions/name.tmpl", { nmae = "x" }) }
boot "f" { kernel = templatefile("functions/name.tmpl", "x") }
boot "g" { kernel = templatefile("functions/deep.tmpl", {}) }
boot "h" { kernel = env("PIXIECORE_TEST_NOT_SET") }
boot "i" { kernel = cidrhost("192.0.2.0/24", 256) }
boot "j" { kernel = cidrsubnet("192.0.2.0/24", 9, 0) }
boot "k" { kernel = cidrhost("192.0.2.0", 1) }
boot "l" { kernel = sha256() }
boot "m" { kernel = file("functions") }
boot "n" { kernel = length("x") }
boot "o" { kernel = base64decode("/w==") }
boot "p" { kernel = 1 + "x" }
boot "q" { kernel = [for x in ["a"] : y][0] }
boot "r" { kernel = "${upper(net0)}" }
# want: 2:21 error: unknown function | There is no function "uper". Did you mean "upper"?
# want: 3:32 error: invalid function argument | Invalid value for "lists" parameter: list of string required, but have string.
# want: 3:42 error: invalid function argument | testdata/bad/none.txt": no such file or directory.
# want: 4:27 error: invalid function argument | testdata/bad/none.txt": no such file or directory.
# want: 5:35 error: invalid function argument | Invalid value for "path" parameter: open.tmpl:1: Unclosed template interpolation sequence; There is no
# want: 6:57 error: invalid function argument | Invalid value for "vars" parameter: name.tmpl:2 uses "name", which is not among the values. Add it, or write
# want: 7:58 error: invalid function argument | Invalid value for "vars" parameter: the values for a template are an object: { NAME = … }.
# want: 8:35 error: invalid function argument | Invalid value for "path" parameter: deep.tmpl:1: nested too deeply.
# want: 9:26 error: invalid function argument | Invalid value for "name" parameter: the environment of pixiecore has no PIXIECORE_TEST_NOT_SET; write
# want: 10:46 error: invalid function argument | Invalid value for "hostnum" parameter: 192.0.2.0/24 has no host of that number.
# want: 11:48 error: invalid function argument | Invalid value for "newbits" parameter: 192.0.2.0/24 has room for 8 more bits.
# want: 12:31 error: invalid function argument | Invalid value for "prefix" parameter: "192.0.2.0" is no network, like "192.0.2.0/24".
# want: 13:28 error: not enough function arguments | Function "sha256" expects 1 argument(s). Missing value for "text".
# want: 14:27 error: invalid function argument | testdata/bad/functions": is a directory.
# want: 15:21 error: wrong kind of value | kernel is a number. Write a path or a URL in quotes.
# want: 16:35 error: invalid function argument | Invalid value for "text" parameter: what it decodes to is no text in UTF-8.
# want: 17:25 error: invalid operand | Unsuitable value for right operand: a number is required.
# want: 18:39 error: unknown variable | There is no variable "y". A text needs quotes: "y".
# want: 19:30 error: unknown variable | There is no variable "net0". A text needs quotes: "net0".
