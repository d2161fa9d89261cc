package config

import (
	"slices"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// blocks are all that there are, the file itself first, in the order in which
// they are explained.
var blocks = []*Block{
	&fileSchema, &listenerSchema, &poolSchema, &localsSchema, &bootSchema, &fileBlockSchema, &secureBootSchema, &assetsSchema, &machineSchema, &ruleSchema, &matchSchema, &notSchema, &anySchema, &onceSchema,
	&testSchema, &ipxeSchema, &cacheSchema, &fetchSchema, &uploadsSchema, &logSchema, &reloadSchema, &stateSchema, &urlKeySchema,
}

// block is the one of that name, or nil.
func block(name string) *Block {
	i := slices.IndexFunc(blocks, func(b *Block) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return blocks[i]
}

var fileSchema = Block{
	Doc: "A configuration is one file, or all files of a directory. Blocks stand in any order, but for rules, of which the first that matches decides. " +
		"A file with an error is not used at all.",
	Example: "include = [\"conf.d/*.hcl\"]\n\nlistener \"http\" {}\n\nrule \"everything else\" { local = true }\n",
	Attributes: []Attribute{
		{Name: "include", Type: TypeTexts, Example: `["conf.d/*.hcl", "machines.hcl"]`,
			Doc: "More files that take part: paths, or patterns with `*`, `?` and `[…]` in the last element. Rules in them stand where the `include` does, and a file takes part once however often it is named. A pattern may match nothing."},
	},
	Blocks: []string{"listener", "boot", "secure_boot", "rule", "assets", "cache", "fetch", "ipxe", "locals", "log", "machine", "reload", "state", "test", "uploads", "url_key"},
}

var listenerSchema = Block{
	Name: "listener", Label: "what it serves", Many: true,
	Labels: []Word{
		{string(DHCP), "ProxyDHCP: adds where to boot from to the answers of the network's own DHCP server; with `mode = \"server\"` it leases addresses too"},
		{string(PXE), "the PXE boot server, which much UEFI firmware asks once more"},
		{string(TFTP), "loaders"},
		{string(HTTP), "scripts, kernels and initrds"},
		{string(DHCP6), "DHCPv6: where to boot from over IPv6, beside the network's own DHCPv6 server, or addresses too"},
		{string(Status), "the status page, the JSON API below `/api/v1`, `/healthz` and `/readyz`: the rules, the machines and what each did"},
	},
	Doc: "A socket to serve on. There may be several of one kind, with different addresses. A configuration without any listener is an error, " +
		"and so is one with `dhcp`, `pxe`, `dhcp6` or `tftp` but without `http`, over which every machine fetches its script. " +
		"`dhcp` without `tftp` or without `pxe` is a warning.",
	Example: "listener \"dhcp\" {\n  address    = \"0.0.0.0:67\"\n  interfaces = [\"eth0\"]\n}\nlistener \"pxe\" { interfaces = \"eth0\" }\nlistener \"tftp\" {}\nlistener \"http\" { address = \"192.0.2.1:80\" }\n",
	Attributes: []Attribute{
		{Name: "address", Type: TypeText, Example: `"192.0.2.1:67"`,
			Default: "`0.0.0.0:67` for `dhcp`, `0.0.0.0:4011` for `pxe`, `[::]:69` for `tftp`, `[::]:80` for `http`, `[::]:547` for `dhcp6`, `127.0.0.1:8067` for `status`",
			Doc:     "The IP address and port to listen on. IPv6 stands in brackets, and `[::]` serves IPv4 as well; `dhcp` and `pxe` take IPv4 only, and `dhcp6` takes `[::]` only. Port 0 takes any free port."},
		{Name: "interfaces", Type: TypeTexts, Default: "all interfaces", Example: `["eth0", "eth1"]`,
			Doc: "For `dhcp`, `pxe`, `dhcp6` and `tftp`: serve only what comes in by these."},
		{Name: "advertise", Type: TypeText, Default: "the receiving interface's own address", Example: `"192.0.2.1"`,
			Doc: "For all but `status`: the one IP address that machines are told to come to. `dhcp` and `pxe` take IPv4 only, and `dhcp6` IPv6 only."},
		{Name: "share", Type: TypeBool, Default: "`false`", Example: "true",
			Doc: "For `dhcp`: listen beside another DHCP server on this host, and take nothing from it."},
		{Name: "relays", Type: TypeTexts, Default: "all relays", Example: `["10.1.0.1", "10.2.0.0/16"]`,
			Doc: "For `dhcp`: the addresses and networks of DHCP relays (giaddr) whose requests are answered. Relayed requests of others are dropped, and said in the log at level `debug`."},
		{Name: "broadcast", Type: TypeBool, Default: "`true`", Example: "false",
			Doc: "For `dhcp`: `false` answers relayed requests only, so that machines on this host's own links get nothing."},
		{Name: "single_port", Type: TypeBool, Default: "`false`", Example: "true",
			Doc: "For `tftp`: transfers go over the listener's port, too, for firewalls and NAT that let no other back."},
		{Name: "mode", Type: TypeText, Default: "`proxy`", Words: []string{modeProxy, modeServer}, Example: `"server"`,
			Doc: "For `dhcp`: `proxy` tells machines where to boot from, beside the network's own DHCP server. `server` leases addresses too: those of its `pool`, to every client, and to machines with an `ip` theirs; without a pool it answers these and nobody else, beside the network's own server. It cannot stand beside `share`."},
		{Name: "router", Type: TypeTexts, Default: "none", Example: `"192.0.2.254"`,
			Doc: "For `dhcp` with `mode = \"server\"`: the routers that clients are told of, each those of its own network."},
		{Name: "mask", Type: TypeText, Default: "that of the receiving interface", Example: `"255.255.255.0"`,
			Doc: "For `dhcp` with `mode = \"server\"`: the mask of networks behind relays, on which this host has no address. Without it their clients get none."},
		{Name: "domain", Type: TypeText, Default: "none", Example: `"example.org"`,
			Doc: "For `dhcp` with `mode = \"server\"`: the domain that clients are told of."},
		{Name: "cert", Type: TypeText, Example: `"/etc/pixiecore/cert.pem"`,
			Doc: "For `http` and `status`, with `key`: the path of a PEM file with a certificate, and behind it those that lead to its issuer. The listener speaks https. A renewed one is read and served at once."},
		{Name: "key", Type: TypeText, Example: `"/etc/pixiecore/key.pem"`,
			Doc: "The path of a PEM file with the key of `cert`."},
		{Name: "token", Type: TypeText, Example: `trimspace(file("status.token"))`,
			Doc: "For `status`: what readers must show, as the password of any user or as `Authorization: Bearer`; `/healthz` and `/readyz` are told to anybody. It has 16 to 512 letters, digits and `-._~+/`. An address that others reach needs a token or `client_ca`, of which either will do where both stand; without any, only this host is answered."},
		{Name: "client_ca", Type: TypeText, Example: `"/etc/pixiecore/readers.pem"`,
			Doc: "For `status`, with `cert` and `key`: the path of a PEM file with the authorities whose certificates readers show."},
		{Name: "preference", Type: TypeNumber, Default: "none, which counts as 0", Example: "255",
			Doc: "For `dhcp6`: of several servers, clients take the one with the highest; with 255 they take this one at once."},
		{Name: "dns", Type: TypeTexts, Default: "none", Example: `["2001:db8::53"]`,
			Doc: "For `dhcp6`, and for `dhcp` with `mode = \"server\"`: the name servers that clients are told of, eight at most. They are IPv6 for the one and IPv4 for the other."},
	},
	Blocks: []string{"pool"},
}

var poolSchema = Block{
	Name: "pool",
	Doc: "For `dhcp6`, and for `dhcp` with `mode = \"server\"`: addresses to lease, to every client on the network that asks, whether it boots or not; one that a rule ignores gets an address and nothing to boot. The network has no other DHCP server then. Without the block `dhcp6` tells machines where to boot from and nothing else, beside the network's own DHCPv6 server, and `dhcp` leases reserved addresses only. " +
		"A client keeps its address; the leases are in the state directory.",
	Example: "listener \"dhcp6\" {\n  interfaces = \"eth0\"\n  pool {\n    start = \"2001:db8::100\"\n    size  = 50\n  }\n}\nlistener \"http\" {}\nlistener \"tftp\" {}\n",
	Attributes: []Attribute{
		{Name: "start", Type: TypeText, Example: `"2001:db8::100"`,
			Doc: "The first address. Clients take it for one of their own link, so it is of the network that a router announces there. Over IPv4 it is of the network of the interface that they ask by, or of their relay."},
		{Name: "size", Type: TypeNumber, Example: "50",
			Doc: "How many addresses there are, up to 65536. A pool has this or `end`. Addresses that are reserved by an `ip`, and those of routers and name servers, are left out."},
		{Name: "end", Type: TypeText, Example: `"2001:db8::131"`,
			Doc: "The last address, in place of `size`."},
		{Name: "lifetime", Type: TypeDuration, Default: "`1850s` for `dhcp6`, `1h` for `dhcp`", Example: `"1850s"`,
			Doc: "How long an address is valid. Clients renew it after about half of that."},
	},
}

var localsSchema = Block{
	Name: "locals", Many: true,
	Doc: "Values with names of your own, of any type: `local.NAME` is the value, in any other block and in other locals. " +
		"A name is one identifier over all files. A value that needs itself is an error.",
	Example: "locals {\n  mirror = \"https://example.org/debian\"\n  lab    = [\"52:54:00:*\", \"b8:27:eb:*\"]\n}\n",
}

var forEach = Attribute{Name: "for_each", Type: TypeElements, Example: `{ db1 = "52:54:00:aa:00:01", db2 = "52:54:00:aa:00:02" }`,
	Doc: "Makes one of the block for each element of a map, or of a set of texts, in the order of the keys. In the block, `each.key` and `each.value` are the element's; of a set, both are the text."}

var bootSchema = Block{
	Name: "boot", Label: "its name, an identifier", Many: true,
	Doc: "What can be booted: a kernel with what belongs to it, a script, or what an API says. Rules refer to it as `boot.NAME`, or `boot.NAME[\"KEY\"]` where it has `for_each`. " +
		"Paths that are not absolute count from the folder of the file that they stand in. URLs begin with `http://` or `https://` and are fetched when a machine asks for the file. " +
		"iPXE's own variables are written with two dollar signs, `$${net0/mac}`. A boot that no rule uses is a warning.",
	Example: "boot \"live\" {\n  kernel  = \"https://example.org/live/${machine.arch}/vmlinuz\"\n  initrd  = [\"https://example.org/live/${machine.arch}/initrd\"]\n  cmdline = \"ip=dhcp hostname=${machine.name}\"\n  message = \"Starting the live system\"\n}\n\nrule \"everybody\" { boot = boot.live }\n",
	Attributes: []Attribute{
		{Name: "kernel", Type: TypeFile, Machine: MachinePaths, Example: `"/srv/live/vmlinuz"`,
			Doc: "The path or URL of the kernel, or `{ url = …, sha256 = … }`: a path or URL with the SHA-256 that the file must have, or it is not served. In place of `sha256`, `checksums` is the path or URL of the `SHA256SUMS` in which that stands, and with `key`, the path of a file with OpenPGP public keys, it must be signed: in itself, or in the file that `signature` names. A boot has this, `efi`, `script` or `api`, its own or one that it takes over by `extends`. A local file that is not there is a warning."},
		{Name: "initrd", Type: TypeFiles, Machine: MachinePaths, Example: `["/srv/live/initrd", "https://example.org/firmware.cpio"]`,
			Doc: "Paths or URLs of initrds, each of them also with its digest as `kernel` may be, which are loaded in this order. `cpio({ \"/etc/hostname\" = machine.name })` among them is one of files that are made for each machine."},
		{Name: "cmdline", Type: TypeText, Machine: MachineAll, Example: `"ip=dhcp BOOTIF=${machine.bootif}"`,
			Doc: "The kernel's command line: one line of up to 4096 bytes. `{{ ID \"…\" }}` or `{{ URL \"…\" }}` in it becomes the address at which the machine fetches that path or URL."},
		{Name: "cmdline_append", Type: TypeText, Machine: MachineAll, Example: `"console=ttyS0,115200"`,
			Doc: "Is added to the command line, with a blank between: to `cmdline`, or to the one that `extends` takes over."},
		{Name: "message", Type: TypeText, Machine: MachineAll, Example: `"Starting ${machine.name}"`,
			Doc: "Is shown on the machine's screen before it boots. It may have several lines."},
		{Name: "script", Type: TypeText, Machine: MachineAll, Example: `"#!ipxe\nshell\n"`,
			Doc: "An iPXE script of up to 1 MiB, whose first line is `#!ipxe`. It does everything itself, so none of the others may stand beside it."},
		{Name: "efi", Type: TypeFile, Machine: MachinePaths, Example: `"/srv/live/live-${machine.arch}.efi"`,
			Doc: "The path or URL of an EFI program, such as a unified kernel image, in place of `kernel`; with its digest as that may be. The firmware starts it, by TFTP or HTTP Boot, without any loader between; under Secure Boot it must be signed for the machine's keys. A machine with a BIOS is shown that it cannot. Of one whose name ends in `.iso` or `.img`, the image of a disk, UEFI HTTP Boot makes a RAM disk and boots that; by PXE the machine is told so on its screen."},
		{Name: "loader", Type: TypeText, Words: boot.LoaderNames(), Default: "`auto`", Example: `"snponly"`,
			Doc: "By what a machine with UEFI loads the boot; a BIOS is always given iPXE. `auto` is `native` for `efi`, `shim` where there is a `secure_boot` block, and else iPXE. `ipxe` and `snponly` are its builds with drivers of their own and with the firmware's, where both are found. `grub` gives the GRUB of `secure_boot` without the shim. A machine that has come as far as iPXE goes on with that."},
		{Name: "rpi", Type: TypeText, Machine: MachinePaths, Example: `"/srv/rpi/boot"`,
			Doc: "The path of a directory with the firmware of Raspberry Pis (`start4.elf`, `fixup4.dat`, `*.dtb`, `overlays`, `bootcode.bin` for a 3), without which they cannot boot this. They get these files as they are, but `config.txt` and `cmdline.txt` are made of the boot: after the directory's own `config.txt`, they boot `kernel`, with `initrd` and `cmdline`."},
		{Name: "api", Type: TypeText, Example: `"http://inventory.lan/netboot"`,
			Doc: "The URL of an HTTP API (the v1 boot API of pixiecore) that says what the machine boots, or that it does not. It is asked for `v1/boot/MAC` below that, with what is known of the machine as a query. Only `timeout` and `stale` may stand beside it."},
		{Name: "timeout", Type: TypeDuration, Default: "`\"1500ms\"`", Example: `"1s"`,
			Doc: "How long a machine's DHCP request waits for the `api`, 1800ms at most. A later answer serves the machine's next request; after five seconds there is none."},
		{Name: "stale", Type: TypeDuration, Default: "`\"0s\"`", Example: `"1h"`,
			Doc: "How old an answer of the `api` may be that stands in while it cannot be asked. A refusal is final."},
		{Name: "installs", Type: TypeBool, Default: "`false`", Example: "true",
			Doc: "`true`: it writes disks. Its rules then need [once](#once), and are for machines that a `machine` block names; and an edit of the file that gives a machine such a boot is held until somebody asks for it. A command line that looks like an installer's, without this, is a warning, which `false` answers."},
		{Name: "extends", Type: TypeBoot, Example: "boot.base",
			Doc: "Takes over all settings of that boot which the block does not set itself. A boot that is only extended needs no kernel."},
		forEach,
	},
	Blocks: []string{"file", "secure_boot"},
	Later:  []string{"checksums"},
}

var fileBlockSchema = Block{
	Name: "file", Label: "its name, an identifier", Many: true,
	Doc: "A file for the machines that boot this, made for each when it asks: `url(file.NAME)` is its address, which ends in the name. It has exactly one of `content`, `source` and `tree`. " +
		"`extends` takes files over; one of the same name replaces that of the other boot. What a machine is missing is an error that it is told, never an empty text. A file that no `url()` names is a warning.",
	Example: "boot \"installer\" {\n  kernel  = \"https://example.org/linux\"\n  cmdline = \"auto url=${url(file.preseed)}\"\n\n  file \"preseed\" {\n    content = templatefile(\"preseed.tmpl\", { role = try(machine.labels.role, \"none\") })\n    secret  = true\n  }\n}\n\nrule \"everybody\" { boot = boot.installer }\n",
	Attributes: []Attribute{
		{Name: "content", Type: TypeText, Machine: MachineAll, Example: `"hostname: ${machine.name}\n"`,
			Doc: "What is in the file: a text of up to 1 MiB. A template that `templatefile` names is read when the file is loaded, and can be given all of `machine`."},
		{Name: "source", Type: TypeText, Machine: MachinePaths, Example: `"/srv/seeds/${machine.name}"`,
			Doc: "The path or URL of what is served under the name."},
		{Name: "tree", Type: TypeMap, Machine: MachineAll, Example: `{ "user-data" = "#cloud-config\n", "meta-data" = "instance-id: ${machine.name}\n" }`,
			Doc: "Several texts under one address, which ends in `/`: names, or paths like `latest/user-data`, with what is in them. A name that is not among them is not found (404)."},
		{Name: "secret", Type: TypeBool, Default: "false", Example: "true",
			Doc: "`true`: nothing of it is shown by `explain`, `plan`, the status or the log, nobody keeps it on the way, and its address is good for two hours, or until the machine's next boot. It is given only to a machine that boots by what this server's DHCP told it in this boot, and served only to the address that then fetched the script."},
		{Name: "any_address", Type: TypeBool, Default: "`false`", Example: "true",
			Doc: "`true`: a secret file is served to any address, for an installer that gets another one than the firmware did: many DHCP servers go by the client identifier, and give one more address to the installer's."},
		{Name: "expires", Type: TypeDuration, Example: `"24h"`,
			Doc: "How long an address of it is good, from when the machine was given it. Without it, that of a secret is for two hours, and any other for as long as the key for addresses."},
	},
}

var secureBootSchema = Block{
	Name: "secure_boot",
	Doc: "What machines with UEFI are given so that Secure Boot lets them boot a kernel: a shim, which the firmware trusts, and the GRUB that the shim trusts, both of the distribution that has signed the kernel. It does no harm where Secure Boot is off. " +
		"In a boot it is for that boot; at the top of a file, for every boot with a `kernel` that has no `loader` and no block of its own. GRUB is told kernel, initrds, command line and message of the boot, and fetches them by TFTP. " +
		"It asks the DHCP server that gave the machine its address: that must be this one (`mode = \"server\"`), or name this one as its next server (siaddr).",
	Example: "boot \"debian\" {\n  kernel = \"/srv/debian/vmlinuz\"\n  initrd = \"/srv/debian/initrd.img\"\n\n  secure_boot {\n    shim = \"/usr/lib/shim/shimx64.efi.signed\"\n    grub = \"/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed\"\n  }\n}\n\nrule \"everybody\" { boot = boot.debian }\n",
	Attributes: []Attribute{
		{Name: "shim", Type: TypeFile, Machine: MachinePaths, Example: `"/usr/lib/shim/shimx64.efi.signed"`,
			Doc: "The path or URL of the shim, with its digest as `kernel` may be. A boot with `loader = \"grub\"` needs none."},
		{Name: "grub", Type: TypeFile, Needed: true, Machine: MachinePaths, Example: `"/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"`,
			Doc: "The path or URL of GRUB, in a build for the network, with its digest likewise."},
	},
}

var assetsSchema = Block{
	Name: "assets", Label: "its name, an identifier", Many: true,
	Doc: "A directory, or the tree of an ISO image, that is served as it is, to machines that have been given an address in it: `url(assets.NAME, \"path\")` is that of one file, and with a path that ends in `/`, or without one, of all that lies there. " +
		"Links that lead out of the directory are not followed, and directories are not listed. One that no `url()` names is a warning.",
	Example: "assets \"images\" { dir = \"/srv/images\" }\n\nboot \"live\" {\n  kernel  = \"https://example.org/linux\"\n  cmdline = \"root=live:${url(assets.images, \"nodes/${machine.name}.squashfs\")}\"\n}\n\nrule \"everybody\" { boot = boot.live }\n",
	Attributes: []Attribute{
		{Name: "dir", Type: TypeText, Example: `"/srv/images"`,
			Doc: "The directory. A warning says when the host has none there. The block has this or `iso`."},
		{Name: "iso", Type: TypeText, Example: `"/srv/debian-13.0.0-amd64-DVD-1.iso"`,
			Doc: "The path or URL of an ISO 9660 image, of which an installer finds everything under one address, without it being mounted or unpacked. Of a URL, whose server must send parts (Range), what machines ask for is fetched."},
	},
}

var machineSchema = Block{
	Name: "machine", Label: "its name, an identifier", Many: true,
	Doc: "Gives a machine a name and labels, by which rules can choose it. Machines need no such block to be booted. " +
		"A machine is looked for by its MAC address, then by its UUID; names, MAC addresses and UUIDs are of one machine only.",
	Example: "machine \"db1\" {\n  mac    = [\"52:54:00:aa:00:01\", \"52:54:00:aa:00:02\"]\n  uuid   = \"4c4c4544-0042-3510-8053-b4c04f463433\"\n  labels = { role = \"db\", rack = \"a1\" }\n}\n",
	Attributes: []Attribute{
		{Name: "mac", Type: TypeTexts, Example: `["52:54:00:aa:00:01", "52:54:00:aa:00:02"]`,
			Doc: "Its MAC addresses. A machine has this or `uuid`."},
		{Name: "uuid", Type: TypeText, Example: `"4c4c4544-0042-3510-8053-b4c04f463433"`,
			Doc: "Its SMBIOS UUID."},
		{Name: "name", Type: TypeText, Default: "`each.key`, else the label of the block", Example: `"db1.example.org"`,
			Doc: "What it is called: up to 253 letters, digits, `.`, `_` and `-`, beginning with a letter or a digit."},
		{Name: "labels", Type: TypeMap, Example: `{ role = "db", rack = "a1" }`,
			Doc: "Any names with texts, for rules and for `machine.labels`."},
		{Name: "ip", Type: TypeText, Example: `"192.0.2.10"`,
			Doc: "The IPv4 address that a listener `dhcp` with `mode = \"server\"` leases to it, whichever of its MAC addresses asks; so only one of its interfaces is to ask. It needs `mac`."},
		forEach,
	},
}

var ruleSchema = Block{
	Name: "rule", Label: "its name, any text", Many: true,
	Doc: "Says what becomes of the machines that match. The first rule that matches decides, in the order of the file; a machine that no rule matches gets no answer. " +
		"A rule has exactly one of `boot`, `ignore` and `local`. Without a `match` block it is for every machine. " +
		"One that an earlier rule hides, and a configuration without rules, are warnings.",
	Example: "rule \"lab\" {\n  match {\n    mac  = \"52:54:00:*\"\n    arch = [\"x64\", \"arm64\"]\n  }\n  local = true\n}\nrule \"others\" { ignore = true }\n",
	Attributes: []Attribute{
		{Name: "boot", Type: TypeBoot, Example: "boot.live",
			Doc: "Boot this: `boot.NAME`, or any expression that yields a boot, like `boot[each.value.boot]`."},
		{Name: "ignore", Type: TypeBool, Example: "true",
			Doc: "`true`: do not answer the machine."},
		{Name: "local", Type: TypeBool, Example: "true",
			Doc: "`true`: let the machine boot its own disk."},
		{Name: "any_machine", Type: TypeBool, Default: "`false`", Example: "true",
			Doc: "`true`, for a boot with `installs`: machines that no `machine` block names are installed too, when they are armed."},
		{Name: "probe", Type: TypeBool, Default: "`false`", Example: "true",
			Doc: "`true`: load iPXE to learn what the rule asks for, on every machine that no earlier rule decides about. Without it, a rule that hangs on what only iPXE knows is an error."},
		{Name: "offer", Type: TypeText, Default: "`auto`", Words: boot.StyleNames(), Example: `"bypass"`,
			Doc: "How the PXE of a machine's firmware is told of what it is to load, in DHCP option 43. `binl`: without that option, so that it asks once more on port 4011; `bypass`: that the file is the offer's own; `bypass+prompt`: the same, beside a prompt that waits for nobody; `boot-servers`: a list of this server alone, and a menu with one item, upon which it asks on port 4011. `auto` begins with `binl` for UEFI and with `bypass` for others, and goes on to another one each time the firmware asks again without going on; the log has the line that pins what worked."},
		forEach,
	},
	Blocks: []string{"match", "once"},
}

// onceName is said with a consonant.
const onceName = "once"

var onceSchema = Block{
	Name: onceName,
	Doc: "In a rule that boots something: only machines that are armed for it do, and each time that one is armed, one time. `pixiecore arm NAME` arms a machine; all others get what `spent` says. " +
		"The arm is used up when the machine is given its script, and belongs to that boot, which gets the same as often as it asks. When the machine has done its work it says so (`done_by`), and from then on gets `spent`. " +
		"Until then, another boot of it waits at a screen for the operator: neither the installer nor a half-written disk starts by itself. " +
		"What machines have done is kept in the state directory, by the machine's name, else its UUID, else its MAC address, and not by the rule. Where it is lost or cannot be read, nobody is armed.",
	Example: "machine \"db1\" {\n  mac    = \"52:54:00:aa:00:01\"\n  labels = { role = \"db\" }\n}\n\nboot \"debian\" {\n  installs = true\n  kernel   = \"https://example.org/linux\"\n  cmdline  = \"auto=true url=${url(file.preseed)}\"\n\n  file \"preseed\" {\n    content = \"d-i preseed/late_command string wget -O /dev/null ${phone_home()}\\n\"\n  }\n}\n\nrule \"databases\" {\n  match { labels = { role = \"db\" } }\n  boot = boot.debian\n  once {\n    timeout    = \"2h\"\n    on_timeout = \"park\"\n  }\n}\n",
	Attributes: []Attribute{
		{Name: "spent", Type: TypeText, Default: "`local`", Words: []string{boot.Local.String(), boot.Ignore.String()}, Example: `"ignore"`,
			Doc: "What machines get that are not armed, or are done: `local`, their own disk, or `ignore`, no answer."},
		{Name: "done_by", Type: TypeText, Default: "`phone-home`", Words: []string{string(boot.DoneByPhoneHome), string(boot.DoneByBooting)}, Example: `"booting"`,
			Doc: "What shows that a machine is done: `phone-home`, that it asks for the address of `phone_home()`, or `booting`, that iPXE starts the kernel."},
		{Name: "attempts", Type: TypeNumber, Default: "1", Example: "2",
			Doc: "How many boots may use one arm, for machines that may break off."},
		{Name: "timeout", Type: TypeDuration, Default: "none", Example: `"2h"`,
			Doc: "How long after it was given its script a machine has to say that it is done; then its next boot gets `on_timeout`. A restart of pixiecore begins the time anew."},
		{Name: "on_timeout", Type: TypeText, Default: "`park`", Words: []string{string(boot.TimeoutPark), string(boot.TimeoutLocal), string(boot.TimeoutRearm)}, Example: `"local"`,
			Doc: "`park` lets it wait for the operator, also where `attempts` are left, `local` lets it boot its disk, and `rearm` lets it begin anew."},
		{Name: "start", Type: TypeText, Default: "`disarmed`", Words: []string{startDisarmed, startArmed}, Example: `"armed"`,
			Doc: "What a machine is of which nothing is kept. `armed` has an effect from `pixiecore arm --begin` on, by which somebody says that nothing was lost."},
	},
}

// matchSchema is that of not and any, too.
var matchSchema = Block{
	Name: "match",
	Doc: "Says for which machines a rule is. All that stands in it must hold, and any of the values of one list will do. Where texts are compared, `*` stands for any characters and `?` for one. " +
		"A `match` without a condition, or with nothing but `not`, is an error, and so is a condition that is null, an empty list or an empty text: a value that got lost must not turn a rule for one machine into a rule for all. " +
		"What only iPXE knows is unknown when a machine begins to boot: see the stage of each condition.",
	Example: "rule \"new servers\" {\n  match {\n    manufacturer = \"Dell*\"\n    subnet       = \"192.0.2.0/24\"\n    not { mac = \"52:54:00:*\" }\n  }\n  local = true\n}\n",
	Attributes: []Attribute{
		{Name: "mac", Type: TypeTexts, Example: `["52:54:00:*", "b8:27:eb:00:00:01"]`,
			Doc: "MAC addresses, with `:`, `-`, `.` or no separators, or patterns: `52:54:00:*` for all that begin so, `52:*:00:*` for any octet, `?` for one digit."},
		{Name: "arch", Type: TypeTexts, Words: boot.ArchitectureNames(), Example: `["x64", "arm64"]`,
			Doc: "Architectures. A BIOS does not say whether its processor has 64 bits: `[\"ia32\", \"x64\"]` holds for it at once, and for one of the two alone it is given iPXE first, which asks the processor."},
		{Name: "firmware", Type: TypeTexts, Words: boot.FirmwareWords(), Example: `["bios", "uefi"]`,
			Doc: "What the machine boots by. It stays the same at every stage. A pair of `arch` and `firmware` that no machine has is a warning."},
		{Name: "machine", Type: TypeTexts, Example: `["db1"]`,
			Doc: "Names of `machine` blocks."},
		{Name: "labels", Type: TypeMap, Example: `{ role = "db", rack = "a1" }`,
			Doc: "Labels of a `machine` block, of which it must have all."},
		{Name: "transport", Type: TypeTexts, Words: facts["transport"].words, Example: `"http"`,
			Doc: "How the firmware boots: `pxe`, or `http` for UEFI HTTP Boot."},
		{Name: "ipxe", Type: TypeBool, Example: "true",
			Doc: "Whether the boot began with an iPXE, such as that of a virtual machine."},
		{Name: "uuid", Type: TypeTexts, Example: `["4c4c4544-0042-3510-8053-b4c04f463433"]`,
			Doc: "SMBIOS UUIDs, or patterns."},
		{Name: "interface", Type: TypeTexts, Example: `["eth0", "vlan*"]`,
			Doc: "Names of the interfaces that the request came in by."},
		{Name: "listener", Type: TypeTexts, Example: `"0.0.0.0:67"`,
			Doc: "Addresses of the listeners that it came to."},
		{Name: "subnet", Type: TypeTexts, Example: `["192.0.2.0/24"]`,
			Doc: "Networks: that of the relay's link selection (option 82), else of the relay, else of the receiving interface."},
		{Name: "relay", Type: TypeTexts, Example: `["10.1.0.1", "10.2.0.0/16"]`,
			Doc: "Addresses or networks of relays (giaddr)."},
		{Name: "vendor_class", Type: TypeTexts, Example: `"PXEClient:Arch:00007:*"`,
			Doc: "DHCP option 60."},
		{Name: "user_class", Type: TypeTexts, Example: `"iPXE"`,
			Doc: "DHCP option 77."},
		{Name: "circuit_id", Type: TypeTexts, Example: `["eth1/0/*", "0x000400640103"]`,
			Doc: "What the relay says of the port, in option 82; in hexadecimal, `0x000400640103`, where that is not text."},
		{Name: "remote_id", Type: TypeTexts, Example: `"0x0006525400aa0001"`,
			Doc: "What the relay says of itself, in option 82; in hexadecimal where that is not text."},
		{Name: "serial", Type: TypeTexts, Example: `"4711*"`,
			Doc: "The serial number, as SMBIOS has it."},
		{Name: "manufacturer", Type: TypeTexts, Example: `["Dell*", "Supermicro"]`,
			Doc: "The manufacturer, as SMBIOS has it."},
		{Name: "product", Type: TypeTexts, Example: `"PowerEdge R6*"`,
			Doc: "The product's name, as SMBIOS has it."},
		{Name: "asset", Type: TypeTexts, Example: `"A-1*"`,
			Doc: "The asset tag, as SMBIOS has it."},
		{Name: "hostname", Type: TypeTexts, Example: `"db*"`,
			Doc: "The name that DHCP gave the machine."},
		{Name: "when", Type: TypeCondition, Machine: MachineAll, Example: `machine.arch == "x64" && machine.relay != "10.1.0.1"`,
			Doc: "A condition over `machine.*`. What a machine is known not to have is an empty text there; where it has no label of a name, the condition does not hold."},
	},
	Blocks: []string{"not", "any"},
}

var notSchema = Block{
	Name: "not", As: "match", Many: true,
	Doc:     "Holds when what is in it does not. It takes all that `match` does.",
	Example: "rule \"no telephones\" {\n  match {\n    subnet = \"192.0.2.0/24\"\n    not { mac = \"00:80:77:*\" }\n  }\n  local = true\n}\n",
}

var anySchema = Block{
	Name: "any", As: "match", Many: true,
	Doc:     "Holds when one of the settings or blocks in it does. It takes all that `match` does.",
	Example: "rule \"two kinds\" {\n  match {\n    any {\n      mac   = \"52:54:00:*\"\n      relay = \"10.1.0.1\"\n    }\n  }\n  local = true\n}\n",
}

var testSchema = Block{
	Name: "test", Label: "what it shows, any text", Many: true,
	Doc:     "Says what must become of one machine. A configuration of which a test fails is not used.",
	Example: "rule \"servers\" {\n  match { serial = \"X*\" }\n  probe = true\n  local = true\n}\n\ntest \"a server boots its disk\" {\n  machine = { mac = \"52:54:00:aa:00:01\", arch = \"x64\", serial = \"X7\" }\n  expect  = { rule = \"servers\", action = \"local\" }\n}\n",
	Attributes: []Attribute{
		{Name: "machine", Type: TypeObject, Needed: true, Members: testMembers(), Example: `{ mac = "52:54:00:aa:00:01", arch = "x64", firmware = "efi64" }`,
			Doc: "The machine: `mac`, and any of `arch` (`x64` unless set), `firmware` (`efi64` unless set), `armed` (`true` for a rule with `once`), and what else a rule can ask. What is not said, the machine does not have."},
		{Name: "expect", Type: TypeObject, Needed: true, Members: expectations, Example: `{ rule = "servers", boot = "live", cmdline_contains = ["ip=dhcp"] }`,
			Doc: "What becomes of it: the names of the `rule` and the `boot`, the `action` (`boot`, `ignore` or `local`), the path or URL of the `kernel`, a text or a list of them that the command line contains, and such texts for `files`, by their names (`preseed`, `seed/user-data`); of a file with a source, of its path or URL."},
	},
}

var ipxeSchema = Block{
	Name: "ipxe",
	Doc: "Paths of iPXE binaries that are used instead of those built in or installed on the host. " +
		"They are read when the file is loaded.",
	Example: "ipxe {\n  bios  = \"/srv/ipxe/undionly.kpxe\"\n  efi64 = \"/srv/ipxe/snponly.efi\"\n}\n",
	Attributes: []Attribute{
		{Name: "bios", Type: TypeText, Example: `"/srv/ipxe/undionly.kpxe"`, Doc: "For x86 with a BIOS."},
		{Name: "bios_ipxe", Type: TypeText, Example: `"/srv/ipxe/ipxe.pxe"`, Doc: "For a BIOS whose network card has an iPXE in it that cannot load by HTTP. Without it, that of `bios`."},
		{Name: "efi32", Type: TypeText, Example: `"/srv/ipxe/snponly-i386.efi"`, Doc: "For x86 with UEFI of 32 bits."},
		{Name: "efi64", Type: TypeText, Example: `"/srv/ipxe/snponly.efi"`, Doc: "For x86 with UEFI of 64 bits."},
		{Name: "arm32", Type: TypeText, Example: `"/srv/ipxe/snponly-arm32.efi"`, Doc: "For ARM of 32 bits with UEFI."},
		{Name: "arm64", Type: TypeText, Example: `"/srv/ipxe/snponly-arm64.efi"`, Doc: "For ARM of 64 bits with UEFI."},
		{Name: "riscv64", Type: TypeText, Example: `"/srv/ipxe/snponly-riscv64.efi"`, Doc: "For RISC-V of 64 bits with UEFI."},
		{Name: "loongarch64", Type: TypeText, Example: `"/srv/ipxe/snponly-loong64.efi"`, Doc: "For LoongArch of 64 bits with UEFI."},
	},
}

var cacheSchema = Block{
	Name: "cache",
	Doc: "Keeps what is fetched from URLs on disk, so that it is fetched once however many machines boot, and is there when its server is not. Without the block, each machine's file is fetched as the machine reads it. " +
		"A server is asked at most once a minute whether a file is still the same, and never about one that has a digest (`sha256`). When it cannot be asked, machines get the copy, and the log says so.",
	Example: "cache {\n  dir      = \"/srv/pixiecore/cache\"\n  max_size = \"20GiB\"\n  prefetch = true\n}\n",
	Attributes: []Attribute{
		{Name: "dir", Type: TypeText, Default: "the service's cache directory, `/var/cache/pixiecore`", Example: `"/srv/pixiecore/cache"`,
			Doc: "The directory, which is made if it is missing. What is in it can be deleted at any time."},
		{Name: "max_size", Type: TypeSize, Default: "`20GiB`", Example: `"20GiB"`,
			Doc: "How much is kept. What was used longest ago goes first; a machine that reads it is not cut off. A file that is larger is not kept."},
		{Name: "prefetch", Type: TypeBool, Default: "`false`", Example: "true",
			Doc: "`true`: a start and a reload fetch, beside what is served, whatever machines can come to need and is not there or has changed, as `pixiecore fetch` does. `pixiecore status` says how far that is."},
	},
}

var fetchSchema = Block{
	Name: "fetch",
	Doc: "How the servers of `https://` URLs, and APIs, are verified, and what they are shown. The files are read when the configuration is loaded, and by a reload again. " +
		"Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).",
	Example: "fetch {\n  ca   = \"/etc/pixiecore/ca.pem\"\n  cert = \"/etc/pixiecore/client.pem\"\n  key  = \"/etc/pixiecore/client-key.pem\"\n}\n",
	Attributes: []Attribute{
		{Name: "ca", Type: TypeText, Default: "the system's authorities", Example: `"/etc/pixiecore/ca.pem"`,
			Doc: "The path of a PEM file with the certificates of authorities that are trusted beside the system's."},
		{Name: "cert", Type: TypeText, Example: `"/etc/pixiecore/client.pem"`,
			Doc: "With `key`: the path of a PEM file with a client certificate, which servers that ask for one are shown."},
		{Name: "key", Type: TypeText, Example: `"/etc/pixiecore/client-key.pem"`,
			Doc: "The path of a PEM file with the key of `cert`."},
	},
}

var uploadsSchema = Block{
	Name: "uploads",
	Doc: "Keeps what machines send to the addresses that `upload(\"NAME\")` makes, in a directory of each: under its name, or its MAC address with dashes where no `machine` block names it. " +
		"A file is kept when it is whole, and takes the place of the one that the machine sent before. Without the block nothing can be sent.",
	Example: "uploads { max_total = \"5GiB\" }\n\nboot \"inspect\" {\n  kernel  = \"https://example.org/inspect/vmlinuz\"\n  cmdline = \"report=${upload(\"hardware.json\")}\"\n}\n\nrule \"everybody\" { boot = boot.inspect }\n",
	Attributes: []Attribute{
		{Name: "dir", Type: TypeText, Default: "`uploads` in the state directory", Example: `"/srv/uploads"`,
			Doc: "The directory, which is made if it is missing, for the user that pixiecore runs as and nobody else. The systemd unit lets the daemon write to its own directories only; for another one, add `ReadWritePaths=` to it."},
		{Name: "max_size", Type: TypeSize, Default: "`16MiB`", Example: `"64MiB"`,
			Doc: "The most that one file may have."},
		{Name: "max_total", Type: TypeSize, Default: "`1GiB`", Example: `"5GiB"`,
			Doc: "The most that is kept, of all machines together. What is beyond that is refused, and nothing is deleted for it."},
	},
}

var logSchema = Block{
	Name:    "log",
	Doc:     "What is logged, and how.",
	Example: "log {\n  level  = \"debug\"\n  format = \"json\"\n}\n",
	Attributes: []Attribute{
		{Name: "level", Type: TypeText, Default: "`info`", Words: []string{string(LogDebug), string(LogInfo), string(LogWarn), string(LogError)}, Example: `"debug"`,
			Doc: "The least that is logged. `debug` also says what was not answered, and why."},
		{Name: "format", Type: TypeText, Default: "`auto`", Words: []string{string(LogAuto), string(LogConsole), string(LogJSON)}, Example: `"json"`,
			Doc: "How a line is written. `auto` is `console` on a terminal, fields of the journal under systemd (`journalctl MAC=52:54:00:00:00:01`), and `json` elsewhere."},
	},
}

var reloadSchema = Block{
	Name: "reload",
	Doc: "Which edits of the file are served without being asked for. One beyond these limits is held: everything goes on as before, also across a restart, until `pixiecore reload` or SIGHUP applies it, " +
		"or a later edit is within them. The limits are those of the configuration that is served. Counted are the machines of the inventory and those seen in the last 30 days.",
	Example: "reload {\n  max_changed = 20\n  max_removed = 0\n}\n",
	Attributes: []Attribute{
		{Name: "mode", Type: TypeText, Default: "watch", Words: []string{reloadWatch, reloadManual}, Example: `"manual"`,
			Doc: "`watch` serves edits by itself, within the limits; `manual` serves none by itself, and takes no limit beside it."},
		{Name: "max_changed", Type: TypeNumber, Default: "any number", Example: "20",
			Doc: "The most machines for which an edit may change what they boot. One of which that is not known counts if any of what may come of it differs."},
		{Name: "max_removed", Type: TypeNumber, Default: "any number", Example: "0",
			Doc: "The most machines which an edit may leave without anything to boot from here."},
	},
}

var stateSchema = Block{
	Name: "state",
	Doc: "Where what outlives the process is kept: the key for addresses, the configuration that was served last, what is on hold. " +
		"A reload that changes it is refused, and a restart applies it.",
	Example: "state { dir = \"/srv/pixiecore\" }\n",
	Attributes: []Attribute{
		{Name: "dir", Type: TypeText, Needed: true, Example: `"/srv/pixiecore"`,
			Doc: "The directory, which is made if it is missing. `serve --state-dir` wins over it."},
	},
}

var urlKeySchema = Block{
	Name: "url_key",
	Doc: "A key for the addresses that machines are given, which several servers share, so that a machine may go from one to the other in the middle of a boot. " +
		"Without the block, the key is made in the state directory. A reload that changes it is refused, and a restart applies it.",
	Example: "url_key { file = \"/etc/pixiecore/url.key\" }\n",
	Attributes: []Attribute{
		{Name: "file", Type: TypeText, Needed: true, Example: `"/etc/pixiecore/url.key"`,
			Doc: "The file of the key: 32 to 4096 bytes, which only the user that pixiecore runs as may read."},
	},
}

// testMembers are what a test can say of its machine: all that a machine tells,
// but not what the inventory knows.
func testMembers() []string {
	names := []string{"armed", "subnet"}
	for name := range facts {
		if name != "name" && name != "labels" && name != "bootif" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
