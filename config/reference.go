package config

import (
	"maps"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// ReferenceVersion is that of the form of a Reference as JSON. It is raised when
// a name in it goes or means something else, not when one is added.
const ReferenceVersion = 1

// A Reference is all that the language has, for documentation and for editors.
type Reference struct {
	Version       int        `json:"version"`
	Blocks        []Block    `json:"blocks"`        // the file itself first
	Machine       []Member   `json:"machine"`       // machine.NAME, by name
	Functions     []Function `json:"functions"`     // by group
	Architectures []Word     `json:"architectures"` // of arch
	Firmwares     []Word     `json:"firmwares"`     // of firmware
	JSONExample   string     `json:"json_example"`  // a file in the JSON syntax
}

// A Member is one of the values of the machine that machine.NAME can be.
type Member struct {
	Name  string   `json:"name"`
	Type  Type     `json:"type"`
	Stage Stage    `json:"stage"`
	Words []string `json:"words,omitempty"` // all that it can be, if these are few
	Paths bool     `json:"paths,omitzero"`  // whether it may choose a file
	Doc   string   `json:"doc"`
}

// A Function is one of those that expressions can call.
type Function struct {
	Name      string `json:"name"`
	Group     string `json:"group"`     // what it is about
	Signature string `json:"signature"` // NAME(ARGUMENT, ARGUMENTS…)
	Doc       string `json:"doc"`       // a sentence
	Example   string `json:"example"`   // a call
	Result    string `json:"result"`    // what the example yields, as it would be written; empty: what can stand as an initrd, and cannot be written otherwise
}

// Language is the reference of the language of this version.
func Language() Reference {
	r := Reference{
		Version: ReferenceVersion, Functions: slices.Clone(functionTable),
		Architectures: slices.Clone(architectureWords), Firmwares: slices.Clone(firmwareWords),
		JSONExample: jsonExample,
	}
	for _, b := range blocks {
		whole := *b
		if b == &matchSchema {
			whole.Attributes = slices.Clone(b.Attributes)
			for i := range whole.Attributes {
				if a := &whole.Attributes[i]; a.Type != TypeCondition { // which is known as early as what it asks for
					a.Stage = stageOf(a.Name)
				}
			}
		}
		r.Blocks = append(r.Blocks, whole)
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		m := Member{Name: name, Type: TypeText, Stage: stageOf(name), Words: facts[name].words, Paths: slices.Contains(pathMembers, name), Doc: memberDocs[name]}
		switch t := facts[name].typ; {
		case t == cty.Bool:
			m.Type = TypeBool
		case t.IsMapType():
			m.Type = TypeMap
		}
		r.Machine = append(r.Machine, m)
	}
	return r
}

const jsonExample = `{
  "listener": { "http": {}, "tftp": { "interfaces": ["eth0"] } },
  "boot": { "debian": { "kernel": "/srv/debian/${machine.arch}/linux" } },
  "rule": [
    { "lab": { "match": { "mac": "52:54:00:*" }, "boot": "${boot.debian}" } },
    { "others": { "local": true } }
  ]
}
`

// stageOf is how early a fact is known. What is none is known of the MAC and the
// platform, which every request has.
func stageOf(name string) Stage {
	if facts[name].needs&boot.IPXEFacts != 0 {
		return StageIPXE
	}
	return StageDHCP
}

// memberDocs say what machine.NAME is.
var memberDocs = map[string]string{
	"name":         "The name in its `machine` block, else the MAC address with dashes.",
	"mac":          "The MAC address, in lower case with colons.",
	"arch":         "The architecture. Of a BIOS it is known for certain from inside of iPXE only.",
	"firmware":     "What it boots by.",
	"labels":       "The labels of its `machine` block: `machine.labels.role`.",
	"transport":    "How the firmware boots.",
	"ipxe":         "Whether the boot began with an iPXE.",
	"uuid":         "The SMBIOS UUID, in lower case with dashes.",
	"interface":    "The interface that the request came in by.",
	"listener":     "The address of the listener that it came to.",
	"relay":        "The address of the relay (giaddr).",
	"vendor_class": "DHCP option 60.",
	"user_class":   "DHCP option 77.",
	"circuit_id":   "What the relay says of the port, in option 82.",
	"remote_id":    "What the relay says of itself, in option 82.",
	"serial":       "The serial number, as SMBIOS has it.",
	"manufacturer": "The manufacturer, as SMBIOS has it.",
	"product":      "The product's name, as SMBIOS has it.",
	"asset":        "The asset tag, as SMBIOS has it.",
	"hostname":     "The name that DHCP gave it.",
	"bootif":       "The interface that boots, as installers want it in `BOOTIF=`: `01-` and its MAC address with dashes.",
	"ip":           "The address that DHCP gave it.",
}

var architectureWords = []Word{
	{"ia32", "x86 of 32 bits"},
	{"x64", "x86 of 64 bits (amd64)"},
	{"arm32", "ARM of 32 bits"},
	{"arm64", "ARM of 64 bits (aarch64)"},
	{"riscv64", "RISC-V of 64 bits"},
	{"loongarch64", "LoongArch of 64 bits"},
}

var firmwareWords = []Word{
	{"bios", "x86 with a BIOS"},
	{"uefi", "any UEFI"},
	{"efi32", "x86 with UEFI of 32 bits"},
	{"efi64", "x86 with UEFI of 64 bits"},
	{"efibc", "x86 with UEFI of 64 bits that announces itself as EFI byte code"},
	{"efi-arm32", "ARM of 32 bits with UEFI"},
	{"efi-arm64", "ARM of 64 bits with UEFI"},
	{"efi-riscv64", "RISC-V of 64 bits with UEFI"},
	{"efi-loongarch64", "LoongArch of 64 bits with UEFI"},
	{"rpi", "Raspberry Pi with its own firmware"},
	{"uboot", "U-Boot"},
}

// functionTable says what each function does. Names and arguments are those of
// the code; the examples are run.
var functionTable = []Function{
	{"format", "texts", "format(format, values…)", "Fills values into a text, by verbs as in `printf`.", `format("%s-%03d", "node", 7)`, `"node-007"`},
	{"formatlist", "texts", "formatlist(format, lists…)", "Is `format` for each element of lists.", `formatlist("%s.lan", ["a", "b"])`, `["a.lan", "b.lan"]`},
	{"join", "texts", "join(separator, lists…)", "Puts the texts of lists together.", `join(" ", ["quiet", "ip=dhcp"])`, `"quiet ip=dhcp"`},
	{"split", "texts", "split(separator, text)", "Cuts a text into a list.", `split(",", "a,b")`, `["a", "b"]`},
	{"lower", "texts", "lower(text)", "Is the text in lower case.", `lower("DB1")`, `"db1"`},
	{"upper", "texts", "upper(text)", "Is the text in upper case.", `upper("db1")`, `"DB1"`},
	{"title", "texts", "title(text)", "Begins each word with an upper-case letter.", `title("rack one")`, `"Rack One"`},
	{"replace", "texts", "replace(text, old, new)", "Replaces a part wherever it occurs; one between slashes is a regular expression.", `replace("52:54", ":", "-")`, `"52-54"`},
	{"substr", "texts", "substr(text, offset, length)", "Is a part of a text, counted in characters; length -1 is the rest.", `substr("node-07", 0, 4)`, `"node"`},
	{"strrev", "texts", "strrev(text)", "Is the text backwards.", `strrev("abc")`, `"cba"`},
	{"trim", "texts", "trim(text, characters)", "Leaves characters out at both ends.", `trim("--a--", "-")`, `"a"`},
	{"trimprefix", "texts", "trimprefix(text, prefix)", "Leaves a beginning out.", `trimprefix("rack-a1", "rack-")`, `"a1"`},
	{"trimsuffix", "texts", "trimsuffix(text, suffix)", "Leaves an end out.", `trimsuffix("db1.lan", ".lan")`, `"db1"`},
	{"trimspace", "texts", "trimspace(text)", "Leaves white space out at both ends.", `trimspace(" a ")`, `"a"`},
	{"chomp", "texts", "chomp(text)", "Leaves the ends of lines out at the end.", `chomp("a\n")`, `"a"`},
	{"indent", "texts", "indent(spaces, text)", "Indents all lines but the first.", `indent(2, "a\nb")`, `"a\n  b"`},
	{"regex", "texts", "regex(pattern, text)", "Is what matches a regular expression (RE2): the text, or its groups; an error where nothing does.", `regex("[0-9]+", "node-07")`, `"07"`},
	{"regexall", "texts", "regexall(pattern, text)", "Lists all that matches a regular expression.", `regexall("[0-9]+", "a1b2")`, `["1", "2"]`},

	{"abs", "numbers", "abs(number)", "Is the number without its sign.", `abs(-1)`, `1`},
	{"ceil", "numbers", "ceil(number)", "Rounds up.", `ceil(1.2)`, `2`},
	{"floor", "numbers", "floor(number)", "Rounds down.", `floor(1.8)`, `1`},
	{"max", "numbers", "max(numbers…)", "Is the greatest.", `max(1, 3, 2)`, `3`},
	{"min", "numbers", "min(numbers…)", "Is the least.", `min(1, 3, 2)`, `1`},
	{"parseint", "numbers", "parseint(text, base)", "Reads a whole number.", `parseint("1f", 16)`, `31`},

	{"concat", "collections", "concat(lists…)", "Puts lists behind each other.", `concat(["a"], ["b"])`, `["a", "b"]`},
	{"contains", "collections", "contains(list, value)", "Says whether a value is in a list or set.", `contains(["x64", "arm64"], "x64")`, `true`},
	{"distinct", "collections", "distinct(list)", "Leaves out what occurs again.", `distinct(["a", "b", "a"])`, `["a", "b"]`},
	{"element", "collections", "element(list, index)", "Is the element at an index, which begins again behind the last.", `element(["a", "b"], 3)`, `"b"`},
	{"flatten", "collections", "flatten(list)", "Puts the elements of lists in a list in their place.", `flatten([["a"], ["b", "c"]])`, `["a", "b", "c"]`},
	{"keys", "collections", "keys(map)", "Lists the names in a map, sorted.", `keys({ x64 = "amd64", arm64 = "arm64" })`, `["arm64", "x64"]`},
	{"values", "collections", "values(map)", "Lists the values of a map, in the order of their names.", `values({ b = 2, a = 1 })`, `[1, 2]`},
	{"length", "collections", "length(value)", "Counts the elements of a collection, or the characters of a text.", `length(["a", "b"])`, `2`},
	{"lookup", "collections", "lookup(map, name, default)", "Is the value of a name, or a default.", `lookup({ a = "1" }, "b", "none")`, `"none"`},
	{"merge", "collections", "merge(maps…)", "Puts maps together; of one name, the last counts.", `merge({ a = 1 }, { b = 2 })`, `{ a = 1, b = 2 }`},
	{"range", "collections", "range(numbers…)", "Lists numbers up to a limit, or from a start, by a step.", `range(3)`, `[0, 1, 2]`},
	{"reverse", "collections", "reverse(list)", "Is the list backwards.", `reverse(["a", "b"])`, `["b", "a"]`},
	{"slice", "collections", "slice(list, from, to)", "Is a part of a list, up to the index before `to`.", `slice(["a", "b", "c"], 0, 2)`, `["a", "b"]`},
	{"sort", "collections", "sort(list)", "Sorts texts.", `sort(["b", "a"])`, `["a", "b"]`},
	{"zipmap", "collections", "zipmap(names, values)", "Makes a map of two lists.", `zipmap(["a", "b"], [1, 2])`, `{ a = 1, b = 2 }`},
	{"chunklist", "collections", "chunklist(list, size)", "Cuts a list into lists.", `chunklist(["a", "b", "c"], 2)`, `[["a", "b"], ["c"]]`},
	{"coalesce", "collections", "coalesce(values…)", "Is the first that is not null.", `coalesce(null, "a")`, `"a"`},
	{"coalescelist", "collections", "coalescelist(lists…)", "Is the first that is not empty.", `coalescelist([], ["a"])`, `["a"]`},
	{"compact", "collections", "compact(list)", "Leaves empty texts out.", `compact(["a", "", "b"])`, `["a", "b"]`},
	{"setintersection", "collections", "setintersection(set, sets…)", "Is what all of the sets have.", `setintersection(["a", "b"], ["b"])`, `toset(["b"])`},
	{"setproduct", "collections", "setproduct(sets…)", "Lists all combinations of elements.", `setproduct(["a"], ["x", "y"])`, `[["a", "x"], ["a", "y"]]`},
	{"setsubtract", "collections", "setsubtract(set, without)", "Is what one set has and the other has not.", `setsubtract(["a", "b"], ["b"])`, `toset(["a"])`},
	{"setunion", "collections", "setunion(set, sets…)", "Is what any of the sets has.", `setunion(["a"], ["b"])`, `toset(["a", "b"])`},

	{"tobool", "types", "tobool(value)", "Makes a truth value of a text.", `tobool("true")`, `true`},
	{"tolist", "types", "tolist(value)", "Makes a list of a set.", `tolist(toset(["a"]))`, `["a"]`},
	{"tomap", "types", "tomap(value)", "Makes a map, whose values are of one type.", `tomap({ a = 1, b = "x" })`, `{ a = "1", b = "x" }`},
	{"tonumber", "types", "tonumber(value)", "Makes a number of a text.", `tonumber("7")`, `7`},
	{"toset", "types", "toset(value)", "Makes a set of a list: without order, and each element once.", `toset(["b", "a", "b"])`, `toset(["a", "b"])`},
	{"tostring", "types", "tostring(value)", "Makes a text of a number or a truth value.", `tostring(7)`, `"7"`},
	{"sensitive", "types", "sensitive(value)", "Is the value as a secret, and so is all that is made of it. It can stand in the files of a boot that have `secret = true`, and in `token`; anywhere else, where it would be shown, it is an error.", `sensitive("a password")`, `sensitive("a password")`},
	{"try", "types", "try(expressions…)", "Is the first that can be evaluated.", `try({ a = 1 }.b, "none")`, `"none"`},
	{"can", "types", "can(expression)", "Says whether an expression can be evaluated.", `can(tonumber("x"))`, `false`},

	{"jsonencode", "formats", "jsonencode(value)", "Writes a value as JSON.", `jsonencode({ a = [1] })`, `"{\"a\":[1]}"`},
	{"jsondecode", "formats", "jsondecode(text)", "Reads JSON.", `jsondecode("{\"a\": [1]}")`, `{ a = [1] }`},
	{"yamlencode", "formats", "yamlencode(value)", "Writes a value as YAML.", `yamlencode({ a = "b" })`, `"\"a\": \"b\"\n"`},
	{"yamldecode", "formats", "yamldecode(text)", "Reads YAML.", `yamldecode("a: [1]")`, `{ a = [1] }`},
	{"csvdecode", "formats", "csvdecode(text)", "Reads a table, whose first line names the columns, as a list of maps.", `csvdecode("name,role\ndb1,db\n")`, `[{ name = "db1", role = "db" }]`},
	{"base64encode", "formats", "base64encode(text)", "Writes a text in base64.", `base64encode("a")`, `"YQ=="`},
	{"base64decode", "formats", "base64decode(text)", "Reads base64, which must hold a text in UTF-8.", `base64decode("YQ==")`, `"a"`},
	{"sha256", "formats", "sha256(text)", "Is the SHA-256 digest of a text, in hexadecimal.", `substr(sha256("a"), 0, 8)`, `"ca978112"`},

	{"cidrhost", "networks", "cidrhost(network, number)", "Is an address of a network; a negative number counts from its end.", `cidrhost("192.0.2.0/24", 7)`, `"192.0.2.7"`},
	{"cidrsubnet", "networks", "cidrsubnet(network, bits, number)", "Is one of the networks whose prefix is so many bits longer.", `cidrsubnet("192.0.2.0/24", 2, 1)`, `"192.0.2.64/26"`},

	{"file", "files and environment", "file(path)", "Is the text of a file. The path counts from the folder of the configuration file.", `length(csvdecode(file("hosts.csv")))`, `2`},
	{"fileexists", "files and environment", "fileexists(path)", "Says whether there is a file.", `fileexists("hosts.txt")`, `false`},
	{"templatefile", "files and environment", "templatefile(path, values)", "Renders a file with `${NAME}`, `%{ if … }` and `%{ for … }`, which knows nothing but the values that it is given.", `templatefile("motd.tmpl", { name = "db1" })`, `"This is db1.\n"`},
	{"url", "files and environment", "url(what, path…)", "Is the address at which the machine that boots fetches something: `url(file.NAME)`, `url(assets.NAME, \"PATH\")`, or `url(\"PATH or URL\")`. It ends in the file's own name. It can stand in `cmdline`, `message` and `script` of a boot, and in its files. The machine has something sealed in place of what is shown here.", `url("/srv/live.squashfs")`, `"http://SERVER/srv/live.squashfs"`},
	{"phone_home", "files and environment", "phone_home()", "Is the address at which the machine that boots says that it has done its work: by GET or POST, with any body. See `once` in a rule. It can stand where `url` can.", `phone_home()`, `"http://SERVER/phone-home"`},
	{"cpio", "files and environment", "cpio(files)", "Makes an initrd of a few files, for each machine when it asks: names with texts, or with `{ content = …, mode = \"0755\" }`, in which all of `machine` and addresses can stand, or with `file.NAME`, a file of the boot with `content`. Their directories are made. Linux unpacks it over the initrds before it. It stands in `initrd` of a boot and nowhere else.", `cpio({ "/etc/hostname" = machine.name })`, ""},
	{"iso", "files and environment", "iso(image, path)", "Is a file in an ISO 9660 image, which is named by its path or URL, where the path or URL of a file can stand: `kernel`, `initrd`, `efi`, `source`, `url(iso(…))`, also with a digest, `{ url = iso(…), sha256 = … }`, which is that of the file, or with `checksums`, which are those of the image. The names are those of Rock Ridge, else of Joliet. Of a URL, whose server must send parts (Range), only that file is fetched. A file that a local image does not have is a warning.", `iso("https://example.org/fedora.iso", "/images/pxeboot/vmlinuz")`, ""},
	{"upload", "files and environment", "upload(name)", "Is the address to which the machine that boots sends a file, by PUT or POST, for as long as that boot lasts, a day at most. See `uploads`. It can stand where `url` can.", `upload("install.log")`, `"http://SERVER/upload/install.log"`},
	{"env", "files and environment", "env(name)", "Is a variable in the environment of the pixiecore process. One that is not set is an error, so write `try(env(\"NAME\"), \"…\")`.", `try(env("PIXIECORE_UNSET"), "none")`, `"none"`},
}
